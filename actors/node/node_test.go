package node_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/actors/node"
	"stormcell/actors/onchain"
	"stormcell/actors/peerbook"
	walletactor "stormcell/actors/wallet"
	"stormcell/chain/backend"
	"stormcell/chain/backend/backendtest"
	"stormcell/chain/keys"
	"stormcell/chain/wallet"
	"stormcell/peer/address"
	"stormcell/persistence"
)

// place is where a node lives: what outlasts it.
type place struct {
	signer  keys.Signer
	journal *persistence.Memory
	listen  string
	network *chaincfg.Params
	wallet  *wallet.Wallet
	backend *backend.Pending
}

func newPlace(t *testing.T, seed byte) *place {
	t.Helper()
	network := &chaincfg.RegressionNetParams
	master, err := hdkeychain.NewMaster(bytes.Repeat([]byte{seed}, 16), network)
	require.NoError(t, err)
	signer, err := keys.NewLocalSigner(master, keys.CoinType(network), func(n int, f func(int)) {
		for i := range n {
			f(i)
		}
	})
	require.NoError(t, err)
	words, err := wallet.NewSeed(time.Now())
	require.NoError(t, err)
	coins, err := wallet.Open(wallet.Config{Network: backend.Regtest, Seed: words, Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, coins.Close()) })
	return &place{
		signer: signer, journal: persistence.NewMemory(), listen: "127.0.0.1:0", network: network, wallet: coins,
		backend: backend.NewPending(backend.Regtest),
	}
}

func (p *place) start(t *testing.T) *node.Node {
	t.Helper()
	n, err := node.Start(t.Context(), node.Options{
		Journal: p.journal, Signer: p.signer, Network: p.network, Listen: p.listen, Log: slog.New(slog.DiscardHandler),
		Backend: p.backend, Wallet: p.wallet,
	})
	require.NoError(t, err)
	p.listen = n.PeerAddr().String() // it comes back at the same place
	return n
}

// restart stops a node and starts it on what its journal has.
func (p *place) restart(t *testing.T, n *node.Node) *node.Node {
	t.Helper()
	stop(t, n)
	p.journal = p.journal.Crash(p.journal.Durable())
	return p.start(t)
}

func stop(t *testing.T, n *node.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	require.NoError(t, n.Stop(ctx))
}

func keyOf(n *node.Node) peerbook.NodeKey {
	return peerbook.NodeKey(n.Signer().NodeKey().SerializeCompressed())
}

func addressOf(t *testing.T, n *node.Node) address.Address {
	t.Helper()
	at, err := address.Parse(n.PeerAddr().String(), 0)
	require.NoError(t, err)
	return at
}

// connected waits until the nodes see each other, or do not.
func connected(t *testing.T, want bool, a, b *node.Node) {
	t.Helper()
	sees := func(n, other *node.Node) bool {
		peers, err := n.Peers.List(t.Context())
		require.NoError(t, err)
		for _, p := range peers {
			if p.Key == keyOf(other) && p.Connection != nil {
				return true
			}
		}
		return false
	}
	require.Eventually(t, func() bool { return sees(a, b) == want && sees(b, a) == want }, 20*time.Second, 5*time.Millisecond)
}

func TestConnectAndDisconnect(t *testing.T) {
	t.Parallel()
	a, b := newPlace(t, 1).start(t), newPlace(t, 2).start(t)
	defer stop(t, a)
	defer stop(t, b)
	there := peerbook.Connect{Key: keyOf(b), Address: addressOf(t, b)}

	require.NoError(t, a.Peers.Connect(t.Context(), there))
	connected(t, true, a, b)
	require.ErrorIs(t, a.Peers.Connect(t.Context(), there), peerbook.ErrConnected)
	require.NoError(t, b.Peers.Disconnect(t.Context(), keyOf(a)))
	connected(t, false, a, b)

	someoneElse := peerbook.Connect{Key: peerbook.NodeKey(newPlace(t, 3).signer.NodeKey().SerializeCompressed()), Address: addressOf(t, b)}
	require.ErrorContains(t, a.Peers.Connect(t.Context(), someoneElse), "handshake")
}

func TestKeptPeersComeBack(t *testing.T) {
	t.Parallel()
	here, there := newPlace(t, 1), newPlace(t, 2)
	a, b := here.start(t), there.start(t)
	require.NoError(t, a.Peers.Keep(t.Context(), peerbook.Keep{Key: keyOf(b), Address: addressOf(t, b)}))
	connected(t, true, a, b)

	b = there.restart(t, b) // it knows nothing of a: a must dial
	connected(t, true, a, b)
	a = here.restart(t, a)
	connected(t, true, a, b)

	// Both keep the other now and dial at once, and come to agree on one connection.
	require.NoError(t, b.Peers.Keep(t.Context(), peerbook.Keep{Key: keyOf(a), Address: addressOf(t, a)}))
	stop(t, a)
	b = there.restart(t, b)
	here.journal = here.journal.Crash(here.journal.Durable())
	a = here.start(t)
	connected(t, true, a, b)
	stop(t, a)
	stop(t, b)
}

func TestOtherChainsAreNotConnected(t *testing.T) {
	t.Parallel()
	other := newPlace(t, 2)
	other.network = &chaincfg.SigNetParams
	a, b := newPlace(t, 1).start(t), other.start(t)
	defer stop(t, a)
	defer stop(t, b)
	err := a.Peers.Connect(t.Context(), peerbook.Connect{Key: keyOf(b), Address: addressOf(t, b)})
	require.ErrorContains(t, err, "chain")
}

func TestTheWalletWorksWithoutAChain(t *testing.T) {
	t.Parallel()
	p := newPlace(t, 1)
	n := p.start(t)
	first, err := n.Wallet().NewAddress(t.Context(), wallet.ReceiveTaproot)
	require.NoError(t, err)
	_, err = n.Wallet().NewAddress(t.Context(), 0)
	require.ErrorIs(t, err, walletactor.ErrUnknownBranch)
	balance, err := n.Wallet().Balance(t.Context())
	require.NoError(t, err)
	require.Zero(t, balance)
	_, err = n.Wallet().Send(t.Context(), walletactor.SendRequest{
		Outputs: []*wire.TxOut{wire.NewTxOut(10_000, []byte{0x51})}, FeeRate: 300,
	})
	require.ErrorIs(t, err, walletactor.ErrNotSynced)
	_, err = n.Wallet().Send(t.Context(), walletactor.SendRequest{Target: 1})
	require.ErrorIs(t, err, onchain.ErrNoFeeRate)
	tip, synced := n.SyncedTo()
	require.Zero(t, tip)
	require.False(t, synced)

	n = p.restart(t, n)
	second, err := n.Wallet().NewAddress(t.Context(), wallet.ReceiveTaproot)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	stop(t, n)
}

func TestTheNodeKnowsTheTip(t *testing.T) {
	t.Parallel()
	p := newPlace(t, 1)
	n := p.start(t)
	chain := backendtest.NewChain()
	tip := chain.Mine()
	p.backend.Connect(chain)
	require.Eventually(t, func() bool {
		at, _ := n.SyncedTo()
		return at == tip
	}, 5*time.Second, time.Millisecond)
	_, synced := n.SyncedTo()
	require.False(t, synced, "the wallet does not follow")
	stop(t, n)
}
