package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEnvironmentHasOnlySettings(t *testing.T) {
	t.Parallel()
	for _, allowed := range []string{
		"STORMCELL_RPCLISTEN=", "STORMCELL_BTCD_RPCUSER=alice", "STORMCELL_ACCEPT_KEYSEND=true", "STORMCELL_RPCSERVER=localhost:1",
		"STORMCELL_SERVICE_HOST=10.0.0.7", "STORMCELL_SERVICE_PORT_GRPC=10009", "STORMCELL_PORT=tcp://10.0.0.7:10009",
		"STORMCELL_PORT_10009_TCP_ADDR=10.0.0.7", "BE_STORMCELL_LISN=1", "STORMCELL=here", "=",
	} {
		require.NoError(t, checkEnvironment([]string{"HOME=/root", allowed}))
	}
	for _, c := range []struct{ entry, want string }{
		{"STORMCELL_RPCLISTN=x", "the environment has STORMCELL_RPCLISTN, and there is no such setting: did you mean STORMCELL_RPCLISTEN?"},
		{"STORMCELL_BTCD_RPC_USER=", "the environment has STORMCELL_BTCD_RPC_USER, and there is no such setting: did you mean STORMCELL_BTCD_RPCUSER?"},
		{"STORMCELL_PORT=9735", "the environment has STORMCELL_PORT, and there is no such setting"},
		{"STORMCELL_ACCEPT_LOSS=true", "the environment has STORMCELL_ACCEPT_LOSS, and there is no such setting"},
		{"STORMCELL_", "the environment has STORMCELL_, and there is no such setting"},
	} {
		require.EqualError(t, checkEnvironment([]string{"STORMCELL_LISTEN=:1", c.entry}), c.want)
	}
}
