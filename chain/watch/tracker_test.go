package watch_test

import (
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
	"stormcell/chain/watch"
)

var (
	scriptA = []byte{0x51, 0xaa}
	scriptB = []byte{0x51, 0xbb}
)

func TestTransactionIsFoundAtItsDepth(t *testing.T) {
	t.Parallel()
	l := newLedger()
	tx := pay(1, scriptB, scriptA)
	l.register(t, watch.Watch{ID: "w", Target: watch.Transaction{TxID: tx.TxHash(), Script: scriptA}, Depth: 3})
	require.Empty(t, l.mine(t, pay(2, scriptA), tx))
	require.Empty(t, l.mine(t))
	facts := l.mine(t)
	require.Equal(t, []watch.Fact{watch.Found{Watch: "w", Sighting: watch.Sighting{
		Block: l.at(1), TxIndex: 1, Tx: tx, Index: 1,
	}}}, facts)
	require.Empty(t, l.mine(t), "told once")
}

func TestTransactionThatPaysToAnotherScriptIsNotFound(t *testing.T) {
	t.Parallel()
	l := newLedger()
	tx := pay(1, scriptA)
	l.register(t, watch.Watch{ID: "w", Target: watch.Transaction{TxID: tx.TxHash(), Script: scriptB}, Depth: 1})
	require.Empty(t, l.mine(t, tx), "a light client would not see it, so nobody does")
}

func TestSpendIsUndoneWithItsBlock(t *testing.T) {
	t.Parallel()
	l := newLedger()
	funding := pay(1, scriptA)
	point := wire.OutPoint{Hash: funding.TxHash()}
	l.register(t, watch.Watch{ID: "w", Target: watch.Spend{OutPoint: point, Script: scriptA}, Depth: 1})
	l.mine(t, funding)
	first, second := spend(2, point), spend(3, point)
	require.Equal(t, first, only[watch.Found](t, l.mine(t, first)).Tx)

	undone := only[watch.Undone](t, l.disconnect(t))
	require.Equal(t, first, undone.Tx)
	require.False(t, undone.Included)
	require.Equal(t, second, only[watch.Found](t, l.mine(t, second)).Tx)
}

func TestDepthIsLostBeforeTheBlock(t *testing.T) {
	t.Parallel()
	l := newLedger()
	tx := pay(1, scriptA)
	target := watch.Transaction{TxID: tx.TxHash(), Script: scriptA}
	l.register(t, watch.Watch{ID: "shallow", Target: target, Depth: 1})
	l.register(t, watch.Watch{ID: "deep", Target: target, Depth: 2})
	l.mine(t, tx)
	require.EqualValues(t, "deep", only[watch.Found](t, l.mine(t)).Watch)

	deep := only[watch.Undone](t, l.disconnect(t))
	require.EqualValues(t, "deep", deep.Watch)
	require.True(t, deep.Included)
	require.EqualValues(t, "shallow", only[watch.Undone](t, l.disconnect(t)).Watch)
}

func TestFactsOfOneBlockAreUndoneInReverse(t *testing.T) {
	t.Parallel()
	l := newLedger()
	a, b := pay(1, scriptA), pay(2, scriptB)
	l.register(t, watch.Watch{ID: "b", Target: watch.Payment{Script: scriptB}, Depth: 1})
	l.register(t, watch.Watch{ID: "a", Target: watch.Payment{Script: scriptA}, Depth: 1})
	l.register(t, watch.Watch{ID: "a again", Target: watch.Payment{Script: scriptA}, Depth: 1})
	require.Equal(t, []watch.ID{"a", "a again", "b"}, ids(l.mine(t, a, b)), "in the order of the chain, then of registration")
	require.Equal(t, []watch.ID{"b", "a again", "a"}, ids(l.disconnect(t)))
}

func TestWatchBelowTheTipIsSearchedBlockByBlock(t *testing.T) {
	t.Parallel()
	l := newLedger()
	early, late := pay(1, scriptA), pay(2, scriptA)
	l.mine(t)
	l.mine(t, early)
	l.mine(t, late)
	l.mine(t)
	l.register(t, watch.Watch{ID: "w", Target: watch.Payment{Script: scriptA}, Depth: 1, Since: 2})
	height, scripts, ok := l.tracker.Behind()
	require.True(t, ok)
	require.EqualValues(t, 2, height)
	require.Equal(t, [][]byte{scriptA}, scripts)
	require.Equal(t, early, only[watch.Found](t, l.catchUp(t)).Tx)
	_, _, ok = l.tracker.Behind()
	require.False(t, ok)
	require.Empty(t, l.tracker.Scripts(), "what was found need not be looked for")
}

func TestNewBlocksAreServedWhileOldOnesAreSearched(t *testing.T) {
	t.Parallel()
	l := newLedger()
	for range 5 {
		l.mine(t)
	}
	l.register(t, watch.Watch{ID: "old", Target: watch.Payment{Script: scriptA}, Depth: 1, Since: 1})
	l.register(t, watch.Watch{ID: "new", Target: watch.Payment{Script: scriptA}, Depth: 1, Since: 6})
	require.Equal(t, []watch.ID{"new"}, ids(l.mine(t, pay(1, scriptA))))
	require.Equal(t, []watch.ID{"old"}, ids(l.catchUp(t)))
}

func TestRegisteringAgainAfterRestart(t *testing.T) {
	t.Parallel()
	l := newLedger()
	tx := pay(1, scriptA)
	l.register(t, watch.Watch{ID: "w", Target: watch.Payment{Script: scriptA}, Depth: 2})
	l.mine(t, tx)
	told := only[watch.Found](t, l.mine(t)).Sighting
	again := watch.Watch{ID: "w", Target: watch.Payment{Script: scriptA}, Depth: 2, Since: 3, Told: &told}

	l.restart()
	require.Empty(t, l.register(t, again), "it still holds")
	require.Empty(t, l.catchUp(t))
	require.Len(t, l.disconnect(t), 1, "and is watched")

	l.restart()
	require.True(t, only[watch.Undone](t, l.register(t, again)).Included, "the depth was lost in between")
	require.Equal(t, told, only[watch.Found](t, l.mine(t)).Sighting)

	l.disconnect(t)
	l.disconnect(t)
	l.mine(t)
	l.mine(t, tx)
	l.mine(t)
	l.restart()
	require.False(t, only[watch.Undone](t, l.register(t, again)).Included, "the block has gone in between")
	require.Equal(t, l.at(2), only[watch.Found](t, l.catchUp(t)).Block)
}

// TestSearchGoesBackByItself reorganises the chain under a search before the tracker is told.
func TestSearchGoesBackByItself(t *testing.T) {
	t.Parallel()
	l := newLedger()
	tx := pay(1, scriptA)
	l.mine(t)
	l.mine(t, tx)
	for range 4 {
		l.mine(t)
	}
	l.register(t, watch.Watch{ID: "high", Target: watch.Payment{Script: scriptB}, Depth: 1, Since: 4})
	l.search(t)
	l.register(t, watch.Watch{ID: "low", Target: watch.Payment{Script: scriptA}, Depth: 1, Since: 1})
	var facts []watch.Fact
	for range 4 { // up to the other, and they go on together
		found, _ := l.search(t)
		facts = append(facts, found...)
	}
	require.Equal(t, l.at(2), only[watch.Found](t, facts).Block)

	l.chain.Reorganise(5, nil, nil, nil, []*wire.MsgTx{tx}, nil)
	facts = nil
	for range 3 { // blocks 5, 4 and 3 do not fit
		found, _ := l.search(t)
		facts = append(facts, found...)
	}
	require.Equal(t, []watch.ID{"low"}, ids(facts))
	require.IsType(t, watch.Undone{}, facts[0])
	facts = nil
	for ok := true; ok; {
		var found []watch.Fact
		found, ok = l.follow(t)
		facts = append(facts, found...)
	}
	require.Equal(t, l.at(5), only[watch.Found](t, append(facts, l.catchUp(t)...)).Block)
}

func TestForgottenWatchTellsNothing(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.mine(t)
	l.register(t, watch.Watch{ID: "live", Target: watch.Payment{Script: scriptA}, Depth: 1, Since: 2})
	l.register(t, watch.Watch{ID: "behind", Target: watch.Payment{Script: scriptA}, Depth: 1, Since: 1})
	l.tracker.Forget("live")
	l.tracker.Forget("behind")
	l.tracker.Forget("unknown")
	_, _, behind := l.tracker.Behind()
	require.False(t, behind)
	require.Empty(t, l.mine(t, pay(1, scriptA)))
}

func TestTrackerRefuses(t *testing.T) {
	t.Parallel()
	l := newLedger()
	hashAt := func(uint32) (chainhash.Hash, error) { return chainhash.Hash{}, backend.ErrNotFound }
	for name, w := range map[string]watch.Watch{
		"no target": {Depth: 1},
		"no script": {Depth: 1, Target: watch.Spend{}},
		"no depth":  {Target: watch.Payment{Script: scriptA}},
		"too deep":  {Target: watch.Payment{Script: scriptA}, Depth: 2017},
	} {
		_, err := l.tracker.Register(w, hashAt)
		require.ErrorIs(t, err, watch.ErrInvalidWatch, name)
	}
	tip := l.at(0)
	_, err := l.tracker.Connect(watch.Block{BlockRef: backend.BlockRef{Height: 1}, Previous: chainhash.Hash{1}})
	require.ErrorIs(t, err, watch.ErrNotNext)
	_, err = l.tracker.Disconnect(backend.BlockRef{Height: 5}, tip.Hash)
	require.ErrorIs(t, err, watch.ErrNotNext)
	_, err = l.tracker.Disconnect(tip, chainhash.Hash{})
	require.ErrorIs(t, err, watch.ErrNotNext, "the genesis block stays")
	_, err = l.tracker.Search(watch.Block{})
	require.ErrorIs(t, err, watch.ErrNotNext)
}
