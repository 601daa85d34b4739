package interop_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
	"stormcell/chain/watch"
	"stormcell/tests/interop/node"
)

// patience is how long a test waits for what must happen.
const patience = 2 * time.Minute

var nobodys = []byte{0x51, 0x20, 31: 7, 33: 1} // a taproot output whose key nobody knows

func seesBlocks(t *testing.T, server *node.Server, b backend.Backend) {
	mined := server.Mine(1)
	eventuallyAt(t, b, mined)
	hash, err := b.HashAt(t.Context(), mined.Height)
	require.NoError(t, err)
	require.Equal(t, mined.Hash, hash)
	header, err := b.Header(t.Context(), hash)
	require.NoError(t, err)
	require.Equal(t, mined.Hash, header.BlockHash())
	block, err := b.Block(t.Context(), hash)
	require.NoError(t, err)
	require.Equal(t, mined.Hash, block.BlockHash())

	touched, err := b.BlockIfTouches(t.Context(), hash, [][]byte{server.ChangeScript()})
	require.NoError(t, err)
	require.NotNil(t, touched)
	none, err := b.BlockIfTouches(t.Context(), hash, nil)
	require.NoError(t, err)
	require.Nil(t, none)

	_, err = b.HashAt(t.Context(), mined.Height+1)
	require.ErrorIs(t, err, backend.ErrNotFound)
	_, err = b.Header(t.Context(), [32]byte{1})
	require.ErrorIs(t, err, backend.ErrNotFound)
	_, err = b.Block(t.Context(), [32]byte{1})
	require.Error(t, err)
}

// streams follows blocks and a reorganisation of several blocks, and the same again from where a first stream was.
func streams(t *testing.T, server *node.Server, b backend.Backend) {
	start := server.Mine(1)
	eventuallyAt(t, b, start)
	stream, err := backend.NewStream(b, start)
	require.NoError(t, err)
	server.Mine(3)
	for height := start.Height + 1; height <= start.Height+3; height++ {
		event := nextEvent(t, stream)
		require.True(t, event.Connected)
		require.Equal(t, height, event.Block.Height)
	}
	known := stream.Known(4)

	tip := server.Reorganise(3)
	restarted, err := backend.NewStream(b, known...)
	require.NoError(t, err)
	for _, s := range []*backend.Stream{stream, restarted} {
		for height := start.Height + 3; height > start.Height; height-- {
			event := nextEvent(t, s)
			require.False(t, event.Connected)
			require.Equal(t, known[height-start.Height], event.Block)
		}
		for range 4 {
			require.True(t, nextEvent(t, s).Connected)
		}
		require.Equal(t, tip, s.Tip())
	}
}

// watches lets a funding be confirmed and spent, undoes both by a reorganisation, and compares with a watcher that comes late.
func watches(t *testing.T, server *node.Server, b backend.Backend) {
	funding := server.Pay(nobodys, btcutil.SatoshiPerBitcoin)
	spend := server.SpendChange(funding, nobodys, 10_000)
	start := server.Mine(1)
	eventuallyAt(t, b, start)
	wanted := []watch.Watch{{
		ID: "funding", Depth: 2, Since: start.Height,
		Target: watch.Transaction{TxID: funding.TxHash(), Script: nobodys},
	}, {
		ID: "spend", Depth: 1, Since: start.Height,
		Target: watch.Spend{OutPoint: spend.TxIn[0].PreviousOutPoint, Script: server.ChangeScript()},
	}}
	heard := listen(t, b, wanted...)

	publish(t, server, funding)
	server.Mine(1)
	publish(t, server, spend)
	server.Mine(1)
	first := heard.next(t)
	require.Equal(t, []watch.ID{"funding", "spend"}, []watch.ID{first.About(), heard.next(t).About()})
	require.Equal(t, funding.TxHash(), first.(watch.Found).Tx.TxHash())

	server.Reorganise(2)
	require.Equal(t, watch.ID("spend"), heard.undone(t), "what came last goes first")
	require.Equal(t, watch.ID("funding"), heard.undone(t))
	publish(t, server, funding) // btcd mines again only some of what it disconnected
	publish(t, server, spend)
	server.Mine(2)
	again := map[watch.ID]backend.BlockRef{}
	for range wanted {
		found, ok := heard.next(t).(watch.Found)
		require.True(t, ok)
		again[found.Watch] = found.Block
	}
	late := listen(t, b, wanted...)
	for range wanted {
		found, ok := late.next(t).(watch.Found)
		require.True(t, ok)
		require.Equal(t, again[found.Watch], found.Block, found.Watch)
	}
}

// listener is a running watcher and what it tells.
type listener struct{ facts chan watch.Fact }

func listen(t *testing.T, b backend.Backend, wanted ...watch.Watch) *listener {
	l := &listener{facts: make(chan watch.Fact, 100)}
	watcher := watch.NewWatcher(b, func(u watch.Update) {
		for _, fact := range u.Facts {
			l.facts <- fact
		}
	}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	for _, w := range wanted {
		require.NoError(t, watcher.Watch(w))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = watcher.Run(ctx) }) // it returns why ctx ended
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return l
}

func (l *listener) next(t *testing.T) watch.Fact {
	t.Helper()
	select {
	case fact := <-l.facts:
		t.Logf("%T %v", fact, fact.About())
		return fact
	case <-time.After(patience):
		require.FailNow(t, "the watcher told nothing")
		return nil
	}
}

func (l *listener) undone(t *testing.T) watch.ID {
	t.Helper()
	fact := l.next(t)
	require.IsType(t, watch.Undone{}, fact)
	return fact.About()
}

func nextEvent(t *testing.T, stream *backend.Stream) backend.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	event, err := stream.Next(ctx)
	require.NoError(t, err)
	return event
}

func eventuallyAt(t *testing.T, b backend.Backend, tip backend.BlockRef) {
	t.Helper()
	require.Eventually(t, func() bool {
		best, err := b.BestBlock(t.Context())
		return err == nil && best == tip
	}, patience, 20*time.Millisecond)
}

// publish hands a transaction to the server itself, if it does not have it.
func publish(t *testing.T, server *node.Server, tx *wire.MsgTx) {
	t.Helper()
	if _, err := server.Client.SendRawTransaction(tx, true); err != nil {
		require.True(t, backend.Refusal(err.Error()).Ok(), err)
	}
}
