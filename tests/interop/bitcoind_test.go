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

func TestBitcoindBackend(t *testing.T) {
	t.Parallel()
	server := node.StartBitcoind(t)
	config := server.Config()
	config.PollEvery = 50 * time.Millisecond
	b, err := rpc.DialBitcoind(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Stop()) })

	t.Run("blocks", func(t *testing.T) { seesBlocks(t, server, b) })
	t.Run("publish", func(t *testing.T) { publishesToBitcoind(t, server, b) })
	t.Run("stream", func(t *testing.T) { streams(t, server, b) })
	t.Run("watch", func(t *testing.T) { watches(t, server, b) })

	config.Network = backend.Simnet
	_, err = rpc.DialBitcoind(t.Context(), config)
	require.ErrorIs(t, err, backend.ErrWrongNetwork)
}

func publishesToBitcoind(t *testing.T, server *node.Server, b backend.Backend) {
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
	require.Equal(t, backend.Accepted, status(parent), "bitcoind does not say that it knew")
	require.Equal(t, backend.Accepted, status(child))
	require.Equal(t, backend.FeeTooLow, status(server.SpendChange(parent, nobodys, 5_000)), "everything can be outbid")
	server.Mine(1)
	require.Equal(t, backend.AlreadyConfirmed, status(parent))

	other := server.Pay(nobodys, btcutil.SatoshiPerBitcoin)
	other.TxOut[0].Value++ // after it was signed
	require.Equal(t, backend.Rejected, status(other))
	poor := server.Pay(nobodys, btcutil.SatoshiPerBitcoin)
	require.Equal(t, backend.Accepted, status(poor))
	require.Equal(t, backend.FeeTooLow, status(server.SpendChange(poor, nobodys, 1)))

	_, err := b.EstimateFee(t.Context(), 6)
	require.ErrorIs(t, err, backend.ErrNoEstimate, "it has seen no fees yet")
}
