package node

import (
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/rpcclient"
	"github.com/stretchr/testify/require"
)

// anyone is an address of nobody in particular.
var anyone, _ = btcutil.NewAddressWitnessPubKeyHash(make([]byte, 20), &chaincfg.RegressionNetParams)

// StartBitcoind runs a bitcoind: the one that the environment variable BITCOIND names, or the one in the path. Without one the
// test is skipped. It ends with the test.
func StartBitcoind(t testing.TB) *Server {
	t.Helper()
	path := os.Getenv("BITCOIND")
	if path == "" {
		var err error
		if path, err = exec.LookPath("bitcoind"); err != nil {
			t.Skip("there is no bitcoind: put one in the path, or its path in BITCOIND")
		}
	}
	s := newServer(t, path)
	_, rpcPort, err := net.SplitHostPort(s.config.Address)
	require.NoError(t, err)
	s.program.args = []string{
		"-regtest", "-server", "-txindex", "-disablewallet", "-datadir=" + t.TempDir(), "-rpcuser=" + user,
		"-rpcpassword=" + password, "-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1", "-rpcport=" + rpcPort,
		"-bind=" + s.P2P, "-listenonion=0", "-dnsseed=0", "-discover=0", "-natpmp=0", "-persistmempool=0",
	}
	s.connect = func() (*rpcclient.Client, error) {
		client, err := rpcclient.New(&rpcclient.ConnConfig{
			Host: s.config.Address, User: user, Pass: password, DisableTLS: true, HTTPPostMode: true,
		}, nil)
		if err != nil {
			return nil, err
		}
		_, err = client.GetBlockCount()
		return client, err
	}
	s.mine = func(blocks int) ([]*chainhash.Hash, error) {
		return s.Client.GenerateToAddress(int64(blocks), s.purse.address, nil)
	}
	s.mineAnother = func() error {
		_, err := s.Client.GenerateToAddress(1, anyone, nil)
		return err
	}
	s.begin()
	return s
}
