package channel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/actors/monitor"
	"stormcell/actors/onchain"
	"stormcell/actors/peerbook"
	"stormcell/actors/registry"
	"stormcell/chain/backend/backendtest"
	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
	"stormcell/peer/address"
	"stormcell/peer/hub"
	"stormcell/peer/transport"
	"stormcell/peer/wire"
	"stormcell/persistence"
)

// These tests run whole channels between nodes: kernel, registry, monitors, peer book and desk, over TCP on loopback.

// patience is how long a condition may take on a busy machine, under the race detector.
const patience = 3 * time.Minute

var network = &chaincfg.RegressionNetParams

// town is where nodes live: they share a chain.
type town struct {
	t     *testing.T
	chain *backendtest.Chain
	spent map[btcwire.OutPoint]bool // on the chain
}

func newTown(t *testing.T) *town {
	town := &town{t: t, chain: backendtest.NewChain(), spent: map[btcwire.OutPoint]bool{}}
	town.mine(10)
	return town
}

// waiting are the transactions that were published and are neither on the chain nor in conflict with one that is.
func (w *town) waiting() []*btcwire.MsgTx {
	var out []*btcwire.MsgTx
	spent := maps.Clone(w.spent)
	for _, tx := range w.chain.Published() {
		if !slices.ContainsFunc(tx.TxIn, func(in *btcwire.TxIn) bool { return spent[in.PreviousOutPoint] }) {
			out = append(out, tx)
		}
		for _, in := range tx.TxIn {
			spent[in.PreviousOutPoint] = true
		}
	}
	return out
}

// published waits until a transaction was published.
func (w *town) published(txid chainhash.Hash) (tx *btcwire.MsgTx) {
	w.t.Helper()
	w.until("the transaction is published", func() bool {
		for _, tx = range w.chain.Published() {
			if tx.TxHash() == txid {
				return true
			}
		}
		return false
	})
	return tx
}

// mine puts so many blocks on the chain, the first with everything that waits.
func (w *town) mine(blocks int) {
	txs := w.waiting()
	for _, tx := range txs {
		for _, in := range tx.TxIn {
			w.spent[in.PreviousOutPoint] = true
		}
	}
	w.chain.Mine(txs...)
	for range blocks - 1 {
		w.chain.Mine()
	}
}

// place is what outlasts a node's restarts.
type place struct {
	*town
	name     string
	signer   keys.Signer
	journal  func() persistence.Journal // opens it, again after each end of the node
	listen   string
	features wire.Features
	limits   registry.Limits
}

// offered is what the nodes of these tests can do.
func offered() wire.Features {
	return wire.Features{}.With(wire.DataLossProtect, wire.VarOnionOptin, wire.StaticRemoteKey, wire.PaymentSecret,
		wire.ChannelTypes, wire.Anchors, wire.LargeChannels, wire.ScidAlias, wire.ShutdownAnySegwit, wire.SimpleClose)
}

// newPlace is a place with a journal in memory.
func (w *town) newPlace(seed byte) *place {
	w.t.Helper()
	master, err := hdkeychain.NewMaster(bytes.Repeat([]byte{seed}, 16), network)
	require.NoError(w.t, err)
	signer, err := keys.NewLocalSigner(master, keys.CoinType(network), keys.Sequential)
	require.NoError(w.t, err)
	memory := persistence.NewMemory()
	first := true
	return &place{
		town: w, name: fmt.Sprintf("node %d", seed), signer: signer, listen: "127.0.0.1:0", features: offered(),
		limits: registry.DefaultLimits(),
		journal: func() persistence.Journal {
			if !first {
				memory = memory.Crash(memory.Durable())
			}
			first = false
			return memory
		},
	}
}

// onDisk moves a place that was not used yet to a journal on Badger.
func (p *place) onDisk() *place {
	dir := p.t.TempDir()
	var open persistence.Journal
	p.journal = func() persistence.Journal {
		if open != nil {
			require.NoError(p.t, open.Close())
		}
		var err error
		open, err = persistence.Open(persistence.Options{Dir: dir})
		require.NoError(p.t, err)
		return open
	}
	p.t.Cleanup(func() {
		if open != nil {
			require.NoError(p.t, open.Close())
		}
	})
	return p
}

// node is a running node.
type node struct {
	*place
	kernel   *durable.Kernel
	peers    peerbook.Client
	book     *peerbook.Shell
	shell    *channel.Shell
	channels channel.Client
	listener *transport.Listener
	serving  chan struct{}
	end      context.CancelFunc // of the desk
	followed chan struct{}
}

// world carries out the effects of a node's actors.
type world struct{ n *node }

func (w world) Release(from durable.Address, session uint64, e durable.Effect) {
	switch from.Kind() {
	case peerbook.Address.Kind():
		w.n.book.Release(session, e)
	case channel.Name:
		w.n.shell.Release(from, session, e)
	}
}

func (w world) Ended(addr durable.Address, session uint64) {
	switch addr.Kind() {
	case peerbook.Address.Kind():
		w.n.book.Ended(session)
	case channel.Name:
		w.n.shell.Ended(addr, session)
	}
}

func (p *place) start() *node {
	t := p.t
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	listener, err := transport.Listen(p.listen, transport.ListenConfig{Key: keys.NodeECDH{Signer: p.signer}})
	require.NoError(t, err)
	p.listen = listener.Addr().String() // it comes back at the same place
	n := &node{place: p, listener: listener, serving: make(chan struct{}), followed: make(chan struct{})}
	n.kernel = durable.New(durable.Options{Journal: p.journal(), World: world{n}, Log: log})
	n.peers = peerbook.Client{Kernel: n.kernel}
	desk := onchain.NewDesk(onchain.Options{
		Kernel: n.kernel, Backend: p.chain, Runtime: durable.Wall{}, FallbackFeeRate: 1_000, Log: log,
	})
	var scripts atomic.Uint32
	n.shell = channel.NewShell(channel.Config{
		Kernel: n.kernel, Runtime: durable.Wall{}, Desk: desk, Chain: *network.GenesisHash, Funder: "funder/main",
		NewScript: func(context.Context) ([]byte, error) {
			hash := btcutil.Hash160(fmt.Append(nil, p.name, scripts.Add(1)))
			return txscript.NewScriptBuilder().AddOp(txscript.OP_0).AddData(hash).Script()
		},
		MaxCommitFeeRate: channel.MaxCommitFeeRate, Log: log,
	})
	n.channels = n.shell.Client()
	n.book = peerbook.NewShell(n.kernel, hub.New(hub.Config{
		Key: keys.NodeECDH{Signer: p.signer}, Features: p.features, Chain: *network.GenesisHash, Max: 100, Log: log,
	}), n.shell, log)

	core := &channel.Core{Signer: p.signer, Policy: channel.DefaultPolicy(), Registry: registry.Address,
		Resolver: func(*pb.IncomingHTLC) durable.Address { return "payee/main" }}
	require.NoError(t, durable.Register(n.kernel, peerbook.Kind(), peerbook.Core{Self: n.key()}))
	require.NoError(t, durable.Register(n.kernel, registry.Kind(), registry.Core{Limits: p.limits}))
	require.NoError(t, durable.Register(n.kernel, channel.Kind(), core))
	require.NoError(t, durable.Register(n.kernel, monitor.Kind(), &monitor.Core{Signer: p.signer}))
	require.NoError(t, durable.Register(n.kernel, durable.Kind{Name: "payer"}, payers{}))
	require.NoError(t, durable.Register(n.kernel, durable.Kind{Name: "payee"}, helpers{}))
	require.NoError(t, durable.Register(n.kernel, durable.Kind{Name: "funder"}, helpers{}))

	ctx, end := context.WithCancel(context.Background())
	n.end = end
	go func() {
		defer close(n.followed)
		_ = desk.Run(ctx)
	}()
	require.NoError(t, n.kernel.Start())
	require.NoError(t, n.shell.Start(ctx))
	require.NoError(t, n.peers.Open(ctx))
	go func() {
		defer close(n.serving)
		n.book.Serve(context.Background(), listener)
	}()
	return n
}

// stop ends a node in good order.
func (n *node) stop() {
	n.t.Helper()
	require.NoError(n.t, n.listener.Close())
	<-n.serving
	n.book.Close(context.Canceled)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(n.t, n.kernel.Stop(ctx))
	n.end()
	<-n.followed
}

// crash ends a node without another turn of any actor: what was not durable is lost.
func (n *node) crash() {
	n.t.Helper()
	n.kernel.Abandon()
	require.NoError(n.t, n.listener.Close())
	n.end()
	n.book.Close(context.Canceled)
	<-n.serving
	<-n.followed
}

func (n *node) key() peerbook.NodeKey {
	return peerbook.NodeKey(n.signer.NodeKey().SerializeCompressed())
}

// keep stays connected to another node.
func (n *node) keep(other *node) {
	n.t.Helper()
	at, err := address.Parse(other.listen, 0)
	require.NoError(n.t, err)
	require.NoError(n.t, n.peers.Keep(n.t.Context(), peerbook.Keep{Key: other.key(), Address: at}))
}

// until waits for a condition.
func (w *town) until(what string, met func() bool) {
	w.t.Helper()
	require.Eventually(w.t, met, patience, 5*time.Millisecond, what)
}

// only gives the one channel of a node.
func (n *node) only() channel.Info {
	n.t.Helper()
	infos, err := n.channels.List(n.t.Context())
	require.NoError(n.t, err)
	require.Len(n.t, infos, 1)
	return infos[0]
}

// open opens a channel from one node to another, and waits until both use it.
func (w *town) open(from, to *node, want channel.OpenRequest) channel.Info {
	w.t.Helper()
	want.Peer = to.key()
	w.until("the nodes are connected", func() bool {
		opened, err := from.channels.Open(w.t.Context(), want)
		if err == nil {
			w.t.Logf("channel %v from %s to %s", opened.Outpoint, from.name, to.name)
			return true
		}
		var failed *channel.OpenError // because both dialled at once, and one connection was dropped
		require.True(w.t, errors.Is(err, channel.ErrPeerNotConnected) || errors.As(err, &failed), err)
		return false
	})
	w.until("the funding is published", func() bool { return len(w.waiting()) > 0 })
	w.mine(6)
	w.active(from, to)
	return from.only()
}

// active waits until two nodes with one channel between them can use it.
func (w *town) active(a, b *node) {
	w.t.Helper()
	w.until("the channel is active", func() bool { return a.only().Active && b.only().Active })
}

// agree waits until nothing is in the channel on either side, and checks that both have the same balances.
func (w *town) agree(a, b *node) {
	w.t.Helper()
	w.active(a, b)
	var here, there channel.Info
	w.until("the channel is quiet", func() bool {
		here, there = a.only(), b.only()
		return len(here.HTLCs) == 0 && len(there.HTLCs) == 0 && here.Local == there.Remote
	})
	require.Equal(w.t, here.Local, there.Remote)
	require.Equal(w.t, here.Remote, there.Local)
	require.Equal(w.t, here.Sent, there.Received)
	require.Equal(w.t, here.Received, there.Sent)
	require.Equal(w.t, wire.MilliSatoshi(here.Capacity)*1000, here.Local+here.Remote)
	require.Equal(w.t, here.FeeRate, there.FeeRate)
}
