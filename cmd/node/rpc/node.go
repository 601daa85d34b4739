package rpc

import (
	"context"
	"net"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	invoices "stormcell/actors/invoice"
	"stormcell/actors/payment"
	"stormcell/actors/peerbook"
	"stormcell/actors/wallet"
	"stormcell/chain/backend"
	"stormcell/chain/fees"
	chainwallet "stormcell/chain/wallet"
	paymentpb "stormcell/messages/payment"
	"stormcell/peer/wire"
	"stormcell/persistence"
)

// Node is a running node as clients see it. All must be set.
type Node struct {
	Key *btcec.PublicKey
	// SignMessage signs with that key what a user hands in; keys.Signer says how.
	SignMessage func(text []byte) ([]byte, error)
	// PeerAddr is where it listens for peers.
	PeerAddr net.Addr
	// Features are what it offers its peers.
	Features wire.Features
	Peers    Peers
	Channels Channels
	Wallet   Wallet
	Chain    Chain
	Invoices Invoices
	Payments Payments
	Actors   Actors
	Journal  Journal
	// ChainSource says for people where the chain comes from.
	ChainSource string
	// Started is when the process was.
	Started time.Time
}

// Journal is the node's log; persistence.Badger says what the methods do.
type Journal interface {
	Stats() persistence.Stats
	Space() (persistence.Space, error)
}

// Actors are what the node is built of; durable.Kernel says what the methods do.
type Actors interface {
	Status() durable.Status
	Halted() []durable.Halt
	Retry(durable.Address) error
	DropMessage(durable.Address) error
}

// Peers are the connections to other nodes; peerbook.Client says what its methods do.
type Peers interface {
	Connect(ctx context.Context, want peerbook.Connect) error
	Keep(ctx context.Context, want peerbook.Keep) error
	Disconnect(ctx context.Context, key peerbook.NodeKey) error
	List(ctx context.Context) ([]peerbook.Peer, error)
	Watch(ctx context.Context, look func() error) error
}

// Wallet has the coins on the chain; wallet.Client says what its methods do.
type Wallet interface {
	NewAddress(ctx context.Context, branch chainwallet.Branch) (btcutil.Address, error)
	Coins(ctx context.Context) (wallet.Coins, error)
	Send(ctx context.Context, r wallet.SendRequest) (chainhash.Hash, error)
	Estimate(ctx context.Context, r wallet.SendRequest) (chainwallet.Selection, fees.SatPerKW, error)
	Transactions(ctx context.Context) ([]chainwallet.Transaction, error)
	Watch(ctx context.Context, look func() error) error
}

// Chain tells how far the wallet has seen the chain.
type Chain interface {
	// SyncedTo is the last block, and whether that was the tip of the best chain.
	SyncedTo() (backend.BlockRef, bool)
	// TipFound is when the tip of the best chain was found, as its miner says; zero while that is not known.
	TipFound() time.Time
}

// Invoices are payments to the node; invoice.Client says what its methods do.
type Invoices interface {
	Add(ctx context.Context, want invoices.Request, hash *[32]byte) (invoices.Info, error)
	Lookup(ctx context.Context, hash [32]byte) (invoices.Info, error)
	List(ctx context.Context, q invoices.Query) ([]invoices.Info, error)
	Settle(ctx context.Context, preimage [32]byte) error
	Cancel(ctx context.Context, hash [32]byte) error
	Subscribe(ctx context.Context, hash [32]byte, f func(invoices.Info) error) error
	SubscribeAll(ctx context.Context, since invoices.Since, f func(invoices.Event) error) error
}

// Payments are payments by the node; payment.Client says what its methods do.
type Payments interface {
	Pay(ctx context.Context, hash [32]byte, want *paymentpb.Request) (*paymentpb.Payment, error)
	Track(ctx context.Context, hash [32]byte, f func(*paymentpb.Payment) error) error
	TrackAll(ctx context.Context, f func(*paymentpb.Payment) error) error
	Abort(ctx context.Context, hash [32]byte) error
	Delete(ctx context.Context, hash [32]byte, failedAttemptsOnly bool) error
	DeleteAll(ctx context.Context, failedOnly, failedAttemptsOnly bool) (uint64, error)
	Lookup(ctx context.Context, hash [32]byte) (*paymentpb.Payment, error)
	List(ctx context.Context, sel payment.Selection) ([]*paymentpb.Payment, error)
	Count(ctx context.Context, wanted func(*paymentpb.Listed) bool) (uint64, error)
}

// Channels are the node's channels; channel.Client says what its methods do.
type Channels interface {
	Open(ctx context.Context, want channel.OpenRequest) (channel.Opened, error)
	List(ctx context.Context) ([]channel.Info, error)
	Closed(ctx context.Context) ([]channel.ClosedInfo, error)
	Scid(ctx context.Context, addr durable.Address) (wire.ShortChannelID, error)
	Close(ctx context.Context, at btcwire.OutPoint, want channel.CloseRequest) error
	AwaitClosing(ctx context.Context, at btcwire.OutPoint) (chainhash.Hash, error)
	AwaitSpent(ctx context.Context, at btcwire.OutPoint) (chainhash.Hash, error)
	Watch(ctx context.Context, look func() (enough bool, err error)) error
}
