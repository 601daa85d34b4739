package rpc

import (
	"context"

	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/actors/channel"
	"stormcell/chain/bolt3"
	"stormcell/messages/lnrpc"
	"stormcell/peer/wire"
)

// ChannelBalance implements lnrpc.LightningServer.
func (l *lightning) ChannelBalance(
	ctx context.Context, _ *lnrpc.ChannelBalanceRequest,
) (*lnrpc.ChannelBalanceResponse, error) {
	all, err := l.node().Channels.List(ctx)
	if err != nil {
		return nil, refused(err)
	}
	var local, remote, incoming, outgoing, openingLocal, openingRemote wire.MilliSatoshi
	for _, c := range all {
		ours, theirs := balances(&c)
		switch stageOf(&c) {
		case opening:
			openingLocal += ours
			openingRemote += theirs
		case open:
			local += ours
			remote += theirs
			for _, h := range c.HTLCs {
				if h.Incoming {
					incoming += h.Amount
				} else {
					outgoing += h.Amount
				}
			}
		}
	}
	return &lnrpc.ChannelBalanceResponse{
		Balance: int64(local.ToSatoshis()), PendingOpenBalance: int64(openingLocal.ToSatoshis()),
		LocalBalance: amount(local), RemoteBalance: amount(remote),
		UnsettledLocalBalance: amount(incoming), UnsettledRemoteBalance: amount(outgoing),
		PendingOpenLocalBalance: amount(openingLocal), PendingOpenRemoteBalance: amount(openingRemote),
	}, nil
}

// balances are what lnd calls the balances: the opener's is without what the commitment and its anchors cost.
func balances(c *channel.Info) (local, remote wire.MilliSatoshi) {
	spec := bolt3.Spec{}
	for _, h := range c.HTLCs {
		spec.HTLCs = append(spec.HTLCs, bolt3.HTLC{Amount: h.Amount})
	}
	fee := bolt3.BaseFee(c.FeeRate, spec.Untrimmed(c.LocalTerms.DustLimit))
	cost := lnwire.NewMSatFromSatoshis(fee + bolt3.AnchorsCost)
	local, remote = c.Local, c.Remote
	if c.Opener {
		return local - min(local, cost), remote
	}
	return local, remote - min(remote, cost)
}

func amount(a wire.MilliSatoshi) *lnrpc.Amount {
	return &lnrpc.Amount{Sat: uint64(a.ToSatoshis()), Msat: uint64(a)}
}
