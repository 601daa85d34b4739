package backend

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"stormcell/chain/fees"
)

var (
	// ErrNotFound says that the backend has no such block, or no block at that height of its best chain.
	ErrNotFound = errors.New("no such block")

	// ErrNoEstimate says that the backend has seen too little of the chain to estimate fees.
	ErrNoEstimate = errors.New("no fee estimate is available")

	// ErrWrongNetwork refuses a server that is on another network than this node.
	ErrWrongNetwork = errors.New("the chain server is on another network")
)

// BlockRef names a block and says how high it is.
type BlockRef struct {
	Height uint32
	Hash   chainhash.Hash
}

func (b BlockRef) String() string { return fmt.Sprintf("block %d (%s)", b.Height, b.Hash) }

// Chain is what a backend says about blocks. Answers are of the moment: the best chain may change between two calls.
// Package backend's Stream makes an order of them.
type Chain interface {
	// BestBlock is the tip of the best chain, as far as the backend has it.
	BestBlock(ctx context.Context) (BlockRef, error)

	// HashAt is the block at a height of the best chain. Above the tip it is ErrNotFound.
	HashAt(ctx context.Context, height uint32) (chainhash.Hash, error)

	// Header is the header of a block. Of a block that is not on the best chain it may be ErrNotFound.
	Header(ctx context.Context, hash chainhash.Hash) (*wire.BlockHeader, error)

	// Changed gives a channel that is closed when the best chain may have changed after this call. It may also be closed
	// for nothing.
	Changed() <-chan struct{}
}

// Backend is one source of the chain. All its methods are safe for concurrent use. An error that is none of those named is
// the backend's or the connection's: the same call may work later.
type Backend interface {
	Chain

	// Network is the network that the backend is on. It was checked when the backend was started.
	Network() Network

	// Block is a whole block. Of a block that is not on the best chain it may be ErrNotFound.
	Block(ctx context.Context, hash chainhash.Hash) (*wire.MsgBlock, error)

	// BlockIfTouches is the block if one of its transactions may pay to one of the output scripts or spend from one, and
	// nil if certainly none does. With no scripts it is nil. A light client decides it by the block's filter (BIP 158) and
	// downloads nothing else; others always give the block.
	BlockIfTouches(ctx context.Context, hash chainhash.Hash, scripts [][]byte) (*wire.MsgBlock, error)

	// Publish hands a transaction to the network. What became of it is in the result; an error says that nobody could be
	// asked.
	Publish(ctx context.Context, tx *wire.MsgTx) (PublishResult, error)

	// EstimateFee is the fee rate at which a transaction should confirm within that many blocks, between fees.Floor and
	// fees.Cap. Without enough data it is ErrNoEstimate.
	EstimateFee(ctx context.Context, blocks uint32) (fees.SatPerKW, error)

	// Stop disconnects. Calls that are under way fail.
	Stop() error
}
