package interop_test

import (
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

// TestConnect: either side connects, is killed and comes back, and the connection with it.
func TestConnect(t *testing.T) {
	t.Parallel()
	chain := node.StartBtcd(t)
	lnd, ours := node.StartLnd(t, chain), node.StartStormcell(t, chain)

	lnd.Connect(ours)
	requireConnected(t, lnd, ours)
	_, err := lnd.DisconnectPeer(lnd.Context(), &lnrpc.DisconnectPeerRequest{PubKey: ours.Key})
	require.NoError(t, err)
	requireApart(t, lnd, ours)

	ours.Connect(lnd)
	requireConnected(t, lnd, ours)
	_, err = ours.DisconnectPeer(ours.Context(), &lnrpc.DisconnectPeerRequest{PubKey: lnd.Key})
	require.NoError(t, err)
	requireApart(t, lnd, ours)

	_, err = ours.ConnectPeer(ours.Context(), &lnrpc.ConnectPeerRequest{
		Addr: &lnrpc.LightningAddress{Pubkey: lnd.Key, Host: lnd.Peer}, Perm: true,
	})
	require.NoError(t, err)
	requireConnected(t, lnd, ours)
	for _, killed := range []*node.Lightning{lnd, ours} {
		killed.Crash()
		requireConnected(t, lnd, ours)
	}
}

// requireConnected waits until both nodes see the connection.
func requireConnected(t *testing.T, a, b *node.Lightning) {
	t.Helper()
	require.Eventually(t, func() bool { return a.IsConnected(b) && b.IsConnected(a) }, patience, 50*time.Millisecond,
		"%s and %s do not connect", a, b)
}

func requireApart(t *testing.T, a, b *node.Lightning) {
	t.Helper()
	require.Eventually(t, func() bool { return !a.IsConnected(b) && !b.IsConnected(a) }, patience, 50*time.Millisecond,
		"%s and %s do not disconnect", a, b)
}
