package watch_test

import (
	"context"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
	"stormcell/chain/backend/backendtest"
	"stormcell/chain/watch"
)

// ledger is a chain with a tracker on it, which follows when it is told to.
type ledger struct {
	chain   *backendtest.Chain
	stream  *backend.Stream
	path    []chainhash.Hash // the chain that ends in the tracker's tip, by height
	tracker *watch.Tracker
}

func newLedger() *ledger {
	l := &ledger{chain: backendtest.NewChain()}
	l.restart()
	return l
}

// restart makes a new tracker at the tip of the best chain.
func (l *ledger) restart() {
	ctx := context.Background()
	tip, _ := l.chain.BestBlock(ctx)
	l.stream, _ = backend.NewStream(l.chain, tip)
	l.path = l.path[:0]
	for height := range tip.Height + 1 {
		l.path = append(l.path, l.at(height).Hash)
	}
	l.tracker = watch.NewTracker(tip)
}

func (l *ledger) at(height uint32) backend.BlockRef {
	hash, _ := l.chain.HashAt(context.Background(), height)
	return backend.BlockRef{Height: height, Hash: hash}
}

func (l *ledger) register(t require.TestingT, w watch.Watch) []watch.Fact {
	facts, err := l.tracker.Register(w, func(height uint32) (chainhash.Hash, error) { return l.path[height], nil })
	require.NoError(t, err)
	return facts
}

func (l *ledger) mine(t require.TestingT, txs ...*wire.MsgTx) []watch.Fact {
	l.chain.Mine(txs...)
	facts, ok := l.follow(t)
	require.True(t, ok)
	return facts
}

// disconnect takes the tip off for the tracker, and only then from the chain: a stream does not follow a chain down.
func (l *ledger) disconnect(t require.TestingT) []watch.Fact {
	tip := l.tracker.Tip()
	l.chain.Reorganise(1)
	l.path = l.path[:tip.Height]
	l.stream, _ = backend.NewStream(l.chain, l.at(tip.Height-1))
	facts, err := l.tracker.Disconnect(tip, l.path[tip.Height-1])
	require.NoError(t, err)
	return facts
}

// follow gives the tracker the next event of the chain; false when there is none.
func (l *ledger) follow(t require.TestingT) ([]watch.Fact, bool) {
	event, ok, err := l.stream.Poll(context.Background())
	require.NoError(t, err)
	if !ok {
		return nil, false
	}
	if !event.Connected {
		l.path = l.path[:event.Block.Height]
		facts, err := l.tracker.Disconnect(event.Block, event.Previous)
		require.NoError(t, err)
		return facts, true
	}
	l.path = append(l.path, event.Block.Hash)
	facts, err := l.tracker.Connect(l.block(t, event.Block, l.tracker.Scripts()))
	require.NoError(t, err)
	return facts, true
}

// search gives the tracker the next old block that it wants; false when it wants none.
func (l *ledger) search(t require.TestingT) ([]watch.Fact, bool) {
	height, scripts, ok := l.tracker.Behind()
	if !ok {
		return nil, false
	}
	best, _ := l.chain.BestBlock(context.Background())
	if height > best.Height {
		return nil, false // the chain has shrunk, and the tracker has not yet been told
	}
	facts, err := l.tracker.Search(l.block(t, l.at(height), scripts))
	require.NoError(t, err)
	return facts, true
}

func (l *ledger) catchUp(t require.TestingT) []watch.Fact {
	var facts []watch.Fact
	for {
		found, ok := l.search(t)
		if !ok {
			return facts
		}
		facts = append(facts, found...)
	}
}

// block reads a block as a backend with filters does: without transactions when none touches a script.
func (l *ledger) block(t require.TestingT, ref backend.BlockRef, scripts [][]byte) watch.Block {
	header, err := l.chain.Header(context.Background(), ref.Hash)
	require.NoError(t, err)
	block := watch.Block{BlockRef: ref, Previous: header.PrevBlock}
	full, err := l.chain.BlockIfTouches(context.Background(), ref.Hash, scripts)
	require.NoError(t, err)
	if full != nil {
		block.Txs = full.Transactions
	}
	return block
}

// pay makes a transaction that pays to scripts. The number tells it from others.
func pay(number uint32, scripts ...[]byte) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	tx.LockTime = number
	for _, script := range scripts {
		tx.AddTxOut(wire.NewTxOut(1000, script))
	}
	return tx
}

// spend makes a transaction that spends outputs.
func spend(number uint32, points ...wire.OutPoint) *wire.MsgTx {
	tx := pay(number)
	for _, point := range points {
		tx.AddTxIn(wire.NewTxIn(&point, nil, nil))
	}
	return tx
}

func only[F watch.Fact](t require.TestingT, facts []watch.Fact) F {
	require.Len(t, facts, 1)
	require.IsType(t, *new(F), facts[0])
	return facts[0].(F)
}

func ids(facts []watch.Fact) []watch.ID {
	var ids []watch.ID
	for _, f := range facts {
		ids = append(ids, f.About())
	}
	return ids
}
