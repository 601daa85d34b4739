package interop_test

import (
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
	"stormcell/chain/backend/light"
	"stormcell/chain/backend/rpc"
	"stormcell/chain/fees"
	"stormcell/chain/watch"
	"stormcell/tests/interop/node"
)

func TestLightClient(t *testing.T) {
	t.Parallel()
	server := node.StartBtcd(t)
	dir := t.TempDir()
	client := startLight(t, dir, server)
	eventuallyAt(t, client, server.Mine(1))

	t.Run("blocks", func(t *testing.T) { seesBlocks(t, server, client) })
	t.Run("stream", func(t *testing.T) { streams(t, server, client) })
	t.Run("watch", func(t *testing.T) { watches(t, server, client) })
	t.Run("same facts", func(t *testing.T) { agrees(t, server, client) })
	t.Run("publish", func(t *testing.T) {
		tx := server.Pay(nobodys, btcutil.SatoshiPerBitcoin)
		result, err := client.Publish(t.Context(), tx)
		require.NoError(t, err)
		require.True(t, result.Ok(), result)
		require.Eventually(t, func() bool { return server.InMempool(tx.TxHash()) }, patience, 20*time.Millisecond)
	})
	t.Run("fee", func(t *testing.T) {
		rate, err := client.EstimateFee(t.Context(), 2)
		require.NoError(t, err)
		require.Equal(t, fees.Floor, rate, "no block is full")
	})

	require.NoError(t, client.Stop())
	t.Run("restart", func(t *testing.T) {
		tip := server.Mine(1)
		again := startLight(t, dir, server)
		eventuallyAt(t, again, tip)
		require.NoError(t, again.Stop())
	})
}

func TestLightClientWithoutPeers(t *testing.T) {
	t.Parallel()
	server := node.StartBtcd(t)
	server.Stop()
	client := startLight(t, t.TempDir(), server)
	_, err := client.Publish(t.Context(), wire.NewMsgTx(2))
	require.ErrorIs(t, err, light.ErrNoPeers)
	_, err = client.EstimateFee(t.Context(), 2)
	require.ErrorIs(t, err, backend.ErrNoEstimate)
	require.NoError(t, client.Stop())
}

func startLight(t *testing.T, dir string, server *node.Server) *light.Client {
	t.Helper()
	client, err := light.Start(t.Context(), light.Config{Network: backend.Regtest, Dir: dir, Peers: []string{server.P2P}})
	require.NoError(t, err)
	return client
}

// agrees lets the light client and the server's own backend watch the same, which happened before they were asked.
func agrees(t *testing.T, server *node.Server, client backend.Backend) {
	full, err := rpc.DialBtcd(t.Context(), server.Config())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, full.Stop()) })

	var wanted []watch.Watch
	since := server.Mine(1).Height
	for _, id := range []watch.ID{"a", "b", "c"} {
		paid := server.Pay(nobodys, btcutil.SatoshiPerBitcoin)
		spend := server.SpendChange(paid, nobodys, 10_000)
		publish(t, server, paid)
		server.Mine(1)
		publish(t, server, spend)
		server.Mine(2)
		wanted = append(wanted, watch.Watch{
			ID: "paid " + id, Depth: 3, Since: since,
			Target: watch.Transaction{TxID: paid.TxHash(), Script: nobodys},
		}, watch.Watch{
			ID: "spent " + id, Depth: 1, Since: since,
			Target: watch.Spend{OutPoint: spend.TxIn[0].PreviousOutPoint, Script: server.ChangeScript()},
		})
	}
	eventuallyAt(t, client, server.Mine(1))
	byFull, byLight := listen(t, full, wanted...), listen(t, client, wanted...)
	for range wanted {
		want, got := byFull.next(t).(watch.Found), byLight.next(t).(watch.Found)
		require.Equal(t, want.Tx.TxHash(), got.Tx.TxHash())
		want.Tx, got.Tx = nil, nil
		require.Equal(t, want, got)
	}
}
