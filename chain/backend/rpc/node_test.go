package rpc

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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

func TestCookieIsALogin(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), ".cookie")
	config := Config{User: "user", Password: "password", CookieFile: path}
	_, _, err := config.login()
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte("__cookie__:abc:def\n"), 0o600))
	user, password, err := config.login()
	require.NoError(t, err)
	require.Equal(t, []string{"__cookie__", "abc:def"}, []string{user, password})
	require.NoError(t, os.WriteFile(path, []byte("nothing"), 0o600))
	_, _, err = config.login()
	require.Error(t, err)

	config.CookieFile = ""
	user, password, err = config.login()
	require.NoError(t, err)
	require.Equal(t, []string{"user", "password"}, []string{user, password})
}

func TestBitcoindWithACertificate(t *testing.T) {
	t.Parallel()
	_, err := DialBitcoind(t.Context(), Config{Network: backend.Regtest, Certificate: []byte("x")})
	require.ErrorIs(t, err, ErrNoTLS)
}
