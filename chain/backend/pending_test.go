package backend_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
	"stormcell/chain/backend/backendtest"
)

func TestPendingWaitsForItsBackend(t *testing.T) {
	t.Parallel()
	p := backend.NewPending(backend.Regtest)
	require.Equal(t, backend.Regtest, p.Network())
	require.NoError(t, p.Stop())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.BestBlock(over)
	require.ErrorIs(t, err, context.Canceled)

	changed := p.Changed()
	waited := make(chan error, 1)
	go func() {
		_, err := p.BestBlock(t.Context())
		waited <- err
	}()
	chain := backendtest.NewChain()
	p.Connect(chain)
	p.Connect(nil) // too late
	<-changed
	require.NoError(t, <-waited)

	changed = p.Changed()
	tip := chain.Mine()
	<-changed
	best, err := p.BestBlock(t.Context())
	require.NoError(t, err)
	require.Equal(t, tip, best)
	hash, err := p.HashAt(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, tip.Hash, hash)
	_, err = p.Header(t.Context(), hash)
	require.NoError(t, err)
	_, err = p.Block(t.Context(), hash)
	require.NoError(t, err)
	none, err := p.BlockIfTouches(t.Context(), hash, nil)
	require.NoError(t, err)
	require.Nil(t, none)
	_, err = p.EstimateFee(t.Context(), 6)
	require.ErrorIs(t, err, backend.ErrNoEstimate)
	result, err := p.Publish(t.Context(), nil)
	require.NoError(t, err)
	require.True(t, result.Ok())
	require.NoError(t, p.Stop())
}
