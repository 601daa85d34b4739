package rpc

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
	"stormcell/chain/wallet"
)

// newServer makes a server that nobody serves.
func newServer(t *testing.T) *Server {
	t.Helper()
	s, err := New(Options{
		Listen: "127.0.0.1:0", Dir: t.TempDir(), Network: backend.Regtest, Log: slog.New(slog.DiscardHandler),
		Unlocked: func(wallet.Seed) {}, Stop: func() {},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.listener.Close()) })
	return s
}
