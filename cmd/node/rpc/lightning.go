package rpc

import (
	"context"
	"encoding/hex"

	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/chain/backend"
	"stormcell/cmd/node/version"
	"stormcell/messages/lnrpc"
	"stormcell/peer/address"
	"stormcell/peer/wire"
)

// lightning is lnd's Lightning. Its methods are called once the node runs: see Server.allow.
type lightning struct {
	lnrpc.UnimplementedLightningServer
	server *Server
}

func (l *lightning) node() *Node { return l.server.node.Load() }

// What a node of lnd's is called and painted with when nobody says.
const (
	aliasLength = 20 // digits of its key
	color       = "#3399ff"
)

// GetInfo implements lnrpc.LightningServer.
func (l *lightning) GetInfo(ctx context.Context, _ *lnrpc.GetInfoRequest) (*lnrpc.GetInfoResponse, error) {
	n := l.node()
	peers, err := connected(ctx, n.Peers)
	if err != nil {
		return nil, err
	}
	channels, err := n.Channels.List(ctx)
	if err != nil {
		return nil, refused(err)
	}
	tip, synced := n.Chain.SyncedTo()
	key := hex.EncodeToString(n.Key.SerializeCompressed())
	info := &lnrpc.GetInfoResponse{
		IdentityPubkey: key,
		Alias:          key[:aliasLength],
		Color:          color,
		NumPeers:       uint32(len(peers)),
		Version:        version.Number,
		CommitHash:     version.Commit(),
		Chains:         []*lnrpc.Chain{{Chain: "bitcoin", Network: networkName(l.server.o.Network)}},
		Features:       features(n.Features),
		BlockHeight:    tip.Height,
		BlockHash:      tip.Hash.String(),
		SyncedToChain:  synced,
		WalletSynced:   synced,
	}
	if found := n.Chain.TipFound(); !found.IsZero() {
		info.BestHeaderTimestamp = found.Unix()
	}
	for _, c := range channels {
		switch where := stageOf(&c); {
		case where == open && c.Active:
			info.NumActiveChannels++
		case where == open:
			info.NumInactiveChannels++
		case where == opening, where == waitingClose, where == forceClosed:
			info.NumPendingChannels++
		}
	}
	if at, ok := n.reachable(); ok {
		info.Uris = []string{address.Node{Key: n.Key, Address: at}.String()}
	}
	return info, nil
}

// networkName is what lnd calls a network.
func networkName(n backend.Network) string {
	if n == backend.Testnet3 {
		return "testnet"
	}
	return n.String()
}

// StopDaemon implements lnrpc.LightningServer.
func (l *lightning) StopDaemon(context.Context, *lnrpc.StopRequest) (*lnrpc.StopResponse, error) {
	l.server.log.Info("a client asks the daemon to stop")
	l.server.o.Stop()
	return &lnrpc.StopResponse{Status: "shutdown initiated, the log shows its progress"}, nil
}

// features describes a vector by its bits, with lnd's names.
func features(v wire.Features) map[uint32]*lnrpc.Feature {
	out := map[uint32]*lnrpc.Feature{}
	for _, bit := range v.Bits() {
		f := &lnrpc.Feature{Name: "unknown", IsRequired: bit%2 == 0, IsKnown: wire.Feature(bit &^ 1).Known()}
		if name, named := lnwire.Features[lnwire.FeatureBit(bit)]; named {
			f.Name = name
		}
		out[uint32(bit)] = f
	}
	return out
}
