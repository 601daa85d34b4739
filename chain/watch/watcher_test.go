package watch_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
	"stormcell/chain/backend/backendtest"
	"stormcell/chain/watch"
)

func TestWatcherTellsWhatHappens(t *testing.T) {
	t.Parallel()
	chain := backendtest.NewChain()
	old := pay(1, scriptA)
	chain.Mine(old)
	h := watching(t, chain)
	h.watch(t, watch.Watch{ID: "old", Target: watch.Payment{Script: scriptA}, Depth: 1})
	require.Equal(t, old, h.found(t, "old").Tx)

	point := wire.OutPoint{Hash: old.TxHash()}
	h.watch(t, watch.Watch{ID: "spend", Target: watch.Spend{OutPoint: point, Script: scriptA}, Depth: 1, Since: 2})
	chain.Mine(spend(2, point))
	require.EqualValues(t, 2, h.found(t, "spend").Tx.LockTime)

	chain.Reorganise(1, nil, []*wire.MsgTx{spend(3, point)})
	require.EqualValues(t, 2, h.undone(t, "spend").Tx.LockTime)
	require.EqualValues(t, 3, h.found(t, "spend").Tx.LockTime)
}

func TestWatcherForgets(t *testing.T) {
	t.Parallel()
	chain := backendtest.NewChain()
	h := watching(t, chain)
	h.watch(t, watch.Watch{ID: "dropped", Target: watch.Payment{Script: scriptA}, Depth: 1})
	h.watcher.Forget("dropped")
	h.watch(t, watch.Watch{ID: "kept", Target: watch.Payment{Script: scriptA}, Depth: 1})
	chain.Mine(pay(1, scriptA))
	require.EqualValues(t, "kept", h.next(t).About())
}

func TestWatcherRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	h := watching(t, backendtest.NewChain())
	require.ErrorIs(t, h.watcher.Watch(watch.Watch{}), watch.ErrInvalidWatch)
}

func TestWatcherTellsWhatChangedDuringARestart(t *testing.T) {
	t.Parallel()
	chain := backendtest.NewChain()
	tx := pay(1, scriptA)
	chain.Mine(tx)
	w := watch.Watch{ID: "w", Target: watch.Payment{Script: scriptA}, Depth: 1}
	before := watching(t, chain)
	before.watch(t, w)
	told := before.found(t, "w").Sighting
	before.stop()

	chain.Reorganise(1, nil, []*wire.MsgTx{tx})
	chain.ForgetStale()
	w.Told = &told
	after := watching(t, chain)
	after.watch(t, w)
	require.Equal(t, told, after.undone(t, "w").Sighting)
	require.EqualValues(t, 2, after.found(t, "w").Block.Height)
}

func TestWatcherBelievesNothingUndoneByABackendThatIsBehind(t *testing.T) {
	t.Parallel()
	chain := backendtest.NewChain()
	chain.Mine()
	tx := pay(1, scriptA)
	told := watch.Sighting{Block: chain.Mine(tx)}
	again := backendtest.NewChain() // which is downloaded anew
	h := watching(t, again)
	h.watch(t, watch.Watch{ID: "w", Target: watch.Payment{Script: scriptA}, Depth: 1, Since: 1, Told: &told})
	again.Mine()
	again.Mine(tx) // gives the same block as before
	spent := spend(2, wire.OutPoint{Index: 1})
	h.watch(t, watch.Watch{
		ID: "next", Target: watch.Spend{OutPoint: spent.TxIn[0].PreviousOutPoint, Script: scriptB}, Depth: 1,
	})
	again.Mine(spent)
	h.found(t, "next")
}

func TestWatcherGoesOnWhenTheBackendFails(t *testing.T) {
	t.Parallel()
	chain := &failing{Chain: backendtest.NewChain(), failures: 1}
	h := watching(t, chain)
	h.watch(t, watch.Watch{ID: "w", Target: watch.Payment{Script: scriptA}, Depth: 1})
	chain.Mine(pay(1, scriptA))
	h.found(t, "w")
	require.Zero(t, chain.left())
}

func TestWatcherPassesOverABlockThatHasLeftTheChain(t *testing.T) {
	t.Parallel()
	chain := &failing{Chain: backendtest.NewChain(), failures: 1}
	chain.instead = func() { chain.Reorganise(1, nil, []*wire.MsgTx{pay(2, scriptA)}) }
	h := watching(t, chain)
	h.watch(t, watch.Watch{ID: "w", Target: watch.Payment{Script: scriptA}, Depth: 1})
	chain.Mine(pay(1, scriptA))
	require.EqualValues(t, 2, h.found(t, "w").Tx.LockTime, "the block with the first was never there to read")
}

func TestWatcherEndsWhenTheChainCannotBeFollowed(t *testing.T) {
	t.Parallel()
	chain := backendtest.NewChain()
	chain.Mine()
	chain.Mine()
	ended := make(chan error, 1)
	begun := make(chan struct{}, 1)
	w := watch.NewWatcher(chain, func(watch.Update) { begun <- struct{}{} }, slog.New(slog.DiscardHandler))
	go func() { ended <- w.Run(t.Context()) }()
	<-begun
	chain.ForgetStale()
	chain.Reorganise(2, nil, nil, nil)
	require.ErrorIs(t, <-ended, backend.ErrReorgTooDeep)
}

// failing is a chain whose blocks cannot be read for some time.
type failing struct {
	*backendtest.Chain
	mu       sync.Mutex
	failures int
	instead  func()
}

var errBroken = errors.New("broken on purpose")

func (f *failing) left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failures
}

func (f *failing) BlockIfTouches(ctx context.Context, hash chainhash.Hash, scripts [][]byte) (*wire.MsgBlock, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(scripts) > 0 && f.failures > 0 {
		f.failures--
		if f.instead != nil {
			f.instead()
		}
		return nil, errBroken
	}
	return f.Chain.BlockIfTouches(ctx, hash, scripts)
}

// heard is a running watcher and what it tells.
type heard struct {
	watcher *watch.Watcher
	facts   chan watch.Fact
	stop    func()
}

func watching(t *testing.T, b backend.Backend) *heard {
	h := &heard{facts: make(chan watch.Fact, 100)}
	h.watcher = watch.NewWatcher(b, func(u watch.Update) {
		for _, f := range u.Facts {
			h.facts <- f
		}
	}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.watcher.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	t.Cleanup(h.stop)
	return h
}

func (h *heard) watch(t *testing.T, w watch.Watch) {
	t.Helper()
	require.NoError(t, h.watcher.Watch(w))
}

func (h *heard) next(t *testing.T) watch.Fact {
	t.Helper()
	select {
	case fact := <-h.facts:
		return fact
	case <-time.After(20 * time.Second):
		require.FailNow(t, "nothing was told")
		return nil
	}
}

func (h *heard) found(t *testing.T, id watch.ID) watch.Found {
	t.Helper()
	fact := h.next(t)
	require.IsType(t, watch.Found{}, fact)
	require.Equal(t, id, fact.About())
	return fact.(watch.Found)
}

func (h *heard) undone(t *testing.T, id watch.ID) watch.Undone {
	t.Helper()
	fact := h.next(t)
	require.IsType(t, watch.Undone{}, fact)
	require.Equal(t, id, fact.About())
	return fact.(watch.Undone)
}
