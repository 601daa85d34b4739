package rpc

import (
	"context"
	"net"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"

	"stormcell/actors/channel"
	"stormcell/actors/peerbook"
	"stormcell/peer/wire"
)

// Node is a running node as clients see it. All must be set.
type Node struct {
	Key *btcec.PublicKey
	// PeerAddr is where it listens for peers.
	PeerAddr net.Addr
	// Features are what it offers its peers.
	Features wire.Features
	Peers    Peers
	Channels Channels
}

// Peers are the connections to other nodes; peerbook.Client says what its methods do.
type Peers interface {
	Connect(ctx context.Context, want peerbook.Connect) error
	Keep(ctx context.Context, want peerbook.Keep) error
	Disconnect(ctx context.Context, key peerbook.NodeKey) error
	List(ctx context.Context) ([]peerbook.Peer, error)
}

// Channels are the node's channels; channel.Client says what its methods do.
type Channels interface {
	Open(ctx context.Context, want channel.OpenRequest) (channel.Opened, error)
	List(ctx context.Context) ([]channel.Info, error)
	Closed(ctx context.Context) ([]channel.ClosedInfo, error)
	Close(ctx context.Context, at btcwire.OutPoint, want channel.CloseRequest) (chainhash.Hash, error)
	AwaitSpent(ctx context.Context, at btcwire.OutPoint) (chainhash.Hash, error)
}
