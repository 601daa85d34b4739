package watch_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/chain/backend"
	"stormcell/chain/watch"
)

// TestFactsFollowFromTheBestChain runs chains that grow and are reorganised, also while the tracker has not followed yet, with
// watches that come, go and are registered again after restarts. Whatever the way there, once the tracker is up to date the
// facts that were told and not undone are those that the best chain gives when it is read from its first block.
func TestFactsFollowFromTheBestChain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		t.Repeat(map[string]func(*rapid.T){
			"mine":       func(t *rapid.T) { m.chain.Mine(m.drawTxs(t)...) },
			"reorganise": m.reorganise,
			"register":   m.register,
			"forget":     m.forget,
			"follow":     func(t *rapid.T) { m.follow(t) },
			"search":     func(t *rapid.T) { m.search(t) },
			"restart":    m.restart,
			"catch up":   m.catchUp,
			"":           func(*rapid.T) {},
		})
		m.catchUp(t)
	})
}

var propertyScripts = [][]byte{{1}, {2}, {3}}

// model is a ledger, with what its watches were told.
type model struct {
	*ledger
	made    []*wire.MsgTx // all transactions ever made
	watches map[watch.ID]watch.Watch
	told    map[watch.ID]watch.Sighting
}

func newModel() *model {
	return &model{
		ledger: newLedger(), watches: make(map[watch.ID]watch.Watch), told: make(map[watch.ID]watch.Sighting),
	}
}

func (m *model) reorganise(t *rapid.T) {
	best, _ := m.chain.BestBlock(context.Background())
	depth := rapid.IntRange(0, min(5, int(best.Height))).Draw(t, "depth")
	m.chain.Reorganise(depth)
	for range depth + rapid.IntRange(0, 1).Draw(t, "more") {
		m.chain.Mine(m.drawTxs(t)...)
	}
}

// drawTxs makes transactions, or takes up those that a reorganisation left behind. On one chain none is twice, and no output
// is spent twice.
func (m *model) drawTxs(t *rapid.T) []*wire.MsgTx {
	spent := make(map[wire.OutPoint]bool)
	mined := make(map[chainhash.Hash]bool)
	note := func(tx *wire.MsgTx) {
		mined[tx.TxHash()] = true
		for _, in := range tx.TxIn {
			spent[in.PreviousOutPoint] = true
		}
	}
	m.each(func(_ watch.Sighting, tx *wire.MsgTx) { note(tx) })
	var txs []*wire.MsgTx
	for range rapid.IntRange(0, 3).Draw(t, "transactions") {
		tx := pay(uint32(len(m.made)), rapid.SliceOfN(rapid.SampledFrom(propertyScripts), 0, 2).Draw(t, "scripts")...)
		if len(m.made) > 0 && rapid.Bool().Draw(t, "again") {
			tx = rapid.SampledFrom(m.made).Draw(t, "transaction")
		} else {
			for range rapid.IntRange(0, 2).Draw(t, "inputs") {
				point := drawOutPoint(t)
				tx.AddTxIn(wire.NewTxIn(&point, nil, nil))
			}
			m.made = append(m.made, tx)
		}
		twice := mined[tx.TxHash()] || len(tx.TxIn) == 2 && tx.TxIn[0].PreviousOutPoint == tx.TxIn[1].PreviousOutPoint
		for _, in := range tx.TxIn {
			twice = twice || spent[in.PreviousOutPoint]
		}
		if !twice {
			note(tx)
			txs = append(txs, tx)
		}
	}
	return txs
}

func drawOutPoint(t *rapid.T) wire.OutPoint {
	return wire.OutPoint{Index: rapid.Uint32Range(0, 4).Draw(t, "output")}
}

// each calls seen with the transactions of the best chain, in order.
func (m *model) each(seen func(at watch.Sighting, tx *wire.MsgTx)) {
	best, _ := m.chain.BestBlock(context.Background())
	for height := range best.Height + 1 {
		block, _ := m.chain.Block(context.Background(), m.at(height).Hash)
		for i, tx := range block.Transactions {
			seen(watch.Sighting{Block: m.at(height), TxIndex: uint32(i), Tx: tx}, tx)
		}
	}
}

func (m *model) register(t *rapid.T) {
	w := watch.Watch{
		ID:    watch.ID(fmt.Sprint(rapid.IntRange(0, 6).Draw(t, "watch"))),
		Depth: rapid.Uint32Range(1, 4).Draw(t, "depth"),
		Since: rapid.Uint32Range(0, m.tracker.Tip().Height+1).Draw(t, "since"),
	}
	script := rapid.SampledFrom(propertyScripts).Draw(t, "script")
	switch kind := rapid.IntRange(0, 2).Draw(t, "kind"); {
	case kind == 0:
		w.Target = watch.Payment{Script: script}
	case kind == 1 && len(m.made) > 0:
		w.Target = watch.Transaction{TxID: rapid.SampledFrom(m.made).Draw(t, "transaction").TxHash(), Script: script}
	default:
		w.Target = watch.Spend{OutPoint: drawOutPoint(t), Script: script}
	}
	delete(m.told, w.ID)
	m.watches[w.ID] = w
	m.hear(t, m.ledger.register(t, w))
}

func (m *model) forget(t *rapid.T) {
	id := watch.ID(fmt.Sprint(rapid.IntRange(0, 6).Draw(t, "watch")))
	delete(m.watches, id)
	delete(m.told, id)
	m.tracker.Forget(id)
}

// restart makes a new tracker. Each watch is registered with what it was told, from where it began.
func (m *model) restart(t *rapid.T) {
	m.reach(m.ledger.tracker.Tip(), m.forkHeight())
	m.ledger.restart()
	for _, id := range slices.Sorted(maps.Keys(m.watches)) {
		w := m.watches[id]
		if told, ok := m.told[id]; ok {
			w.Told = &told
			if rapid.Bool().Draw(t, "without transaction") {
				w.Told.Tx = nil
			}
			m.told[id] = told
		}
		m.hear(t, m.ledger.register(t, w))
	}
}

// forkHeight is the highest block that the tracker's chain and the best chain share.
func (m *model) forkHeight() uint32 {
	height := m.tracker.Tip().Height
	for m.path[height] != m.at(height).Hash {
		height--
	}
	return height
}

// reach widens the watches: one that was up to date sees all blocks that take the place of others, also below Since.
func (m *model) reach(tip backend.BlockRef, fork uint32) {
	if fork == tip.Height {
		return
	}
	for id, w := range m.watches {
		w.Since = min(w.Since, fork+1)
		m.watches[id] = w
	}
}

func (m *model) follow(t *rapid.T) bool {
	before := m.tracker.Tip()
	facts, ok := m.ledger.follow(t)
	if ok && m.tracker.Tip().Height < before.Height {
		m.reach(before, m.tracker.Tip().Height)
		requireReverse(t, facts)
	}
	m.hear(t, facts)
	return ok
}

func (m *model) search(t *rapid.T) bool {
	facts, ok := m.ledger.search(t)
	m.hear(t, facts)
	return ok
}

// hear keeps what was told, and checks that it is told once and undone once.
func (m *model) hear(t *rapid.T, facts []watch.Fact) {
	for _, fact := range facts {
		switch fact := fact.(type) {
		case watch.Found:
			require.NotContains(t, m.told, fact.Watch, "told twice")
			m.told[fact.Watch] = fact.Sighting
		case watch.Undone:
			require.Contains(t, m.told, fact.Watch, "undone without having been told")
			require.Equal(t, place(m.told[fact.Watch]), place(fact.Sighting))
			delete(m.told, fact.Watch)
		}
	}
}

// catchUp lets the tracker follow and search all there is, and compares what was told with the best chain.
func (m *model) catchUp(t *rapid.T) {
	for m.follow(t) || m.search(t) {
	}
	told := make(map[watch.ID]watch.Sighting)
	for id, sighting := range m.told {
		told[id] = place(sighting)
	}
	require.Equal(t, m.fromScratch(), told)
}

// fromScratch reads the whole best chain for each watch.
func (m *model) fromScratch() map[watch.ID]watch.Sighting {
	best, _ := m.chain.BestBlock(context.Background())
	want := make(map[watch.ID]watch.Sighting)
	for id, w := range m.watches {
		found := false
		m.each(func(at watch.Sighting, tx *wire.MsgTx) {
			index := match(w.Target, tx)
			if found || index < 0 || at.Block.Height < w.Since {
				return
			}
			found = true
			if best.Height-at.Block.Height+1 >= w.Depth {
				at.Index = uint32(index)
				want[id] = place(at)
			}
		})
	}
	return want
}

// match is the input or output of tx that the target is about, -1 for none.
func match(target watch.Target, tx *wire.MsgTx) int {
	pays := func(script []byte) int {
		return slices.IndexFunc(tx.TxOut, func(out *wire.TxOut) bool { return slices.Equal(out.PkScript, script) })
	}
	switch target := target.(type) {
	case watch.Transaction:
		if tx.TxHash() != target.TxID {
			return -1
		}
		return pays(target.Script)
	case watch.Payment:
		return pays(target.Script)
	case watch.Spend:
		return slices.IndexFunc(tx.TxIn, func(in *wire.TxIn) bool { return in.PreviousOutPoint == target.OutPoint })
	default:
		return -1
	}
}

// place is a sighting without its transaction.
func place(s watch.Sighting) watch.Sighting {
	s.Tx = nil
	return s
}

// requireReverse checks that what a disconnected block undid comes in the reverse of the chain's order. The facts of watches
// that were behind, and so on another branch, come after them.
func requireReverse(t *rapid.T, facts []watch.Fact) {
	for i := 1; i < len(facts); i++ {
		a, b := facts[i-1].(watch.Undone).Sighting, facts[i].(watch.Undone).Sighting
		if a.Block.Height == b.Block.Height && a.Block != b.Block {
			return
		}
		higher := a.Block.Height > b.Block.Height ||
			a.Block == b.Block && (a.TxIndex > b.TxIndex || a.TxIndex == b.TxIndex && a.Index >= b.Index)
		require.True(t, higher, "undone out of order: %v before %v", place(a), place(b))
	}
}
