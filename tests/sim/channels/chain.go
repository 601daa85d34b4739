package channels

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	btcwire "github.com/btcsuite/btcd/wire"

	"stormcell/actors/channel"
)

// baseHeight is the height before the first block of a run.
const baseHeight = 100

// chain is blocks and what waits to be in one.
type chain struct {
	blocks [][]*btcwire.MsgTx
	pool   []*btcwire.MsgTx
}

func (c *chain) height() uint32 { return baseHeight + uint32(len(c.blocks)) }

// publish takes a transaction unless it is there, or conflicts with one that is.
func (c *chain) publish(tx *btcwire.MsgTx) {
	for _, in := range tx.TxIn {
		if _, _, spent := c.spender(in.PreviousOutPoint); spent {
			return
		}
	}
	if !slices.ContainsFunc(c.pool, func(other *btcwire.MsgTx) bool { return conflict(tx, other) }) {
		c.pool = append(c.pool, tx)
	}
}

func conflict(a, b *btcwire.MsgTx) bool {
	return slices.ContainsFunc(a.TxIn, func(in *btcwire.TxIn) bool { return spends(b, in.PreviousOutPoint) })
}

func spends(tx *btcwire.MsgTx, outpoint btcwire.OutPoint) bool {
	return slices.ContainsFunc(tx.TxIn, func(in *btcwire.TxIn) bool { return in.PreviousOutPoint == outpoint })
}

// mine puts all that waits into a block.
func (c *chain) mine() {
	c.blocks, c.pool = append(c.blocks, c.pool), nil
}

// undo takes the newest block back.
func (c *chain) undo() {
	if n := len(c.blocks); n > 0 {
		c.pool, c.blocks = append(c.blocks[n-1], c.pool...), c.blocks[:n-1]
	}
}

// spender finds the transaction that spends an outpoint, and the height of its block.
func (c *chain) spender(outpoint btcwire.OutPoint) (*btcwire.MsgTx, uint32, bool) {
	for i, block := range c.blocks {
		for _, tx := range block {
			if spends(tx, outpoint) {
				return tx, baseHeight + uint32(i) + 1, true
			}
		}
	}
	return nil, 0, false
}

// maker finds the transaction that made an outpoint, and the height of its block.
func (c *chain) maker(outpoint btcwire.OutPoint) (*btcwire.MsgTx, uint32, bool) {
	for i, block := range c.blocks {
		for _, tx := range block {
			if tx.TxHash() == outpoint.Hash {
				return tx, baseHeight + uint32(i) + 1, true
			}
		}
	}
	return nil, 0, false
}

// depth is how many confirmations a transaction of a block has.
func (c *chain) depth(height uint32) uint32 { return c.height() + 1 - height }

// validSpend runs the scripts of a transaction that spends the funding output.
func validSpend(tx *btcwire.MsgTx, output *btcwire.TxOut) error {
	fetcher := txscript.NewCannedPrevOutputFetcher(output.PkScript, output.Value)
	engine, err := txscript.NewEngine(output.PkScript, tx, 0, txscript.StandardVerifyFlags, nil,
		txscript.NewTxSigHashes(tx, fetcher), output.Value, fetcher)
	if err == nil {
		err = engine.Execute()
	}
	if err != nil {
		return fmt.Errorf("transaction %s cannot spend the funding: %w", tx.TxHash(), err)
	}
	return nil
}

// watch is what a channel wants to know of the chain, and what it has been told.
type watch struct {
	channel.WatchFunding
	confirmed uint32 // height at which the funding was told to be, 0 for nowhere
	spent     bool
}

// watchFor begins with what the channel knows already.
func watchFor(e channel.WatchFunding) *watch {
	w := &watch{WatchFunding: e}
	if e.Told != nil {
		w.confirmed = e.Told.Height
	}
	return w
}

// news is what is to be told now.
func (w *watch) news(c *chain) []any {
	var out []any
	tx, height, there := c.maker(w.Outpoint)
	deep := there && c.depth(height) >= w.Depth
	if w.confirmed != 0 && (!deep || w.confirmed != height) {
		out = append(out, channel.FundingUndone{})
		w.confirmed = 0
	}
	if deep && w.confirmed == 0 {
		block := chainhash.HashH(binary.BigEndian.AppendUint32(nil, height))
		out = append(out, channel.FundingConfirmed{Tx: tx, Block: block, Height: height, TxIndex: 1})
		w.confirmed = height
	}
	if tx, height, there := c.spender(w.Outpoint); there && c.depth(height) >= w.Spent && !w.spent {
		out = append(out, channel.FundingSpent{Tx: tx, Height: height})
		w.spent = true
	}
	return out
}

// settled tells whether all that is to come has been told.
func (w *watch) settled(c *chain) bool {
	_, _, made := c.maker(w.Outpoint)
	_, _, spent := c.spender(w.Outpoint)
	return (!made || w.confirmed != 0) && (!spent || w.spent)
}
