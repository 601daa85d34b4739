package rpc

import (
	"context"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/actors/channel"
	"stormcell/messages/lnrpc"
)

// CloseChannel implements lnrpc.LightningServer.
func (l *lightning) CloseChannel(r *lnrpc.CloseChannelRequest, out lnrpc.Lightning_CloseChannelServer) error {
	ctx := out.Context()
	at, want, err := l.closeRequest(r)
	if err != nil {
		return err
	}
	c, err := l.find(ctx, at)
	if err != nil {
		return err
	}
	if err := closable(&c, r); err != nil {
		return err
	}
	if err := l.node().Channels.Close(ctx, at, want); err != nil {
		return refused(err)
	}
	if r.NoWait { // now that it is stored
		err := out.Send(&lnrpc.CloseStatusUpdate{Update: &lnrpc.CloseStatusUpdate_CloseInstant{
			CloseInstant: &lnrpc.InstantUpdate{NumPendingHtlcs: int32(len(c.HTLCs))},
		}})
		if err != nil {
			return err
		}
	}
	txid, err := l.node().Channels.AwaitClosing(ctx, at)
	if err != nil {
		return refused(err)
	}
	err = out.Send(&lnrpc.CloseStatusUpdate{Update: &lnrpc.CloseStatusUpdate_ClosePending{
		ClosePending: &lnrpc.PendingUpdate{Txid: txid[:]},
	}})
	if err != nil {
		return err
	}
	if txid, err = l.node().Channels.AwaitSpent(ctx, at); err != nil {
		return refused(err)
	}
	return out.Send(&lnrpc.CloseStatusUpdate{Update: &lnrpc.CloseStatusUpdate_ChanClose{
		ChanClose: &lnrpc.ChannelCloseUpdate{ClosingTxid: txid[:], Success: true},
	}})
}

// closeRequest reads a request, and refuses what this node does not do.
func (l *lightning) closeRequest(r *lnrpc.CloseChannelRequest) (btcwire.OutPoint, channel.CloseRequest, error) {
	want := channel.CloseRequest{Force: r.Force}
	if err := understood(r); err != nil {
		return btcwire.OutPoint{}, want, err
	}
	if r.ChannelPoint == nil {
		return btcwire.OutPoint{}, want, status.Error(codes.InvalidArgument, "must specify channel point in close channel")
	}
	at, err := parseChannelPoint(r.ChannelPoint)
	if err != nil {
		return at, want, err
	}
	switch {
	case r.Force && (r.SatPerVbyte != 0 || r.TargetConf != 0):
		return at, want, status.Error(codes.InvalidArgument, "force closing a channel uses a pre-defined fee")
	case r.Force && r.DeliveryAddress != "":
		return at, want, status.Error(codes.InvalidArgument,
			"force closing a channel pays to the wallet: no address can be chosen")
	}
	if want.FeeRate, want.ConfTarget, err = feePreference(r.SatPerVbyte, r.TargetConf); err != nil {
		return at, want, err
	}
	if r.DeliveryAddress != "" {
		want.Script, err = l.scriptOf(r.DeliveryAddress)
	}
	return at, want, err
}

// closable tells why a channel cannot be closed as the request wants it. Who does not want to wait hears at once that the channel
// will close, whatever that takes; others would wait for the peer and for HTLCs without knowing of it.
func closable(c *channel.Info, r *lnrpc.CloseChannelRequest) error {
	switch {
	case r.Force, r.NoWait, c.Trouble != "":
		return nil
	case !c.Connected:
		return status.Error(codes.Unknown, "unable to gracefully close channel while peer is offline (try force closing it instead, "+
			"or set no_wait=true to close it when the peer is back)")
	case len(c.HTLCs) > 0:
		return status.Errorf(codes.Unknown, "cannot coop close channel with active htlcs (number of active htlcs: %d), "+
			"bypass this check and initiate the coop close by setting no_wait=true", len(c.HTLCs))
	}
	return nil
}

// find finds a channel that is not gone.
func (l *lightning) find(ctx context.Context, at btcwire.OutPoint) (channel.Info, error) {
	all, err := l.node().Channels.List(ctx)
	if err != nil {
		return channel.Info{}, refused(err)
	}
	for _, c := range all {
		if c.Outpoint == at {
			return c, nil
		}
	}
	return channel.Info{}, status.Errorf(codes.NotFound, "channel not found: there is none at %v", at)
}

func channelPoint(at btcwire.OutPoint) *lnrpc.ChannelPoint {
	return &lnrpc.ChannelPoint{
		FundingTxid: &lnrpc.ChannelPoint_FundingTxidBytes{FundingTxidBytes: at.Hash[:]}, OutputIndex: at.Index,
	}
}

func parseChannelPoint(p *lnrpc.ChannelPoint) (btcwire.OutPoint, error) {
	var txid *chainhash.Hash
	var err error
	switch id := p.FundingTxid.(type) {
	case *lnrpc.ChannelPoint_FundingTxidBytes:
		txid, err = chainhash.NewHash(id.FundingTxidBytes)
	case *lnrpc.ChannelPoint_FundingTxidStr:
		txid, err = parseTxid(id.FundingTxidStr)
	default:
		return btcwire.OutPoint{}, status.Error(codes.InvalidArgument, "the channel point has no funding transaction")
	}
	if err != nil {
		return btcwire.OutPoint{}, status.Errorf(codes.InvalidArgument, "channel point: %v", err)
	}
	return btcwire.OutPoint{Hash: *txid, Index: p.OutputIndex}, nil
}
