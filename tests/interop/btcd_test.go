package interop_test

import (
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
	"stormcell/chain/backend/rpc"
	"stormcell/tests/interop/node"
)

func TestBtcdBackend(t *testing.T) {
	t.Parallel()
	server := node.StartBtcd(t)
	b, err := rpc.DialBtcd(t.Context(), server.Config())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Stop()) })

	t.Run("blocks", func(t *testing.T) { seesBlocks(t, server, b) })
	t.Run("publish", func(t *testing.T) { publishes(t, server, b) })
	t.Run("stream", func(t *testing.T) { streams(t, server, b) })
	t.Run("watch", func(t *testing.T) { watches(t, server, b) })
	t.Run("reconnect", func(t *testing.T) { reconnects(t, server, b) })
}

func TestBtcdOnAnotherNetwork(t *testing.T) {
	t.Parallel()
	config := node.StartBtcd(t).Config()
	config.Network = backend.Simnet
	_, err := rpc.DialBtcd(t.Context(), config)
	require.ErrorIs(t, err, backend.ErrWrongNetwork)
}

func publishes(t *testing.T, server *node.Server, b backend.Backend) {
	status := func(tx *wire.MsgTx) backend.PublishStatus {
		result, err := b.Publish(t.Context(), tx)
		require.NoError(t, err)
		t.Log(result)
		return result.Status
	}
	parent := server.Pay(nobodys, btcutil.SatoshiPerBitcoin)
	child := server.SpendChange(parent, nobodys, 10_000)
	require.Equal(t, backend.MissingInputs, status(child))
	require.Equal(t, backend.Accepted, status(parent))
	require.Equal(t, backend.AlreadyKnown, status(parent))
	require.Equal(t, backend.Accepted, status(child))
	require.Equal(t, backend.Conflicts, status(server.SpendChange(parent, nobodys, 5_000)), "it does not signal that it may be replaced")
	server.Mine(1)
	require.Equal(t, backend.AlreadyConfirmed, status(parent))

	other := server.Pay(nobodys, btcutil.SatoshiPerBitcoin)
	other.TxOut[0].Value++ // after it was signed
	require.Equal(t, backend.Rejected, status(other))
	poor := server.Pay(nobodys, btcutil.SatoshiPerBitcoin)
	require.Equal(t, backend.Accepted, status(poor))
	require.Equal(t, backend.FeeTooLow, status(server.SpendChange(poor, nobodys, 1)))

	_, err := b.EstimateFee(t.Context(), 6)
	if err != nil {
		require.ErrorIs(t, err, backend.ErrNoEstimate)
	}
}

// reconnects restarts the server, which makes btcd begin its regtest chain anew.
func reconnects(t *testing.T, server *node.Server, b backend.Backend) {
	server.Restart()
	start := server.Mine(1)
	eventuallyAt(t, b, start)
	stream, err := backend.NewStream(b, start)
	require.NoError(t, err)
	changed := b.Changed()
	mined := server.Mine(1)
	select {
	case <-changed:
	case <-time.After(patience):
		require.FailNow(t, "the subscription to blocks was not made again")
	}
	require.Equal(t, mined, nextEvent(t, stream).Block)
}
