package backend_test

import (
	"context"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/chain/backend"
	"stormcell/chain/backend/backendtest"
)

func TestStreamGivesBlocksInOrder(t *testing.T) {
	t.Parallel()
	chain := backendtest.NewChain()
	stream := follow(t, chain)
	first, second := chain.Mine(), chain.Mine()
	require.Equal(t, []backend.Event{
		{Connected: true, Block: first, Previous: hashAt(t, chain, 0)},
		{Connected: true, Block: second, Previous: first.Hash},
	}, drain(t, stream))
}

func TestStreamDisconnectsFromTheTip(t *testing.T) {
	t.Parallel()
	chain := backendtest.NewChain()
	stream := follow(t, chain)
	stays, left1, left2 := chain.Mine(), chain.Mine(), chain.Mine()
	drain(t, stream)
	chain.Reorganise(2, nil, nil, nil)
	require.Equal(t, []backend.Event{
		{Block: left2, Previous: left1.Hash},
		{Block: left1, Previous: stays.Hash},
		{Connected: true, Block: blockAt(t, chain, 2), Previous: stays.Hash},
		{Connected: true, Block: blockAt(t, chain, 3), Previous: hashAt(t, chain, 2)},
		{Connected: true, Block: blockAt(t, chain, 4), Previous: hashAt(t, chain, 3)},
	}, drain(t, stream))
}

func TestStreamWaitsForABackendThatIsBehind(t *testing.T) {
	t.Parallel()
	chain := backendtest.NewChain()
	chain.Mine()
	tip := chain.Mine()
	stream, err := backend.NewStream(chain, tip)
	require.NoError(t, err)
	chain.Reorganise(2, nil) // as a server that is syncing its chain anew
	require.Empty(t, drain(t, stream))
	require.Equal(t, tip, stream.Tip())
	chain.Mine()
	chain.Mine()
	require.Len(t, drain(t, stream), 2+3, "once the chain is as high, it counts")
}

func TestStreamRewindsAfterRestart(t *testing.T) {
	t.Parallel()
	chain := backendtest.NewChain()
	stream := follow(t, chain)
	for range 5 {
		chain.Mine()
	}
	drain(t, stream)
	known := stream.Known(4)
	chain.Reorganise(3, nil, nil, nil, nil)
	chain.ForgetStale()

	again, err := backend.NewStream(chain, known...)
	require.NoError(t, err)
	events := drain(t, again)
	require.Len(t, events, 3+4)
	require.Equal(t, blockAt(t, chain, 6), events[6].Block)

	again, err = backend.NewStream(chain, known[1:]...)
	require.NoError(t, err)
	for range 2 {
		_, ok, err := again.Poll(t.Context())
		require.True(t, ok)
		require.NoError(t, err)
	}
	_, _, err = again.Poll(t.Context())
	require.ErrorIs(t, err, backend.ErrReorgTooDeep, "nobody knows any more what the third block lay on")
}

func TestStreamRefusesAReorganisationBelowWhatIsKnown(t *testing.T) {
	t.Parallel()
	chain := backendtest.NewChain()
	chain.Mine()
	tip := chain.Mine()
	stream, err := backend.NewStream(chain, tip)
	require.NoError(t, err)
	chain.Reorganise(2, nil, nil, nil)
	chain.ForgetStale()
	_, _, err = stream.Poll(t.Context())
	require.ErrorIs(t, err, backend.ErrReorgTooDeep)
}

func TestStreamRefusesAnotherChain(t *testing.T) {
	t.Parallel()
	chain, other := backendtest.NewChain(), backendtest.NewChain()
	other.Reorganise(0, nil)
	stream, err := backend.NewStream(other, backend.BlockRef{Hash: chainhash.Hash{1}})
	require.NoError(t, err)
	_, err = stream.Next(t.Context())
	require.ErrorIs(t, err, backend.ErrWrongNetwork)
	_, err = backend.NewStream(chain)
	require.Error(t, err)
	_, err = backend.NewStream(chain, backend.BlockRef{Height: 3}, backend.BlockRef{Height: 5})
	require.Error(t, err)
}

func TestStreamNextWaits(t *testing.T) {
	t.Parallel()
	chain := backendtest.NewChain()
	stream := follow(t, chain)
	events := make(chan backend.Event)
	go func() {
		event, _ := stream.Next(context.Background())
		events <- event
	}()
	mined := chain.Mine()
	require.Equal(t, mined, (<-events).Block)

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := stream.Next(cancelled)
	require.ErrorIs(t, err, context.Canceled)
}

// TestStreamKeepsOrder checks, for chains that grow and are reorganised between any two polls, that each event follows from
// the one before it and that the stream ends on the best chain.
func TestStreamKeepsOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		chain := backendtest.NewChain()
		stream := follow(t, chain)
		at := stream.Tip()
		poll := func() bool {
			event, ok, err := stream.Poll(context.Background())
			require.NoError(t, err)
			if !ok {
				return false
			}
			if event.Connected {
				require.Equal(t, at.Height+1, event.Block.Height)
				require.Equal(t, at.Hash, event.Previous)
			} else {
				require.Equal(t, at, event.Block)
			}
			at = event.Tip()
			require.Equal(t, at, stream.Tip())
			return true
		}
		t.Repeat(map[string]func(*rapid.T){
			"mine": func(*rapid.T) { chain.Mine() },
			"reorganise": func(t *rapid.T) {
				best, _ := chain.BestBlock(context.Background())
				depth := rapid.IntRange(0, min(6, int(best.Height))).Draw(t, "depth")
				more := rapid.IntRange(0, 2).Draw(t, "more")
				chain.Reorganise(depth, make([][]*wire.MsgTx, depth+more)...)
			},
			"poll": func(*rapid.T) { poll() },
			"restart": func(t *rapid.T) {
				var err error
				stream, err = backend.NewStream(chain, stream.Known(rapid.IntRange(1, 20).Draw(t, "known"))...)
				require.NoError(t, err)
			},
			"": func(*rapid.T) {},
		})
		for poll() {
		}
		best, _ := chain.BestBlock(context.Background())
		require.Equal(t, best, at)
	})
}

func follow(t require.TestingT, chain *backendtest.Chain) *backend.Stream {
	tip, err := chain.BestBlock(context.Background())
	require.NoError(t, err)
	stream, err := backend.NewStream(chain, tip)
	require.NoError(t, err)
	return stream
}

func drain(t *testing.T, stream *backend.Stream) []backend.Event {
	t.Helper()
	var events []backend.Event
	for {
		event, ok, err := stream.Poll(t.Context())
		require.NoError(t, err)
		if !ok {
			return events
		}
		events = append(events, event)
	}
}

func blockAt(t *testing.T, chain *backendtest.Chain, height uint32) backend.BlockRef {
	t.Helper()
	return backend.BlockRef{Height: height, Hash: hashAt(t, chain, height)}
}

func hashAt(t *testing.T, chain *backendtest.Chain, height uint32) chainhash.Hash {
	t.Helper()
	hash, err := chain.HashAt(t.Context(), height)
	require.NoError(t, err)
	return hash
}
