package rpc

import (
	"cmp"
	"context"
	"encoding/hex"
	"math"
	"slices"

	"stormcell/actors/channel"
	"stormcell/messages/lnrpc"
)

// PendingChannels implements lnrpc.LightningServer.
func (l *lightning) PendingChannels(
	ctx context.Context, _ *lnrpc.PendingChannelsRequest,
) (*lnrpc.PendingChannelsResponse, error) {
	all, err := l.node().Channels.List(ctx)
	if err != nil {
		return nil, refused(err)
	}
	out := &lnrpc.PendingChannelsResponse{}
	for _, c := range all {
		described := pendingChannel(&c)
		switch stageOf(&c) {
		case opening:
			described.ChanStatusFlags = "" // as lnd: they are of channels that close
			out.PendingOpenChannels = append(out.PendingOpenChannels, pendingOpen(&c, described))
		case waitingClose:
			closing := &lnrpc.PendingChannelsResponse_WaitingCloseChannel{Channel: described, LimboBalance: described.LocalBalance}
			if n := len(c.ClosingTxs); n > 0 {
				closing.ClosingTxid = c.ClosingTxs[n-1].String()
			}
			out.WaitingCloseChannels = append(out.WaitingCloseChannels, closing)
			out.TotalLimboBalance += closing.LimboBalance
		case forceClosed:
			out.PendingForceClosingChannels = append(out.PendingForceClosingChannels,
				&lnrpc.PendingChannelsResponse_ForceClosedChannel{
					Channel: described, ClosingTxid: c.ClosedBy.String(), LimboBalance: described.LocalBalance,
				})
			out.TotalLimboBalance += described.LocalBalance
		}
	}
	return out, nil
}

func pendingChannel(c *channel.Info) *lnrpc.PendingChannelsResponse_PendingChannel {
	local, remote := balances(c)
	return &lnrpc.PendingChannelsResponse_PendingChannel{
		RemoteNodePub: hex.EncodeToString(c.Peer[:]), ChannelPoint: c.Outpoint.String(), Capacity: int64(c.Capacity),
		LocalBalance: int64(local.ToSatoshis()), RemoteBalance: int64(remote.ToSatoshis()),
		LocalChanReserveSat: int64(c.RemoteTerms.Reserve), RemoteChanReserveSat: int64(c.LocalTerms.Reserve),
		Initiator: initiator(c.Opener), CommitmentType: lnrpc.CommitmentType_ANCHORS, ChanStatusFlags: statusFlags(c),
		Private: c.Private,
	}
}

func pendingOpen(
	c *channel.Info, described *lnrpc.PendingChannelsResponse_PendingChannel,
) *lnrpc.PendingChannelsResponse_PendingOpenChannel {
	return &lnrpc.PendingChannelsResponse_PendingOpenChannel{
		Channel: described, CommitFee: int64(c.CommitFee), CommitWeight: int64(c.CommitWeight), FeePerKw: int64(c.FeeRate),
		FundingExpiryBlocks:      int32(min(c.ForgetIn, math.MaxInt32)),
		ConfirmationHeight:       c.ConfirmedAt,
		ConfirmationsUntilActive: c.ConfirmationsWanted - min(c.Confirmations, c.ConfirmationsWanted),
	}
}

// ClosedChannels implements lnrpc.LightningServer.
func (l *lightning) ClosedChannels(
	ctx context.Context, r *lnrpc.ClosedChannelsRequest,
) (*lnrpc.ClosedChannelsResponse, error) {
	all, err := l.node().Channels.Closed(ctx)
	if err != nil {
		return nil, refused(err)
	}
	everything := !(r.Cooperative || r.LocalForce || r.RemoteForce || r.Breach || r.FundingCanceled || r.Abandoned)
	wanted := map[lnrpc.ChannelCloseSummary_ClosureType]bool{
		lnrpc.ChannelCloseSummary_COOPERATIVE_CLOSE: r.Cooperative, lnrpc.ChannelCloseSummary_LOCAL_FORCE_CLOSE: r.LocalForce,
		lnrpc.ChannelCloseSummary_REMOTE_FORCE_CLOSE: r.RemoteForce, lnrpc.ChannelCloseSummary_FUNDING_CANCELED: r.FundingCanceled,
	}
	out := &lnrpc.ClosedChannelsResponse{}
	for _, c := range all {
		if kind := closureTypes[c.Kind]; everything || wanted[kind] {
			out.Channels = append(out.Channels, l.closedChannel(&c, kind))
		}
	}
	slices.SortStableFunc(out.Channels, func(a, b *lnrpc.ChannelCloseSummary) int {
		return cmp.Compare(a.CloseHeight, b.CloseHeight)
	})
	return out, nil
}

var closureTypes = map[channel.CloseKind]lnrpc.ChannelCloseSummary_ClosureType{
	channel.ClosedTogether: lnrpc.ChannelCloseSummary_COOPERATIVE_CLOSE,
	channel.ClosedByUs:     lnrpc.ChannelCloseSummary_LOCAL_FORCE_CLOSE,
	channel.ClosedByPeer:   lnrpc.ChannelCloseSummary_REMOTE_FORCE_CLOSE,
	channel.NeverFunded:    lnrpc.ChannelCloseSummary_FUNDING_CANCELED,
}

func (l *lightning) closedChannel(
	c *channel.ClosedInfo, kind lnrpc.ChannelCloseSummary_ClosureType,
) *lnrpc.ChannelCloseSummary {
	return &lnrpc.ChannelCloseSummary{
		ChannelPoint: c.Outpoint.String(), ChanId: c.Scid.ToUint64(),
		ChainHash: l.server.o.Network.Params().GenesisHash.String(), ClosingTxHash: c.ClosingTx.String(),
		RemotePubkey: hex.EncodeToString(c.Peer[:]), Capacity: int64(c.Capacity), CloseHeight: c.Height,
		SettledBalance: int64(c.Settled.ToSatoshis()), CloseType: kind, OpenInitiator: initiator(c.Opener),
	}
}

func initiator(local bool) lnrpc.Initiator {
	if local {
		return lnrpc.Initiator_INITIATOR_LOCAL
	}
	return lnrpc.Initiator_INITIATOR_REMOTE
}
