package rpc

import (
	"context"

	"github.com/btcsuite/btcd/btcutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/actors/peerbook"
	"stormcell/messages/lnrpc"
	"stormcell/peer/address"
)

// GetNodeInfo implements lnrpc.LightningServer. Without gossip the only node that is known well enough to describe is this one.
func (l *lightning) GetNodeInfo(ctx context.Context, r *lnrpc.NodeInfoRequest) (*lnrpc.NodeInfo, error) {
	key, err := parseKey(r.PubKey)
	if err != nil {
		return nil, err
	}
	n := l.node()
	self := peerbook.NodeKey(n.Key.SerializeCompressed())
	if key != self {
		return nil, status.Error(codes.NotFound, "unable to find node")
	}
	if r.IncludeChannels {
		return nil, status.Error(codes.Unimplemented, "include_channels: this node knows no graph; ListChannels lists its channels")
	}
	channels, err := n.Channels.List(ctx)
	if err != nil {
		return nil, refused(err)
	}
	out := &lnrpc.NodeInfo{Node: &lnrpc.LightningNode{
		PubKey: self.String(), Alias: self.String()[:aliasLength], Color: color, Features: features(n.Features),
	}}
	if at, ok := n.reachable(); ok {
		out.Node.Addresses = []*lnrpc.NodeAddress{{Network: "tcp", Addr: at.String()}}
	}
	var capacity btcutil.Amount
	for _, c := range channels {
		if stageOf(&c) == open {
			out.NumChannels++
			capacity += c.Capacity
		}
	}
	out.TotalCapacity = int64(capacity)
	return out, nil
}

// reachable is where others can connect to the node. An address that says "all of them" is nothing that they could dial.
func (n *Node) reachable() (address.Address, bool) {
	at, err := address.Parse(n.PeerAddr.String(), 0)
	if err != nil {
		return address.Address{}, false
	}
	ip, ok := at.AddrPort()
	return at, ok && !ip.Addr().IsUnspecified()
}
