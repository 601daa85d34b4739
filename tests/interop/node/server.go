// Package node runs Bitcoin nodes on regtest chains of their own, for tests: btcd, built from its Go module, and bitcoind where
// there is one.
package node

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/rpcclient"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
	"stormcell/chain/backend/rpc"
)

const (
	user, password = "interop", "interop"

	// firstBlocks is past the activation of segregated witness on btcd's regtest, and past the maturity of the first coins.
	firstBlocks = 440

	startTimeout = 2 * time.Minute
)

// Server is a running node whose blocks pay to a key that only the test has.
type Server struct {
	Client *rpcclient.Client
	P2P    string // host:port of its peer-to-peer port

	t       testing.TB
	config  rpc.Config
	program *process
	purse   purse

	connect     func() (*rpcclient.Client, error)
	mine        func(blocks int) ([]*chainhash.Hash, error)
	mineAnother func() error // a block that differs from all others at its height
}

func newServer(t testing.TB, path string) *Server {
	t.Helper()
	key, err := btcec.NewPrivateKey()
	require.NoError(t, err)
	address, err := btcutil.NewAddressWitnessPubKeyHash(
		btcutil.Hash160(key.PubKey().SerializeCompressed()), &chaincfg.RegressionNetParams)
	require.NoError(t, err)
	script, err := txscript.PayToAddrScript(address)
	require.NoError(t, err)
	return &Server{
		P2P: freeAddress(t), t: t, program: newProcess(t, path),
		config: rpc.Config{Network: backend.Regtest, Address: freeAddress(t), User: user, Password: password},
		purse:  purse{key: key, address: address, script: script},
	}
}

// begin runs the program for the first time. It ends with the test.
func (s *Server) begin() {
	s.t.Helper()
	s.run()
	s.t.Cleanup(s.disconnect)
	s.Mine(firstBlocks)
}

// run starts the process and waits until it answers.
func (s *Server) run() {
	s.t.Helper()
	s.program.start()
	answers := func() bool {
		client, err := s.connect()
		s.Client = client
		return err == nil || !s.program.running()
	}
	require.Eventually(s.t, answers, startTimeout, 50*time.Millisecond, "%s does not answer", s.program.path)
	require.True(s.t, s.program.running(), "%s has ended", s.program.path)
}

func (s *Server) disconnect() {
	if s.Client != nil {
		s.Client.Shutdown()
	}
}

// Stop ends the process.
func (s *Server) Stop() {
	s.disconnect()
	s.program.kill()
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
	hashes, err := s.mine(blocks)
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
	require.NoError(s.t, s.mineAnother())
	return s.Mine(depth)
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

// lowestPort and highestPort are below those that systems give to outgoing connections: one of these could take a port that
// a program is about to listen on, or is to listen on again.
const lowestPort, highestPort = 15_000, 31_999

var usedPorts sync.Map

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	for {
		port := lowestPort + rand.IntN(highestPort-lowestPort+1)
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		listener, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		require.NoError(t, listener.Close())
		if _, used := usedPorts.LoadOrStore(port, true); !used {
			return address
		}
	}
}

// SpenderOf finds the transaction in the mempool that spends an output, nil if there is none.
func (s *Server) SpenderOf(output wire.OutPoint) *wire.MsgTx {
	s.t.Helper()
	waiting, err := s.Client.GetRawMempool()
	require.NoError(s.t, err)
	for _, hash := range waiting {
		tx, err := s.Client.GetRawTransaction(hash)
		if err != nil {
			continue // replaced, or in a block, meanwhile
		}
		for _, in := range tx.MsgTx().TxIn {
			if in.PreviousOutPoint == output {
				return tx.MsgTx()
			}
		}
	}
	return nil
}
