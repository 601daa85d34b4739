// Package btcd runs a btcd on a regtest chain of its own, for tests. It is built from its Go module.
package btcd

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/rpcclient"
	"github.com/btcsuite/btcd/txscript"
	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
	"stormcell/chain/backend/rpc"
)

const (
	user, password = "interop", "interop"

	// segwitHeight is past the activation of segregated witness on btcd's regtest, and past the maturity of the first coins.
	segwitHeight = 440

	startTimeout = time.Minute
)

// binary builds btcd, at most once, and gives its path in the build cache.
var binary = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "tool", "-n", "github.com/btcsuite/btcd").Output()
	if err != nil {
		return "", fmt.Errorf("build btcd: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
})

// Server is a running btcd whose blocks pay to a key that only the test has.
type Server struct {
	Client *rpcclient.Client
	P2P    string // host:port of its peer-to-peer port

	t      testing.TB
	config rpc.Config
	args   []string
	log    string
	cmd    *exec.Cmd
	purse  purse
}

// Start runs a btcd that has mined past the activation of segregated witness. It ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	dir := t.TempDir()
	key, err := btcec.NewPrivateKey()
	require.NoError(t, err)
	address, err := btcutil.NewAddressWitnessPubKeyHash(
		btcutil.Hash160(key.PubKey().SerializeCompressed()), &chaincfg.RegressionNetParams)
	require.NoError(t, err)
	script, err := txscript.PayToAddrScript(address)
	require.NoError(t, err)

	file := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.WriteFile(file("btcd.conf"), nil, 0o600))
	s := &Server{P2P: freeAddress(t), t: t, log: file("output"), purse: purse{key: key, script: script}}
	s.config = rpc.Config{Network: backend.Regtest, Address: freeAddress(t), User: user, Password: password}
	s.args = []string{
		"-C", file("btcd.conf"), "--datadir", file("data"), "--logdir", file("logs"), "--regtest", "--txindex",
		"--rpcuser", user, "--rpcpass", password, "--rpccert", file("rpc.cert"), "--rpckey", file("rpc.key"),
		"--listen", s.P2P, "--rpclisten", s.config.Address, "--nodnsseed", "--nostalldetect", "--nobanning",
		"--trickleinterval=100ms", "--miningaddr", address.EncodeAddress(),
	}
	s.run()
	t.Cleanup(s.Stop)
	s.Mine(segwitHeight)
	return s
}

// run starts the process and waits until it answers.
func (s *Server) run() {
	s.t.Helper()
	path, err := binary()
	require.NoError(s.t, err)
	output, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(s.t, err)
	defer output.Close()
	s.cmd = exec.Command(path, s.args...)
	s.cmd.Stdout, s.cmd.Stderr = output, output
	require.NoError(s.t, s.cmd.Start())
	require.Eventually(s.t, s.answers, startTimeout, 50*time.Millisecond, "btcd does not answer; see %s", s.log)
}

func (s *Server) answers() bool {
	certificate, err := os.ReadFile(s.args[indexOf(s.args, "--rpccert")+1])
	if err != nil {
		return false
	}
	s.config.Certificate = certificate
	s.Client, err = rpcclient.New(&rpcclient.ConnConfig{
		Host: s.config.Address, Endpoint: "ws", User: user, Pass: password, Certificates: certificate,
	}, nil)
	return err == nil
}

// Stop ends the process.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	s.Client.Shutdown()
	if s.t.Failed() {
		if output, err := os.ReadFile(s.log); err == nil {
			s.t.Logf("the end of what btcd said:\n%s", output[max(0, len(output)-4000):])
		}
	}
	_ = s.cmd.Process.Kill() // it may have ended by itself
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Restart ends the process and starts it again on the same chain and ports.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.run()
}

// Config says how to reach the server.
func (s *Server) Config() rpc.Config { return s.config }

// Mine mines blocks with what is in the mempool, and gives the last.
func (s *Server) Mine(blocks int) backend.BlockRef {
	s.t.Helper()
	hashes, err := s.Client.Generate(uint32(blocks))
	require.NoError(s.t, err)
	height, err := s.Client.GetBlockCount()
	require.NoError(s.t, err)
	return backend.BlockRef{Height: uint32(height), Hash: *hashes[len(hashes)-1]}
}

// Reorganise takes depth blocks from the best chain and mines one more in their place. Their transactions may be mined again.
func (s *Server) Reorganise(depth int) backend.BlockRef {
	s.t.Helper()
	height, err := s.Client.GetBlockCount()
	require.NoError(s.t, err)
	lowest, err := s.Client.GetBlockHash(height - int64(depth) + 1)
	require.NoError(s.t, err)
	require.NoError(s.t, s.Client.InvalidateBlock(lowest))
	return s.Mine(depth + 1)
}

// InMempool tells whether the server holds a transaction for the next block.
func (s *Server) InMempool(txid chainhash.Hash) bool {
	s.t.Helper()
	waiting, err := s.Client.GetRawMempool()
	require.NoError(s.t, err)
	for _, hash := range waiting {
		if *hash == txid {
			return true
		}
	}
	return false
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func indexOf(args []string, name string) int {
	for i, arg := range args {
		if arg == name {
			return i
		}
	}
	return -1
}
