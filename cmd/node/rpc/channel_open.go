package rpc

import (
	"context"
	"errors"

	"github.com/btcsuite/btcd/btcutil"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/actors/channel"
	pb "stormcell/messages/channel"
	"stormcell/messages/lnrpc"
)

// OpenChannel implements lnrpc.LightningServer.
func (l *lightning) OpenChannel(r *lnrpc.OpenChannelRequest, out lnrpc.Lightning_OpenChannelServer) error {
	want, err := l.openRequest(r)
	if err != nil {
		return err
	}
	at, err := l.open(out.Context(), want)
	if err != nil {
		return err
	}
	err = out.Send(&lnrpc.OpenStatusUpdate{Update: &lnrpc.OpenStatusUpdate_ChanPending{
		ChanPending: &lnrpc.PendingUpdate{Txid: at.Hash[:], OutputIndex: at.Index},
	}})
	if err != nil {
		return err
	}
	if err := l.awaitReady(out.Context(), at); err != nil {
		return err
	}
	return out.Send(&lnrpc.OpenStatusUpdate{Update: &lnrpc.OpenStatusUpdate_ChanOpen{
		ChanOpen: &lnrpc.ChannelOpenUpdate{ChannelPoint: channelPoint(at)},
	}})
}

// OpenChannelSync implements lnrpc.LightningServer.
func (l *lightning) OpenChannelSync(
	ctx context.Context, r *lnrpc.OpenChannelRequest,
) (*lnrpc.ChannelPoint, error) {
	want, err := l.openRequest(r)
	if err != nil {
		return nil, err
	}
	at, err := l.open(ctx, want)
	if err != nil {
		return nil, err
	}
	return channelPoint(at), nil
}

func (l *lightning) open(ctx context.Context, want channel.OpenRequest) (btcwire.OutPoint, error) {
	opened, err := l.node().Channels.Open(ctx, want)
	if errors.Is(err, channel.ErrPeerNotConnected) {
		return btcwire.OutPoint{}, status.Errorf(codes.Unknown, "peer %x is not online", want.Peer)
	}
	if err != nil {
		return btcwire.OutPoint{}, refused(err)
	}
	return opened.Outpoint, nil
}

// awaitReady waits until a channel can be used. It is refused if the channel goes away before that.
func (l *lightning) awaitReady(ctx context.Context, at btcwire.OutPoint) error {
	return watched(l.node().Channels.Watch(ctx, func() (ready bool, err error) {
		c, err := l.find(ctx, at)
		if err != nil {
			return false, err
		}
		switch where := stageOf(&c); {
		case where == negotiating, where == opening, c.Phase == pb.Phase_WAIT_READY:
			return false, nil
		case where == open:
			return true, nil
		}
		return false, status.Errorf(codes.Aborted, "channel %v closes before it could be used", at)
	}))
}

// openRequest reads a request, and refuses what this node does not do.
func (l *lightning) openRequest(r *lnrpc.OpenChannelRequest) (channel.OpenRequest, error) {
	want := channel.OpenRequest{
		Capacity: btcutil.Amount(r.LocalFundingAmount), Private: r.Private, ScidAlias: r.ScidAlias,
	}
	if err := understood(r); err != nil {
		return want, err
	}
	switch {
	case r.LocalFundingAmount == 0:
		return want, status.Error(codes.InvalidArgument, "local funding amount must be non-zero")
	case r.LocalFundingAmount < 0 || r.LocalFundingAmount > btcutil.MaxSatoshi:
		return want, status.Errorf(codes.InvalidArgument, "local_funding_amount: %d sat are not an amount", r.LocalFundingAmount)
	case r.PushSat < 0:
		return want, status.Errorf(codes.InvalidArgument, "push_sat: %d sat are not an amount", r.PushSat)
	case r.PushSat >= r.LocalFundingAmount:
		return want, status.Error(codes.InvalidArgument,
			"amount pushed to remote peer for initial state must be below the local funding amount")
	case r.MinHtlcMsat < 0 || r.MinHtlcMsat > 1:
		return want, status.Error(codes.Unimplemented, "min_htlc_msat: this node's channels take HTLCs of 1 msat and more")
	case r.MinConfs < 0 || r.MinConfs > 1:
		return want, status.Error(codes.Unimplemented, "min_confs: a channel is funded with coins of 1 confirmation or more")
	case r.CommitmentType != lnrpc.CommitmentType_UNKNOWN_COMMITMENT_TYPE && r.CommitmentType != lnrpc.CommitmentType_ANCHORS:
		return want, status.Errorf(codes.Unimplemented, "this node has no channels of commitment type %d, only anchors",
			r.CommitmentType)
	case r.ScidAlias && !r.Private:
		return want, status.Error(codes.InvalidArgument, "option-scid-alias is for private channels only")
	}
	want.Push = lnwire.NewMSatFromSatoshis(btcutil.Amount(r.PushSat))
	var err error
	if want.FundingFeeRate, want.ConfTarget, err = feePreference(r.SatPerVbyte, r.TargetConf); err != nil {
		return want, err
	}
	if r.CloseAddress != "" {
		if want.ShutdownScript, err = l.scriptOf(r.CloseAddress); err != nil {
			return want, err
		}
	}
	want.Peer, err = l.peerOf(r)
	return want, err
}

// peerOf is the other side of a channel that is wanted.
func (l *lightning) peerOf(r *lnrpc.OpenChannelRequest) ([33]byte, error) {
	read := func() ([33]byte, error) {
		if len(r.NodePubkey) > 0 {
			key, err := parseKeyBytes(r.NodePubkey)
			return key, err
		}
		if r.NodePubkeyString == "" {
			return [33]byte{}, status.Error(codes.InvalidArgument, "NodePubkey is not set")
		}
		key, err := parseKey(r.NodePubkeyString)
		return key, err
	}
	key, err := read()
	if err == nil && key == [33]byte(l.node().Key.SerializeCompressed()) {
		return key, status.Error(codes.InvalidArgument, "cannot open channel to self")
	}
	return key, err
}
