package watch

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"stormcell/chain/backend"
)

// SafeDepth is how deep a block must lie to be beyond any reorganisation that this package expects: one day.
const SafeDepth = 144

// maxDepth bounds Watch.Depth: two weeks.
const maxDepth = 2016

// ErrInvalidWatch refuses a watch that could never find anything.
var ErrInvalidWatch = errors.New("invalid watch")

// ID names a watch. Who registers it chooses it; no two watches share one.
type ID string

// Target is what a watch looks for: a Transaction, a Payment or a Spend.
type Target interface {
	// script is what a block filter is asked for (BIP 158).
	script() []byte
}

// Transaction looks for a transaction. Script is that of one of its outputs: without it a light client cannot look.
type Transaction struct {
	TxID   chainhash.Hash
	Script []byte
}

// Payment looks for the first transaction that pays to an output script.
type Payment struct{ Script []byte }

// Spend looks for the transaction that spends an output. Script is that output's.
type Spend struct {
	OutPoint wire.OutPoint
	Script   []byte
}

func (t Transaction) script() []byte { return t.Script }
func (t Payment) script() []byte     { return t.Script }
func (t Spend) script() []byte       { return t.Script }

// Watch asks to be told when a transaction that Target describes is Depth blocks deep.
type Watch struct {
	ID     ID
	Target Target
	Depth  uint32 // 1: as soon as it is in a block

	// Since is the height of the first block to look at. After a restart it may be as high as the tip that was seen last,
	// less SafeDepth.
	Since uint32

	// Told is what the owner of the watch was told and has not been told to be undone; nil for nothing. If it no longer
	// holds, the first fact is that it is undone; if it does, it is not told again. Its Tx may be nil.
	Told *Sighting
}

func (w Watch) validate() error {
	switch {
	case w.Target == nil || len(w.Target.script()) == 0:
		return fmt.Errorf("watch %q has no script to look for: %w", w.ID, ErrInvalidWatch)
	case w.Depth == 0 || w.Depth > maxDepth:
		return fmt.Errorf("watch %q wants a depth of %d, which is not from 1 to %d: %w", w.ID, w.Depth, maxDepth,
			ErrInvalidWatch)
	}
	return nil
}

// Sighting is a transaction that a watch found in a block of the best chain.
type Sighting struct {
	Block   backend.BlockRef
	TxIndex uint32      // of the transaction in the block
	Tx      *wire.MsgTx // shared: nobody may change it
	Index   uint32      // of the input that spends the output, for Spend; else of the output that pays to the script
}

// before tells whether the sighting is lower on the chain.
func (s Sighting) before(other Sighting) bool {
	if s.Block.Height != other.Block.Height {
		return s.Block.Height < other.Block.Height
	}
	if s.TxIndex != other.TxIndex {
		return s.TxIndex < other.TxIndex
	}
	return s.Index < other.Index
}

// Fact is one thing a watch tells: Found or Undone.
type Fact interface{ About() ID }

// Found says that what the watch looks for is on the best chain, as deep as it asked.
type Found struct {
	Watch ID
	Sighting
}

// Undone takes back a Found. With Included its block is still on the best chain, and only the depth is lost.
type Undone struct {
	Watch ID
	Sighting
	Included bool
}

func (f Found) About() ID  { return f.Watch }
func (f Undone) About() ID { return f.Watch }
