package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
	"stormcell/cmd/node/config"
)

// TestClaimCutShort: a crash, or a full disk, while a new directory is claimed leaves a file that says nothing.
func TestClaimCutShort(t *testing.T) {
	t.Parallel()
	c := config.Common{Network: backend.Signet, Dir: filepath.Join(t.TempDir(), "node")}
	require.NoError(t, os.Mkdir(c.Dir, 0o700))
	require.NoError(t, os.WriteFile(c.Path(networkFile), nil, 0o600))
	require.NoError(t, claim(c))
	require.NoError(t, claim(c))
	c.Network = backend.Regtest
	require.ErrorContains(t, claim(c), "is the data directory of a node on signet, not regtest")
}
