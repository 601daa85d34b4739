package rpc

import (
	"errors"
	"testing"

	"github.com/btcsuite/btcd/btcjson"
	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
)

func TestLostConnectionIsNoRefusal(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection lost")
	_, err := publishResult(lost)
	require.ErrorIs(t, err, lost)
	refused, err := publishResult(&btcjson.RPCError{Code: -25, Message: "txn-mempool-conflict"})
	require.NoError(t, err)
	require.Equal(t, backend.Conflicts, refused.Status)
	require.False(t, refused.Ok())
	accepted, err := publishResult(nil)
	require.NoError(t, err)
	require.Equal(t, backend.PublishResult{Status: backend.Accepted}, accepted)
	require.True(t, accepted.Ok())
}

func TestEstimatesAreClamped(t *testing.T) {
	t.Parallel()
	for perKVB, want := range map[float64]uint32{0.00000500: 253, 0.00010000: 2500, 1: 250_000} {
		rate, err := clampRate(perKVB)
		require.NoError(t, err)
		require.EqualValues(t, want, rate)
	}
	for _, unknown := range []float64{0, -1} {
		_, err := clampRate(unknown)
		require.ErrorIs(t, err, backend.ErrNoEstimate)
	}
}
