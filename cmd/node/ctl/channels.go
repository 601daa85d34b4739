package ctl

import (
	"context"
	"fmt"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/spf13/cobra"

	"stormcell/messages/lnrpc"
)

func channelsCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "channels",
		Aliases: []string{"listchannels"},
		GroupID: groupChannels,
		Short:   "List the open channels",
		Long: `List the open channels. Amounts are in satoshis; 'ours' can be sent but for the
fee, the reserve and what is on its way, 'theirs' can be received likewise. A
channel is down while its peer is away, or when it is being closed.`,
		Example: "  stormcell channels\n  stormcell channels --json | jq -r '.channels[].channel_point'",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, c *client, p printer, _ []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		answer, err := lnrpc.NewLightningClient(c).ListChannels(ctx, &lnrpc.ListChannelsRequest{})
		if err != nil {
			return err
		}
		return p.print(answer, func() { printChannels(p, answer.Channels) })
	})
}

func printChannels(p printer, channels []*lnrpc.Channel) {
	if len(channels) == 0 {
		p.line("no open channels: open one with 'stormcell openchannel KEY@HOST:PORT AMOUNT'")
		return
	}
	var rows [][]string
	var ours, theirs int64
	for _, c := range channels {
		rows = append(rows, []string{
			shortID(c.ChanId), channelState(c), grouped(c.LocalBalance), grouped(c.RemoteBalance), shortKey(c.RemotePubkey),
		})
		ours += c.LocalBalance
		theirs += c.RemoteBalance
	}
	if len(channels) > 1 {
		rows = append(rows, []string{"", "all", grouped(ours), grouped(theirs), ""})
	}
	p.table([]column{
		{name: "CHANNEL"}, {name: "STATE"}, {name: "OURS", right: true}, {name: "THEIRS", right: true}, {name: "PEER"},
	}, rows)
}

func channelState(c *lnrpc.Channel) string {
	state := "down"
	if c.Active {
		state = "active"
	}
	if c.Private {
		state += ", private"
	}
	return state
}

// shortID is a short channel id as people write it: block, transaction, output.
func shortID(id uint64) string {
	at := lnwire.NewShortChanIDFromInt(id)
	return fmt.Sprintf("%dx%dx%d", at.BlockHeight, at.TxIndex, at.TxPosition)
}

// shortKey is as much of a key as tells nodes apart.
func shortKey(key string) string { return fmt.Sprintf("%.10s", key) }

func pendingCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "pending",
		Aliases: []string{"pendingchannels"},
		GroupID: groupChannels,
		Short:   "List the channels that are being opened or closed",
		Example: "  stormcell pending",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, c *client, p printer, _ []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		answer, err := lnrpc.NewLightningClient(c).PendingChannels(ctx, &lnrpc.PendingChannelsRequest{})
		if err != nil {
			return err
		}
		return p.print(answer, func() { printPending(p, answer) })
	})
}

func printPending(p printer, pending *lnrpc.PendingChannelsResponse) {
	for _, c := range pending.PendingOpenChannels {
		printPendingOne(p, "opening, "+moreConfirmations(c.ConfirmationsUntilActive), c.Channel, "")
	}
	for _, c := range pending.WaitingCloseChannels {
		state := "closing, unconfirmed"
		if c.ClosingTxid == "" {
			state = "closing, nothing published"
		}
		printPendingOne(p, state, c.Channel, c.ClosingTxid)
	}
	for _, c := range pending.PendingForceClosingChannels {
		printPendingOne(p, "closed by a commitment, waiting for the money", c.Channel, c.ClosingTxid)
	}
	if len(pending.PendingOpenChannels)+len(pending.WaitingCloseChannels)+len(pending.PendingForceClosingChannels) == 0 {
		p.line("no channels are being opened or closed")
	}
}

// printPendingOne needs three or four lines: people must be able to copy keys and transaction ids.
func printPendingOne(p printer, state string, c *lnrpc.PendingChannelsResponse_PendingChannel, closingTx string) {
	p.line("%s", state)
	p.line("    %s of %s ours", sat(c.GetLocalBalance()), sat(c.GetCapacity()))
	p.line("    channel %s", c.GetChannelPoint())
	p.line("    with    %s", c.GetRemoteNodePub())
	if closingTx != "" {
		p.line("    closed by %s", closingTx)
	}
}

// closureNames are what people call the ways to close.
var closureNames = map[lnrpc.ChannelCloseSummary_ClosureType]string{
	lnrpc.ChannelCloseSummary_COOPERATIVE_CLOSE:  "together",
	lnrpc.ChannelCloseSummary_LOCAL_FORCE_CLOSE:  "by us",
	lnrpc.ChannelCloseSummary_REMOTE_FORCE_CLOSE: "by the peer",
	lnrpc.ChannelCloseSummary_BREACH_CLOSE:       "by fraud",
	lnrpc.ChannelCloseSummary_FUNDING_CANCELED:   "never funded",
	lnrpc.ChannelCloseSummary_ABANDONED:          "abandoned",
}

func closedCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "closed",
		Aliases: []string{"closedchannels"},
		GroupID: groupChannels,
		Short:   "List the channels that were",
		Long: `List the channels that were closed: at which block height, by whom, and what was
ours at the end, in satoshis.`,
		Example: "  stormcell closed\n  stormcell closed --json | jq -r '.channels[].closing_tx_hash'",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, c *client, p printer, _ []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		answer, err := lnrpc.NewLightningClient(c).ClosedChannels(ctx, &lnrpc.ClosedChannelsRequest{})
		if err != nil {
			return err
		}
		return p.print(answer, func() { printClosed(p, answer.Channels) })
	})
}

func printClosed(p printer, channels []*lnrpc.ChannelCloseSummary) {
	if len(channels) == 0 {
		p.line("no channels were closed")
		return
	}
	var rows [][]string
	for _, c := range channels {
		rows = append(rows, []string{
			shortID(c.ChanId), fmt.Sprint(c.CloseHeight), closureNames[c.CloseType], grouped(c.SettledBalance),
			shortKey(c.RemotePubkey),
		})
	}
	p.table([]column{
		{name: "CHANNEL"}, {name: "AT", right: true}, {name: "CLOSED"}, {name: "OURS", right: true}, {name: "PEER"},
	}, rows)
}
