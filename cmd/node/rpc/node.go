package rpc

import (
	"context"
	"net"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"

	"stormcell/actors/channel"
	"stormcell/actors/peerbook"
	"stormcell/actors/wallet"
	"stormcell/chain/backend"
	chainwallet "stormcell/chain/wallet"
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
	Wallet   Wallet
	Chain    Chain
}

// Peers are the connections to other nodes; peerbook.Client says what its methods do.
type Peers interface {
	Connect(ctx context.Context, want peerbook.Connect) error
	Keep(ctx context.Context, want peerbook.Keep) error
	Disconnect(ctx context.Context, key peerbook.NodeKey) error
	List(ctx context.Context) ([]peerbook.Peer, error)
}

// Wallet has the coins on the chain; wallet.Client says what its methods do.
type Wallet interface {
	NewAddress(ctx context.Context, branch chainwallet.Branch) (btcutil.Address, error)
	Coins(ctx context.Context) (wallet.Coins, error)
	Send(ctx context.Context, r wallet.SendRequest) (chainhash.Hash, error)
	Transactions(ctx context.Context) ([]chainwallet.Transaction, error)
}

// Chain tells how far the wallet has seen the chain.
type Chain interface {
	// SyncedTo is the last block, and whether that was the tip of the best chain.
	SyncedTo() (backend.BlockRef, bool)
}

// Channels are the node's channels; channel.Client says what its methods do.
type Channels interface {
	Open(ctx context.Context, want channel.OpenRequest) (channel.Opened, error)
	List(ctx context.Context) ([]channel.Info, error)
	Closed(ctx context.Context) ([]channel.ClosedInfo, error)
	Close(ctx context.Context, at btcwire.OutPoint, want channel.CloseRequest) (chainhash.Hash, error)
	AwaitSpent(ctx context.Context, at btcwire.OutPoint) (chainhash.Hash, error)
}
