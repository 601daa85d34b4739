package watch

import (
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"stormcell/chain/backend"
)

// lane is a set of watches for which all blocks up to the same one have been searched.
type lane struct {
	at      backend.BlockRef   // with a zero hash: any block at that height
	live    bool               // the lane at the tip, which is told the way back; others keep a trail
	trail   []backend.BlockRef // the blocks that were searched, up to at
	entries []*entry           // by number

	// The entries again, by what they look for.
	txids     map[chainhash.Hash][]*entry
	payments  map[string][]*entry
	outpoints map[wire.OutPoint][]*entry

	found map[uint32][]*entry // by the height of the block that they were found in
	facts map[uint32][]*entry // those found, by the height of the tip that makes them deep enough
}

// entry is a watch and what it found.
type entry struct {
	watch  Watch
	number uint64 // in the order of registration
	found  *Sighting
}

// trueAt is the lowest height of a tip with which what was found is deep enough.
func (e *entry) trueAt() uint32 { return e.found.Block.Height + e.watch.Depth - 1 }

// byChain is the order in which facts come about at one block.
func byChain(a, b *entry) int {
	switch {
	case a.found.before(*b.found):
		return -1
	case b.found.before(*a.found):
		return 1
	case a.number < b.number:
		return -1
	default:
		return 1
	}
}

func newLane(at backend.BlockRef) *lane {
	return &lane{
		at: at, txids: make(map[chainhash.Hash][]*entry), payments: make(map[string][]*entry),
		outpoints: make(map[wire.OutPoint][]*entry), found: make(map[uint32][]*entry), facts: make(map[uint32][]*entry),
	}
}

func (l *lane) add(e *entry) {
	place, _ := slices.BinarySearchFunc(l.entries, e.number, func(other *entry, number uint64) int {
		return int(other.number) - int(number)
	})
	l.entries = slices.Insert(l.entries, place, e)
	switch target := e.watch.Target.(type) {
	case Transaction:
		l.txids[target.TxID] = append(l.txids[target.TxID], e)
	case Payment:
		l.payments[string(target.Script)] = append(l.payments[string(target.Script)], e)
	case Spend:
		l.outpoints[target.OutPoint] = append(l.outpoints[target.OutPoint], e)
	}
	if e.found != nil {
		l.note(e)
	}
}

func (l *lane) remove(e *entry) {
	place := slices.Index(l.entries, e)
	if place < 0 {
		return
	}
	l.entries = slices.Delete(l.entries, place, place+1)
	switch target := e.watch.Target.(type) {
	case Transaction:
		drop(l.txids, target.TxID, e)
	case Payment:
		drop(l.payments, string(target.Script), e)
	case Spend:
		drop(l.outpoints, target.OutPoint, e)
	}
	if e.found != nil {
		drop(l.found, e.found.Block.Height, e)
		drop(l.facts, e.trueAt(), e)
	}
}

func drop[K comparable](index map[K][]*entry, key K, e *entry) {
	left := slices.DeleteFunc(index[key], func(other *entry) bool { return other == e })
	if len(left) == 0 {
		delete(index, key)
		return
	}
	index[key] = left
}

// take adds all of another lane at the same block.
func (l *lane) take(other *lane) {
	for _, e := range other.entries {
		l.add(e)
	}
	if !l.live && len(other.trail) > len(l.trail) {
		l.trail = other.trail
	}
}

func (l *lane) note(e *entry) {
	l.found[e.found.Block.Height] = append(l.found[e.found.Block.Height], e)
	l.facts[e.trueAt()] = append(l.facts[e.trueAt()], e)
}

// scripts are those of the watches that have found nothing yet.
func (l *lane) scripts() [][]byte {
	var scripts [][]byte
	for _, e := range l.entries {
		if e.found == nil {
			scripts = append(scripts, e.watch.Target.script())
		}
	}
	return scripts
}

// precedes tells whether the block lies on the last one that was searched.
func (l *lane) precedes(block Block) bool {
	return block.Height == l.at.Height+1 && (block.Previous == l.at.Hash || l.at.Hash == chainhash.Hash{})
}

func (l *lane) connect(block Block) []Fact {
	for i, tx := range block.Txs {
		l.search(block.BlockRef, uint32(i), tx)
	}
	l.at = block.BlockRef
	if !l.live {
		l.trail = append(l.trail, l.at)
	}
	slices.SortFunc(l.facts[l.at.Height], byChain)
	var facts []Fact
	for _, e := range l.facts[l.at.Height] {
		facts = append(facts, Found{Watch: e.watch.ID, Sighting: *e.found})
	}
	return facts
}

func (l *lane) search(block backend.BlockRef, txIndex uint32, tx *wire.MsgTx) {
	see := func(entries []*entry, index int) {
		for _, e := range entries {
			if e.found == nil {
				e.found = &Sighting{Block: block, TxIndex: txIndex, Tx: tx, Index: uint32(index)}
				l.note(e)
			}
		}
	}
	if len(l.outpoints) > 0 {
		for i, in := range tx.TxIn {
			see(l.outpoints[in.PreviousOutPoint], i)
		}
	}
	if len(l.payments) > 0 {
		for i, out := range tx.TxOut {
			see(l.payments[string(out.PkScript)], i)
		}
	}
	if len(l.txids) > 0 {
		for _, e := range l.txids[tx.TxHash()] {
			if index := paysTo(tx, e.watch.Target.script()); index >= 0 {
				see([]*entry{e}, index)
			}
		}
	}
}

func paysTo(tx *wire.MsgTx, script []byte) int {
	return slices.IndexFunc(tx.TxOut, func(out *wire.TxOut) bool { return string(out.PkScript) == string(script) })
}

// back disconnects the last block that was searched, by the lane's own trail.
func (l *lane) back() []Fact {
	var previous chainhash.Hash // of any block, when there was none before
	if l.trail = l.trail[:max(len(l.trail)-1, 0)]; len(l.trail) > 0 {
		previous = l.trail[len(l.trail)-1].Hash
	}
	return l.disconnect(previous)
}

// disconnect takes the last block that was searched off.
func (l *lane) disconnect(previous chainhash.Hash) []Fact {
	height := l.at.Height
	undone := slices.SortedFunc(slices.Values(l.facts[height]), byChain)
	slices.Reverse(undone)
	var facts []Fact
	for _, e := range undone {
		facts = append(facts, Undone{
			Watch: e.watch.ID, Sighting: *e.found, Included: e.found.Block.Height < height,
		})
	}
	for _, e := range l.found[height] {
		drop(l.facts, e.trueAt(), e)
		e.found = nil
	}
	delete(l.found, height)
	l.at = backend.BlockRef{Height: height - 1, Hash: previous}
	return facts
}
