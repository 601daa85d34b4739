package channel

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"

	"stormcell/chain/fees"
	"stormcell/peer/wire"
)

// Errors of the Client. Others are a *Refusal, an *OpenError, the kernel's, or the context's.
var (
	// ErrPeerNotConnected: there is no connection to that node.
	ErrPeerNotConnected = errors.New("peer is not connected")
	// ErrNoChannel: no channel that is not gone has this outpoint.
	ErrNoChannel = errors.New("no such channel")
	// ErrStillOpen: the channel does not close.
	ErrStillOpen = errors.New("the channel is not closing")
)

// OpenError says why nothing came of an opening that had begun: the peer's words, or ours.
type OpenError struct{ Reason string }

func (e *OpenError) Error() string { return "the channel was not opened: " + e.Reason }

// OpenRequest asks for a channel.
type OpenRequest struct {
	Peer     [33]byte // node id; it must be connected
	Capacity btcutil.Amount
	Push     wire.MilliSatoshi // a gift to the peer
	// FundingFeeRate is of the funding transaction. Zero asks the backend for a rate that confirms within ConfTarget blocks;
	// zero of that is for 6.
	FundingFeeRate fees.SatPerKW
	ConfTarget     uint32
	// CommitFeeRate is of the first commitments; zero is for what the node would set by itself.
	CommitFeeRate fees.SatPerKW
	Private       bool // it is not announced
	// ScidAlias: the peer must never know the channel by its place in the chain. Only for private channels.
	ScidAlias bool
	// ShutdownScript, if set, is where alone the channel may close to on our side; the peer holds us to it.
	ShutdownScript []byte
}

// CloseRequest asks to close a channel.
type CloseRequest struct {
	// Force publishes our commitment; the rest of the request has no meaning then.
	Force bool
	// Script is where our funds go; empty for an address of the wallet.
	Script []byte
	// FeeRate is what we would pay. Zero asks the backend for a rate that confirms within ConfTarget blocks; zero of that is
	// for 6.
	FeeRate    fees.SatPerKW
	ConfTarget uint32
}

// Client opens, lists and closes the channels of a node.
type Client struct{ shell *Shell }

// errNotBuilt is what a method gives that is not there yet.
var errNotBuilt = errors.New("channels are not connected to this node yet")

// Open opens a channel, and returns once both sides have signed and the funding transaction is published. When ctx ends
// before that, the channel may be opened all the same: List tells. The errors are ErrPeerNotConnected, a *Refusal, and
// *OpenError.
func (c Client) Open(ctx context.Context, want OpenRequest) (Opened, error) {
	return Opened{}, fmt.Errorf("open a channel: %w", errNotBuilt)
}

// List is every channel that is not gone, pending ones included, in the order in which they were begun.
func (c Client) List(ctx context.Context) ([]Info, error) {
	return nil, fmt.Errorf("list channels: %w", errNotBuilt)
}

// Closed is every channel that is gone and had a funding, oldest first.
func (c Client) Closed(ctx context.Context) ([]ClosedInfo, error) {
	return nil, fmt.Errorf("list closed channels: %w", errNotBuilt)
}

// Close closes a channel, and returns the id of the closing transaction once that is published: for a cooperative close,
// once the peer has agreed, which it does when no HTLC is left. The errors are ErrNoChannel and a *Refusal. A channel that
// closes already is not closed again: what it was waiting for is waited for.
func (c Client) Close(ctx context.Context, channel btcwire.OutPoint, want CloseRequest) (chainhash.Hash, error) {
	return chainhash.Hash{}, fmt.Errorf("close channel %v: %w", channel, errNotBuilt)
}

// AwaitSpent waits until a transaction that spends the channel's funding is in a block, and gives its id. The error is
// ErrNoChannel.
func (c Client) AwaitSpent(ctx context.Context, channel btcwire.OutPoint) (chainhash.Hash, error) {
	return chainhash.Hash{}, fmt.Errorf("wait for the end of channel %v: %w", channel, errNotBuilt)
}

// SetFeeRate proposes another fee rate for the commitments of a channel that we opened. The node's own estimate may change
// it again. The errors are ErrNoChannel and a *Refusal.
func (c Client) SetFeeRate(ctx context.Context, channel btcwire.OutPoint, rate fees.SatPerKW) error {
	return fmt.Errorf("set the fee rate of channel %v: %w", channel, errNotBuilt)
}
