package rpc

import (
	"bytes"
	"context"
	"encoding/hex"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/actors/channel"
	pb "stormcell/messages/channel"
	"stormcell/messages/lnrpc"
)

// ListChannels implements lnrpc.LightningServer.
func (l *lightning) ListChannels(
	ctx context.Context, r *lnrpc.ListChannelsRequest,
) (*lnrpc.ListChannelsResponse, error) {
	switch {
	case r.ActiveOnly && r.InactiveOnly:
		return nil, status.Error(codes.InvalidArgument, "either active_only or inactive_only can be set, but not both")
	case r.PublicOnly && r.PrivateOnly:
		return nil, status.Error(codes.InvalidArgument, "either public_only or private_only can be set, but not both")
	}
	if len(r.Peer) > 0 {
		if _, err := parseKeyBytes(r.Peer); err != nil {
			return nil, err
		}
	}
	all, err := l.node().Channels.List(ctx)
	if err != nil {
		return nil, refused(err)
	}
	out := &lnrpc.ListChannelsResponse{}
	for _, c := range all {
		if stageOf(&c) != open || len(r.Peer) > 0 && !bytes.Equal(c.Peer[:], r.Peer) ||
			r.ActiveOnly && !c.Active || r.InactiveOnly && c.Active || r.PublicOnly && c.Private || r.PrivateOnly && !c.Private {
			continue
		}
		out.Channels = append(out.Channels, l.channel(&c))
	}
	return out, nil
}

// stage is in which of lnd's lists a channel is.
type stage int

const (
	negotiating  stage = iota // no funding transaction could have been published: in no list
	opening                   // waits for its funding to be deep enough
	open                      // may not be ready yet, or be shutting down
	waitingClose              // a closing transaction is in no block yet
	forceClosed               // a commitment is in a block
	gone
)

func stageOf(c *channel.Info) stage {
	switch c.Phase {
	case pb.Phase_WAIT_CONFIRMED:
		return opening
	case pb.Phase_WAIT_READY, pb.Phase_NORMAL, pb.Phase_SHUTTING_DOWN:
		return open
	case pb.Phase_AGREED:
		return waitingClose
	case pb.Phase_CLOSING:
		if isZero(c.ClosedBy) {
			return waitingClose
		}
		return forceClosed
	case pb.Phase_CLOSED, pb.Phase_ABANDONED:
		return gone
	default:
		return negotiating
	}
}

// channel describes an open channel.
func (l *lightning) channel(c *channel.Info) *lnrpc.Channel {
	local, remote := balances(c)
	out := &lnrpc.Channel{
		Active: c.Active, RemotePubkey: hex.EncodeToString(c.Peer[:]), ChannelPoint: c.Outpoint.String(),
		ChanId: c.Scid.ToUint64(), Capacity: int64(c.Capacity), LocalBalance: int64(local.ToSatoshis()),
		RemoteBalance: int64(remote.ToSatoshis()), CommitFee: int64(c.CommitFee), CommitWeight: int64(c.CommitWeight),
		FeePerKw: int64(c.FeeRate), TotalSatoshisSent: int64(c.Sent.ToSatoshis()),
		TotalSatoshisReceived: int64(c.Received.ToSatoshis()), NumUpdates: c.Updates, Private: c.Private, Initiator: c.Opener,
		ChanStatusFlags: statusFlags(c), CommitmentType: lnrpc.CommitmentType_ANCHORS, PushAmountSat: uint64(c.Push.ToSatoshis()),
		LocalConstraints:  constraints(&c.RemoteTerms, &c.LocalTerms),
		RemoteConstraints: constraints(&c.LocalTerms, &c.RemoteTerms),
		PeerScidAlias:     c.PeerAlias.ToUint64(),
	}
	out.CsvDelay = out.LocalConstraints.CsvDelay
	out.LocalChanReserveSat = int64(out.LocalConstraints.ChanReserveSat)
	out.RemoteChanReserveSat = int64(out.RemoteConstraints.ChanReserveSat)
	if c.Alias.ToUint64() != 0 {
		out.AliasScids = []uint64{c.Alias.ToUint64()}
	}
	if c.Committed {
		out.CloseAddress = l.addressOf(c.CloseScript)
	}
	for _, h := range c.HTLCs {
		out.PendingHtlcs = append(out.PendingHtlcs, &lnrpc.HTLC{
			Incoming: h.Incoming, Amount: int64(h.Amount.ToSatoshis()), HashLock: h.PaymentHash[:],
			ExpirationHeight: h.Expiry, HtlcIndex: h.ID,
		})
		out.UnsettledBalance += int64(h.Amount.ToSatoshis())
	}
	return out
}

// constraints bind one side: the other laid them down, but for the dust limit, which is the side's own.
func constraints(laidDown, own *channel.Terms) *lnrpc.ChannelConstraints {
	return &lnrpc.ChannelConstraints{
		CsvDelay: uint32(laidDown.ToSelfDelay), ChanReserveSat: uint64(laidDown.Reserve), DustLimitSat: uint64(own.DustLimit),
		MaxPendingAmtMsat: uint64(laidDown.MaxHTLCValueInFlight), MinHtlcMsat: uint64(laidDown.HTLCMinimum),
		MaxAcceptedHtlcs: uint32(laidDown.MaxAcceptedHTLCs),
	}
}

// statusFlags are lnd's names for what is unusual about a channel.
func statusFlags(c *channel.Info) string {
	switch {
	case c.Behind:
		return "ChanStatusLocalDataLoss"
	case c.Doubted:
		return "ChanStatusRestored"
	case c.Phase == pb.Phase_AGREED:
		return "ChanStatusCoopBroadcasted"
	case c.Phase == pb.Phase_CLOSING:
		return "ChanStatusCommitBroadcasted"
	default:
		return "ChanStatusDefault"
	}
}

func isZero[T comparable](v T) bool {
	var zero T
	return v == zero
}
