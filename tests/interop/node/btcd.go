package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/rpcclient"
	"github.com/stretchr/testify/require"
)

// StartBtcd runs a btcd that has mined past the activation of segregated witness. It ends with the test.
func StartBtcd(t testing.TB) *Server {
	t.Helper()
	path, err := btcd()
	require.NoError(t, err)
	s := newServer(t, path)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.WriteFile(file("btcd.conf"), nil, 0o600))
	s.program.args = []string{
		"-C", file("btcd.conf"), "--datadir", file("data"), "--logdir", file("logs"), "--regtest", "--txindex",
		"--rpcuser", user, "--rpcpass", password, "--rpccert", file("rpc.cert"), "--rpckey", file("rpc.key"),
		"--listen", s.P2P, "--rpclisten", s.config.Address, "--nodnsseed", "--nostalldetect", "--nobanning",
		"--trickleinterval=100ms", "--debuglevel=warn", "--miningaddr", s.purse.address.EncodeAddress(),
	}
	s.connect = func() (*rpcclient.Client, error) {
		certificate, err := os.ReadFile(file("rpc.cert")) // which btcd makes at its first start
		if err != nil {
			return nil, err
		}
		s.config.Certificate = certificate
		return rpcclient.New(&rpcclient.ConnConfig{
			Host: s.config.Address, Endpoint: "ws", User: user, Pass: password, Certificates: certificate,
		}, nil)
	}
	s.mine = func(blocks int) ([]*chainhash.Hash, error) { return s.Client.Generate(uint32(blocks)) }
	s.mineAnother = func() error {
		_, err := s.Client.Generate(1) // each of which has a random number in it
		return err
	}
	s.begin()
	return s
}
