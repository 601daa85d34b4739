package backend_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
)

func TestNetworksAreKnownByName(t *testing.T) {
	t.Parallel()
	for network, name := range map[backend.Network]string{
		backend.Mainnet: "mainnet", backend.Testnet3: "testnet3", backend.Testnet4: "testnet4",
		backend.Signet: "signet", backend.Regtest: "regtest", backend.Simnet: "simnet",
	} {
		parsed, err := backend.ParseNetwork(name)
		require.NoError(t, err)
		require.Equal(t, network, parsed)
		require.Equal(t, name, network.String())
		require.Equal(t, name, network.Params().Name)
	}
}

func TestUnknownNetworkIsRefused(t *testing.T) {
	t.Parallel()
	_, err := backend.ParseNetwork("main")
	require.ErrorAs(t, err, &backend.UnknownNetworkError{})
	require.ErrorContains(t, err, "mainnet, testnet3, testnet4, signet, regtest, simnet")
}
