package watch

import (
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"stormcell/chain/backend"
)

// ErrNotNext refuses a block that cannot follow: it does not lie on the tip, is not the tip that is to be disconnected, or is
// not what Behind asked for.
var ErrNotNext = errors.New("this block is not the next")

// Block is a block as the tracker reads it. Transactions that touch none of the scripts it asked for may be left out only
// all together: then the block is empty.
type Block struct {
	backend.BlockRef
	Previous chainhash.Hash
	Txs      []*wire.MsgTx
}

// Tracker follows the best chain for any number of watches. It is plain state: the same calls give the same facts.
//
// A watch that begins below the tip joins a lane of its own, which is fed the blocks from there on until it meets the tip;
// watches at the same block share a lane. So new blocks are served while old ones are still searched.
type Tracker struct {
	live    *lane
	behind  []*lane // lowest first
	watches map[ID]*entry
	count   uint64 // of watches ever registered
}

// NewTracker begins at a block of the best chain.
func NewTracker(tip backend.BlockRef) *Tracker {
	live := newLane(tip)
	live.live = true
	return &Tracker{live: live, watches: make(map[ID]*entry)}
}

// Tip is the block up to which the tracker has followed the best chain.
func (t *Tracker) Tip() backend.BlockRef { return t.live.at }

// Register adds a watch, in place of one with the same ID. hashAt gives blocks of the chain that ends in Tip, by height; it is
// asked about what the watch was told, and its errors are returned and change nothing. A watch that cannot work is
// ErrInvalidWatch.
func (t *Tracker) Register(w Watch, hashAt func(height uint32) (chainhash.Hash, error)) ([]Fact, error) {
	if err := w.validate(); err != nil {
		return nil, err
	}
	e := &entry{watch: w}
	since := max(w.Since, 1) // nothing in the genesis block can be spent
	var facts []Fact
	if w.Told != nil {
		told := *w.Told
		included, err := t.includes(told.Block, hashAt)
		if err != nil {
			return nil, fmt.Errorf("register watch %q: %w", w.ID, err)
		}
		if included {
			e.found = &told
			since = t.Tip().Height + 1
		} else {
			since = max(min(since, told.Block.Height), 1)
		}
		if !included || e.trueAt() > t.Tip().Height {
			facts = append(facts, Undone{Watch: w.ID, Sighting: told, Included: included})
		}
	}
	t.Forget(w.ID)
	t.count++
	e.number = t.count
	t.watches[w.ID] = e
	joins := t.live
	if since <= t.Tip().Height {
		joins = newLane(backend.BlockRef{Height: since - 1})
		t.behind = append(t.behind, joins)
	}
	joins.add(e)
	t.settle()
	return facts, nil
}

func (t *Tracker) includes(block backend.BlockRef, hashAt func(uint32) (chainhash.Hash, error)) (bool, error) {
	if block.Height > t.Tip().Height {
		return false, nil
	}
	hash, err := hashAt(block.Height)
	return err == nil && hash == block.Hash, err
}

// Forget drops a watch. Nothing more is told about it.
func (t *Tracker) Forget(id ID) {
	e, ok := t.watches[id]
	if !ok {
		return
	}
	delete(t.watches, id)
	for _, l := range t.behind {
		l.remove(e)
	}
	t.live.remove(e)
	t.behind = slices.DeleteFunc(t.behind, func(l *lane) bool { return len(l.entries) == 0 })
}

// Scripts are what the next block that is connected must be searched for.
func (t *Tracker) Scripts() [][]byte { return t.live.scripts() }

// Connect puts a block on the tip. A block that does not lie on it is ErrNotNext.
func (t *Tracker) Connect(block Block) ([]Fact, error) {
	if !t.live.precedes(block) {
		return nil, fmt.Errorf("connect %s, which lies on %s, to %s: %w", block.BlockRef, block.Previous, t.Tip(), ErrNotNext)
	}
	facts := t.live.connect(block)
	t.settle()
	return facts, nil
}

// Disconnect takes the tip off; previous is the block below it. What its going undoes is told in the reverse of the order in
// which it had come about. A block that is not the tip is ErrNotNext.
func (t *Tracker) Disconnect(block backend.BlockRef, previous chainhash.Hash) ([]Fact, error) {
	if block != t.Tip() || block.Height == 0 {
		return nil, fmt.Errorf("disconnect %s from %s: %w", block, t.Tip(), ErrNotNext)
	}
	facts := t.live.disconnect(previous)
	for _, l := range t.behind { // one at this height is on another branch already
		if l.at.Height == block.Height {
			facts = append(facts, l.back()...)
		}
	}
	t.settle()
	return facts, nil
}

// Behind tells what has still to be searched: the block at a height of the best chain, for scripts. It is false when no watch
// is behind the tip.
func (t *Tracker) Behind() (height uint32, scripts [][]byte, ok bool) {
	if len(t.behind) == 0 {
		return 0, nil, false
	}
	lowest := t.behind[0]
	return min(lowest.at.Height+1, t.Tip().Height), lowest.scripts(), true
}

// Search reads the block that Behind asked for. The best chain may have been reorganised since the block below was searched, or
// be another than the one that ends in Tip until the tracker is told: what was searched is linked block by block, goes back when
// a block does not fit, and counts as up to date only when it ends in Tip.
func (t *Tracker) Search(block Block) ([]Fact, error) {
	height, _, ok := t.Behind()
	if !ok || block.Height != height {
		return nil, fmt.Errorf("search %s: nobody asked for it: %w", block.BlockRef, ErrNotNext)
	}
	lowest := t.behind[0]
	var facts []Fact
	switch {
	case lowest.precedes(block):
		facts = lowest.connect(block)
	case len(lowest.trail) == 0: // nothing was searched, so nothing has to go back
		lowest.at.Hash = chainhash.Hash{}
		if block.Height == lowest.at.Height {
			lowest.at = block.BlockRef
		}
	case block.BlockRef != lowest.at:
		facts = lowest.back()
	}
	t.settle()
	return facts, nil
}

// settle joins the lanes that are at the same block, and keeps them in order.
func (t *Tracker) settle() {
	slices.SortStableFunc(t.behind, func(a, b *lane) int { return int(a.at.Height) - int(b.at.Height) })
	lanes := slices.Concat(t.behind, []*lane{t.live})
	t.behind = t.behind[:0]
	for i, l := range lanes[:len(lanes)-1] {
		same := slices.IndexFunc(lanes[i+1:], func(other *lane) bool {
			return other.at == l.at || other.at.Height == 0 && l.at.Height == 0 // the genesis block is one
		})
		if same < 0 {
			t.behind = append(t.behind, l)
			continue
		}
		lanes[i+1+same].take(l)
	}
}
