package rpc

import (
	"context"

	btcwire "github.com/btcsuite/btcd/wire"
	"google.golang.org/grpc/status"

	"stormcell/actors/channel"
	"stormcell/messages/lnrpc"
)

// SubscribeChannelEvents implements lnrpc.LightningServer. A client that reads slowly misses steps in between, never the last.
func (l *lightning) SubscribeChannelEvents(
	_ *lnrpc.ChannelEventSubscription, out lnrpc.Lightning_SubscribeChannelEventsServer,
) error {
	events := channelEvents{lightning: l, send: out.Send}
	return watched(l.node().Channels.Watch(out.Context(), func() (bool, error) { return false, events.look(out.Context()) }))
}

// watched is how watching ended: with a status of ours or of the stream, or with an error of whoever watches for us.
func watched(err error) error {
	if _, is := status.FromError(err); is {
		return err
	}
	return refused(err)
}

// channelEvents finds what a client has not been told of channels, by what they were when it looked before.
type channelEvents struct {
	*lightning
	send   func(*lnrpc.ChannelEventUpdate) error
	before map[btcwire.OutPoint]channel.Info // nil before the first look
}

// look sends what is new.
func (e *channelEvents) look(ctx context.Context) error {
	all, err := e.node().Channels.List(ctx)
	if err != nil {
		return refused(err)
	}
	now := map[btcwire.OutPoint]channel.Info{}
	for _, c := range all {
		if stageOf(&c) != negotiating {
			now[c.Outpoint] = c
		}
	}
	before := e.before
	e.before = now
	if before == nil {
		return nil
	}
	if err := e.ended(ctx, before, now); err != nil {
		return err
	}
	for _, c := range all {
		was := before[c.Outpoint] // negotiating, if it is new
		if stageOf(&c) == negotiating {
			continue
		}
		for _, update := range e.changed(&was, &c) {
			if err := e.send(update); err != nil {
				return err
			}
		}
	}
	return nil
}

// changed is what a client hears of a channel that was one thing and is another.
func (e *channelEvents) changed(was, is *channel.Info) (news []*lnrpc.ChannelEventUpdate) {
	from, to := stageOf(was), stageOf(is)
	if from == negotiating {
		news = append(news, &lnrpc.ChannelEventUpdate{
			Type: lnrpc.ChannelEventUpdate_PENDING_OPEN_CHANNEL,
			Channel: &lnrpc.ChannelEventUpdate_PendingOpenChannel{PendingOpenChannel: &lnrpc.PendingUpdate{
				Txid: is.Outpoint.Hash[:], OutputIndex: is.Outpoint.Index,
			}},
		})
	}
	if from < open && to == open {
		news = append(news, &lnrpc.ChannelEventUpdate{
			Type:    lnrpc.ChannelEventUpdate_OPEN_CHANNEL,
			Channel: &lnrpc.ChannelEventUpdate_OpenChannel{OpenChannel: e.channel(is)},
		})
	}
	switch at := channelPoint(is.Outpoint); {
	case is.Active && !was.Active:
		news = append(news, &lnrpc.ChannelEventUpdate{
			Type:    lnrpc.ChannelEventUpdate_ACTIVE_CHANNEL,
			Channel: &lnrpc.ChannelEventUpdate_ActiveChannel{ActiveChannel: at},
		})
	case was.Active && !is.Active:
		news = append(news, &lnrpc.ChannelEventUpdate{
			Type:    lnrpc.ChannelEventUpdate_INACTIVE_CHANNEL,
			Channel: &lnrpc.ChannelEventUpdate_InactiveChannel{InactiveChannel: at},
		})
	}
	return news
}

// ended tells of channels that are not listed any more. Those that were never funded have an end of their own. A channel ends a
// moment before it is among those that are closed: until it is, it stays in now, for the next look.
func (e *channelEvents) ended(ctx context.Context, before, now map[btcwire.OutPoint]channel.Info) error {
	lost := map[btcwire.OutPoint]bool{}
	for at, was := range before {
		if _, still := now[at]; !still {
			lost[at], now[at] = true, was
		}
	}
	if len(lost) == 0 {
		return nil
	}
	closed, err := e.node().Channels.Closed(ctx)
	if err != nil {
		return refused(err)
	}
	for _, c := range closed {
		if !lost[c.Outpoint] {
			continue
		}
		delete(now, c.Outpoint)
		at := channelPoint(c.Outpoint)
		updates := []*lnrpc.ChannelEventUpdate{{
			Type:    lnrpc.ChannelEventUpdate_CLOSED_CHANNEL,
			Channel: &lnrpc.ChannelEventUpdate_ClosedChannel{ClosedChannel: e.closedChannel(&c, closureTypes[c.Kind])},
		}, {
			Type:    lnrpc.ChannelEventUpdate_FULLY_RESOLVED_CHANNEL,
			Channel: &lnrpc.ChannelEventUpdate_FullyResolvedChannel{FullyResolvedChannel: at},
		}}
		if c.Kind == channel.NeverFunded {
			updates = []*lnrpc.ChannelEventUpdate{{
				Type:    lnrpc.ChannelEventUpdate_CHANNEL_FUNDING_TIMEOUT,
				Channel: &lnrpc.ChannelEventUpdate_ChannelFundingTimeout{ChannelFundingTimeout: at},
			}}
		}
		for _, update := range updates {
			if err := e.send(update); err != nil {
				return err
			}
		}
	}
	return nil
}
