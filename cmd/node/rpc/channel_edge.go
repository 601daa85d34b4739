package rpc

import (
	"context"
	"encoding/hex"

	btcwire "github.com/btcsuite/btcd/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/actors/channel"
	"stormcell/messages/lnrpc"
)

// GetChanInfo implements lnrpc.LightningServer. Of others' channels nothing is known without gossip.
func (l *lightning) GetChanInfo(ctx context.Context, r *lnrpc.ChanInfoRequest) (*lnrpc.ChannelEdge, error) {
	var wanted func(c *channel.Info) bool
	switch {
	case r.ChanId != 0:
		wanted = func(c *channel.Info) bool { return c.Scid.ToUint64() == r.ChanId }
	case r.ChanPoint != "":
		at, err := btcwire.NewOutPointFromString(r.ChanPoint)
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "chan_point: %v", err)
		}
		wanted = func(c *channel.Info) bool { return c.Outpoint == *at }
	default:
		return nil, status.Error(codes.InvalidArgument, "specify either chan_id or chan_point")
	}
	n := l.node()
	channels, err := n.Channels.List(ctx)
	if err != nil {
		return nil, refused(err)
	}
	for _, c := range channels {
		if stage := stageOf(&c); (stage == open || stage == waitingClose) && wanted(&c) {
			return channelEdge(&c, [33]byte(n.Key.SerializeCompressed())), nil
		}
	}
	return nil, status.Error(codes.NotFound, "edge not found")
}

// channelEdge describes a channel as both its ends would announce it: node 1 has the lesser key (BOLT 7, "The
// channel_announcement Message").
func channelEdge(c *channel.Info, self [33]byte) *lnrpc.ChannelEdge {
	node1, node2 := hex.EncodeToString(self[:]), hex.EncodeToString(c.Peer[:])
	if node1 > node2 {
		node1, node2 = node2, node1
	}
	return &lnrpc.ChannelEdge{
		ChannelId: c.Scid.ToUint64(), ChanPoint: c.Outpoint.String(), Node1Pub: node1, Node2Pub: node2, Capacity: int64(c.Capacity),
	}
}
