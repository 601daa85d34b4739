package onchain_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	"stormcell/actors/onchain"
	"stormcell/chain/backend"
	"stormcell/chain/backend/backendtest"
	"stormcell/chain/fees"
	"stormcell/chain/watch"
)

const (
	alice durable.Address = "channel/1"
	bob   durable.Address = "channel/2"

	patience = 20 * time.Second
)

func TestOwnersHearOfTheirOwnWatches(t *testing.T) {
	t.Parallel()
	chain, actors, desk := start(t)
	tx := paying(1)
	for _, owner := range []durable.Address{alice, bob} {
		require.NoError(t, desk.Watch(onchain.Owner{Address: owner, Session: 7},
			watch.Watch{ID: "funding", Target: watch.Payment{Script: tx.TxOut[0].PkScript}, Depth: 2, Since: 1}, same))
	}
	require.ErrorIs(t, desk.Watch(onchain.Owner{Address: alice}, watch.Watch{ID: "nothing"}, same), watch.ErrInvalidWatch)
	desk.Forget(bob, "funding")
	desk.Forget(bob, "unknown")
	block := chain.Mine(tx)
	chain.Mine()
	actors.require(t, alice, 1)
	found := actors.told(alice)[0].body.(watch.Found)
	require.Equal(t, watch.ID("funding"), found.Watch)
	require.Equal(t, block, found.Block)
	require.EqualValues(t, 7, actors.told(alice)[0].session)

	chain.Reorganise(1, nil, nil)
	actors.require(t, alice, 3)
	require.Equal(t, watch.Undone{Watch: "funding", Sighting: found.Sighting, Included: true}, actors.told(alice)[1].body)
	require.IsType(t, watch.Found{}, actors.told(alice)[2].body)
	require.Empty(t, actors.told(bob))
}

// TestANewIncarnationAsksAgain: what was found for the old one is told again, to the new one alone.
func TestANewIncarnationAsksAgain(t *testing.T) {
	t.Parallel()
	chain, actors, desk := start(t)
	tx := paying(1)
	w := watch.Watch{ID: "funding", Target: watch.Payment{Script: tx.TxOut[0].PkScript}, Depth: 1, Since: 1}
	require.NoError(t, desk.Watch(onchain.Owner{Address: alice, Session: 1}, w, same))
	chain.Mine(tx)
	actors.require(t, alice, 1)
	require.NoError(t, desk.Watch(onchain.Owner{Address: alice, Session: 2}, w, same))
	actors.require(t, alice, 2)
	require.EqualValues(t, 2, actors.told(alice)[1].session)

	// What was told is not told again, and an effect that comes late changes nothing.
	told := actors.told(alice)[1].body.(watch.Found).Sighting
	w.Told = &told
	require.NoError(t, desk.Watch(onchain.Owner{Address: alice, Session: 3}, w, same))
	w.Told = nil
	require.NoError(t, desk.Watch(onchain.Owner{Address: alice, Session: 2}, w, same))
	chain.Reorganise(1, nil, nil)
	actors.require(t, alice, 3)
	require.IsType(t, watch.Undone{}, actors.told(alice)[2].body)
	require.EqualValues(t, 3, actors.told(alice)[2].session)
}

func TestAFullMailboxLosesNothing(t *testing.T) {
	t.Parallel()
	chain, actors, desk := start(t)
	tx := paying(1)
	actors.refuse(alice, durable.ErrBusy)
	for _, owner := range []durable.Address{alice, bob} {
		require.NoError(t, desk.Watch(onchain.Owner{Address: owner},
			watch.Watch{ID: "w", Target: watch.Payment{Script: tx.TxOut[0].PkScript}, Depth: 1}, same))
	}
	chain.Mine(tx)
	actors.require(t, bob, 1)
	chain.Reorganise(1, nil, nil)
	actors.require(t, bob, 2)
	require.Empty(t, actors.told(alice))
	actors.refuse(alice, nil)
	actors.require(t, alice, 2)
	require.IsType(t, watch.Found{}, actors.told(alice)[0].body)
	require.IsType(t, watch.Undone{}, actors.told(alice)[1].body)
}

func TestHeightsFollowTheFacts(t *testing.T) {
	t.Parallel()
	chain, actors, desk := start(t)
	tx := paying(1)
	for depth := uint32(2); depth > 0; depth-- { // the last to be registered is told first
		require.NoError(t, desk.Watch(onchain.Owner{Address: alice}, watch.Watch{
			ID: watch.ID(fmt.Sprint(depth)), Target: watch.Payment{Script: tx.TxOut[0].PkScript}, Depth: depth,
		}, same))
	}
	chain.Mine(tx)
	actors.require(t, alice, 1)
	atHeight(t, desk, 1)
	type seen struct {
		height uint32
		facts  int
	}
	heights := make(chan seen, 10)
	desk.Heights(func(uint32) { // the desk may be called from here
		heights <- seen{desk.Height(), len(actors.told(alice))}
	})
	chain.Mine()
	require.Equal(t, seen{2, 2}, <-heights)
	chain.Mine()
	require.Equal(t, seen{3, 2}, <-heights)
}

func TestPublishesAtEachBlockUntilItIsDeep(t *testing.T) {
	t.Parallel()
	chain, _, desk := start(t)
	tx := paying(1)
	desk.Publish(onchain.Owner{Address: alice}, onchain.Publication{Tx: tx})
	published(t, chain, 1)
	chain.Mine()
	published(t, chain, 2)
	chain.Mine(tx)
	atHeight(t, desk, 2)
	chain.Mine()
	atHeight(t, desk, 3)
	require.Len(t, chain.Published(), 2)
	chain.Reorganise(2, nil, nil, nil) // now it is in no block any more
	require.Eventually(t, func() bool { return len(chain.Published()) > 2 }, patience, time.Millisecond)
	for range watch.SafeDepth + 1 {
		chain.Mine(tx)
	}
	atHeight(t, desk, 1+3+watch.SafeDepth+1)
	before := len(chain.Published())
	chain.Reorganise(1, nil, nil)
	atHeight(t, desk, 1+3+watch.SafeDepth+2)
	require.Len(t, chain.Published(), before)
}

func TestStopsPublishing(t *testing.T) {
	t.Parallel()
	chain, _, desk := start(t)
	asked, lost := paying(1), spending(5)
	desk.Publish(onchain.Owner{Address: alice}, onchain.Publication{Tx: asked})
	desk.Publish(onchain.Owner{Address: bob}, onchain.Publication{Tx: lost})
	published(t, chain, 2)
	desk.Unpublish(bob, asked.TxHash()) // not his
	desk.Unpublish(alice, asked.TxHash())
	conflict := lost.Copy()
	conflict.TxOut[0].Value--
	chain.Mine(conflict)
	atHeight(t, desk, 1)
	chain.Mine()
	atHeight(t, desk, 2)
	desk.Publish(onchain.Owner{Address: alice}, onchain.Publication{Tx: paying(3)}) // comes after what was due at block 2
	published(t, chain, 3)
	require.Equal(t, paying(3).TxHash(), chain.Published()[2].TxHash())
}

func TestWhatComesBeforeThePublicationComesOnce(t *testing.T) {
	t.Parallel()
	chain, _, desk := start(t)
	before := make(chan int, 2)
	p := onchain.Publication{Tx: paying(1), Before: func() { before <- len(chain.Published()) }}
	desk.Publish(onchain.Owner{Address: alice}, p)
	published(t, chain, 1)
	chain.Mine()
	published(t, chain, 2)
	require.Equal(t, 0, <-before)
	require.Empty(t, before)
}

func TestAnswersAreTold(t *testing.T) {
	t.Parallel()
	chain := &moody{Chain: backendtest.NewChain(), publish: make(chan answer)}
	actors, desk := startOn(t, chain)
	p := onchain.Publication{Tx: paying(1), Answered: func(r backend.PublishResult) any { return r }}
	desk.Publish(onchain.Owner{Address: alice}, p)
	chain.publish <- answer{result: backend.PublishResult{Status: backend.FeeTooLow}}
	actors.require(t, alice, 1)
	require.Equal(t, backend.PublishResult{Status: backend.FeeTooLow}, actors.told(alice)[0].body)
	chain.Mine()
	chain.publish <- answer{result: backend.PublishResult{Status: backend.FeeTooLow}} // again the same
	chain.Mine()
	chain.publish <- answer{err: errors.New("away")}
	chain.Mine()
	chain.publish <- answer{result: backend.PublishResult{Status: backend.Conflicts}}
	actors.require(t, alice, 2)
	require.Equal(t, backend.PublishResult{Status: backend.Conflicts}, actors.told(alice)[1].body)
}

func TestFeeRate(t *testing.T) {
	t.Parallel()
	chain := &moody{Chain: backendtest.NewChain(), estimate: make(chan estimate, 1)}
	_, desk := startOn(t, chain)
	chain.estimate <- estimate{rate: 1}
	require.Equal(t, fees.Floor, rate(t, desk, 6))
	require.Equal(t, fees.Floor, rate(t, desk, 6), "it is remembered")
	chain.estimate <- estimate{rate: 5000}
	require.EqualValues(t, 5000, rate(t, desk, 2))
	chain.estimate <- estimate{err: backend.ErrNoEstimate}
	require.Equal(t, fallback, rate(t, desk, 1))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := desk.FeeRate(ctx, 100)
	require.ErrorIs(t, err, context.Canceled)
}

func TestWithoutAFallbackThereIsNoFeeRate(t *testing.T) {
	t.Parallel()
	desk := onchain.NewDesk(onchain.Options{
		Kernel: &actors{}, Backend: backendtest.NewChain(), Runtime: durable.Wall{}, Log: slog.New(slog.DiscardHandler),
	})
	run(t, desk)
	_, err := desk.FeeRate(t.Context(), 6)
	require.ErrorIs(t, err, onchain.ErrNoFeeRate)
}

const fallback fees.SatPerKW = 1234

func start(t *testing.T) (*backendtest.Chain, *actors, *onchain.Desk) {
	chain := backendtest.NewChain()
	told, desk := startOn(t, chain)
	return chain, told, desk
}

func startOn(t *testing.T, chain backend.Backend) (*actors, *onchain.Desk) {
	t.Helper()
	told := &actors{}
	desk := onchain.NewDesk(onchain.Options{
		Kernel: told, Backend: chain, Runtime: durable.Wall{}, FallbackFeeRate: fallback, Log: slog.New(slog.DiscardHandler),
	})
	run(t, desk)
	return told, desk
}

func run(t *testing.T, desk *onchain.Desk) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- desk.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		desk.Forget(alice, "after the end")
	})
	require.Eventually(t, func() bool { _, known := desk.Tip(); return known }, patience, time.Millisecond)
}

func rate(t *testing.T, desk *onchain.Desk, blocks uint32) fees.SatPerKW {
	t.Helper()
	got, err := desk.FeeRate(t.Context(), blocks)
	require.NoError(t, err)
	return got
}

func atHeight(t *testing.T, desk *onchain.Desk, height uint32) {
	t.Helper()
	require.Eventually(t, func() bool { return desk.Height() == height }, patience, time.Millisecond)
}

func published(t *testing.T, chain *backendtest.Chain, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(chain.Published()) >= n }, patience, time.Millisecond)
	require.Len(t, chain.Published(), n)
}

func same(fact watch.Fact) any { return fact }

// paying is a transaction that spends a coin whose script nobody can tell.
func paying(id byte) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: chainhash.Hash{id}}, nil, wire.TxWitness{make([]byte, 64)}))
	tx.AddTxOut(wire.NewTxOut(1000, append([]byte{0, 20, id}, make([]byte, 19)...)))
	return tx
}

// spending is a transaction that spends a coin of a public key's.
func spending(id byte) *wire.MsgTx {
	tx := paying(id)
	tx.TxIn[0].Witness = wire.TxWitness{make([]byte, 71), append([]byte{2}, make([]byte, 32)...)}
	return tx
}

// actors note what they are told.
type actors struct {
	mu      sync.Mutex
	letters map[durable.Address][]letter
	refuses map[durable.Address]error
}

type letter struct {
	session uint64
	body    any
}

func (a *actors) Tell(to durable.Address, session uint64, body any) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refuses[to]; err != nil {
		return err
	}
	if a.letters == nil {
		a.letters = map[durable.Address][]letter{}
	}
	a.letters[to] = append(a.letters[to], letter{session, body})
	return nil
}

func (a *actors) refuse(who durable.Address, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuses = map[durable.Address]error{who: err}
}

func (a *actors) told(who durable.Address) []letter {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]letter(nil), a.letters[who]...)
}

func (a *actors) require(t *testing.T, who durable.Address, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(a.told(who)) >= n }, patience, time.Millisecond)
	require.Len(t, a.told(who), n)
}

// moody is a chain that answers as a test says.
type moody struct {
	*backendtest.Chain
	publish  chan answer
	estimate chan estimate
}

type answer struct {
	result backend.PublishResult
	err    error
}

type estimate struct {
	rate fees.SatPerKW
	err  error
}

func (m *moody) Publish(ctx context.Context, _ *wire.MsgTx) (backend.PublishResult, error) {
	select {
	case a := <-m.publish:
		return a.result, a.err
	case <-ctx.Done():
		return backend.PublishResult{}, ctx.Err()
	}
}

func (m *moody) EstimateFee(ctx context.Context, _ uint32) (fees.SatPerKW, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	e := <-m.estimate
	return e.rate, e.err
}
