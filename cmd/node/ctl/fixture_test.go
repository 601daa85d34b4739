package ctl

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/actors/peerbook"
	coins "stormcell/actors/wallet"
	"stormcell/chain/backend"
	"stormcell/chain/wallet"
	"stormcell/cmd/node/fault"
	"stormcell/cmd/node/levels"
	"stormcell/cmd/node/rpc"
	"stormcell/persistence"
)

// fake is a node that is made up, behind the daemon's real API.
type fake struct {
	dir, server string

	mu           sync.Mutex
	channels     []channel.Info
	closed       []channel.ClosedInfo
	opened       []channel.OpenRequest
	ended        []channel.CloseRequest
	connected    []peerbook.Connect
	coins        []wallet.Coin
	transactions []wallet.Transaction
	sent         []coins.SendRequest
	openErr      error
	listed       func(f *fake) // before channels are listed, under the lock
	spent        chan struct{} // closed when closing transactions are in a block

	invoices fakeInvoices
	payments fakePayments
	actors   fakeActors
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{dir: t.TempDir(), spent: make(chan struct{})}
	quiet, err := levels.New("info")
	require.NoError(t, err)
	s, err := rpc.New(rpc.Options{
		Listen: "127.0.0.1:0", Dir: f.dir, Network: backend.Regtest, Log: slog.New(slog.DiscardHandler),
		Unlocked: func(wallet.Seed) {}, Stop: func() {}, Levels: quiet,
	})
	require.NoError(t, err)
	f.server = s.Addr().String()
	s.Activate(rpc.Node{
		Key: key(1).PubKey(), SignMessage: signMessage, PeerAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9735},
		Peers: fakePeers{f}, Channels: fakeChannels{f}, Wallet: fakeWallet{f}, Chain: fakeChain{},
		Invoices: &f.invoices, Payments: &f.payments, Actors: &f.actors, Journal: fakeJournal{},
		ChainSource: "btcd at 127.0.0.1:18334", Started: time.Now().Add(-90 * time.Minute),
	})
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		s.Stop(ended)
		require.NoError(t, <-served)
	})
	return f
}

func key(n byte) *btcec.PrivateKey {
	k, _ := btcec.PrivKeyFromBytes([]byte{n})
	return k
}

// signMessage is as the node's signer does it.
func signMessage(text []byte) ([]byte, error) {
	return ecdsa.SignCompact(key(1), chainhash.DoubleHashB(append([]byte("Lightning Signed Message:"), text...)), true), nil
}

func nodeOf(n byte) [33]byte { return [33]byte(key(n).PubKey().SerializeCompressed()) }

// run runs a command, and gives what it prints and what it fails with.
func (f *fake) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := f.runTo(t.Context(), &out, args...)
	return out.String(), err
}

func (f *fake) runTo(ctx context.Context, out io.Writer, args ...string) error {
	root := Root()
	root.SetOut(out)
	root.SetErr(out)
	root.SetIn(strings.NewReader(""))
	root.SetArgs(append(args, "--network=regtest", "--datadir="+f.dir, "--rpcserver="+f.server))
	return root.ExecuteContext(ctx)
}

// ok is run for a command that must work, and whose output fits a terminal.
func (f *fake) ok(t *testing.T, args ...string) string {
	t.Helper()
	out, err := f.run(t, args...)
	require.NoError(t, err, args)
	if !slices.Contains(args, "--json") {
		fits(t, out)
	}
	return out
}

// fits holds that text fits a terminal of 80 columns.
func fits(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
	}
}

// fails is run for a command that must fail, in a way that people understand.
func (f *fake) fails(t *testing.T, code fault.Code, want string, args ...string) {
	t.Helper()
	out, err := f.run(t, args...)
	require.Error(t, err, "%v: %s", args, out)
	var said bytes.Buffer
	require.Equal(t, code, fault.Report(&said, err), said.String())
	require.Contains(t, strings.ReplaceAll(said.String(), "\n", " "), want)
	fits(t, said.String())
}

type fakePeers struct{ f *fake }

func (p fakePeers) Connect(_ context.Context, want peerbook.Connect) error {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	p.f.connected = append(p.f.connected, want)
	return nil
}

func (fakePeers) Keep(context.Context, peerbook.Keep) error { return nil }

func (fakePeers) Disconnect(context.Context, peerbook.NodeKey) error { return nil }

func (p fakePeers) List(context.Context) ([]peerbook.Peer, error) {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	var out []peerbook.Peer
	for _, c := range p.f.connected {
		out = append(out, peerbook.Peer{Key: c.Key, Connection: &peerbook.Connection{Address: c.Address.String()}})
	}
	return out, nil
}

type fakeChannels struct{ f *fake }

func (c fakeChannels) Open(_ context.Context, want channel.OpenRequest) (channel.Opened, error) {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	c.f.opened = append(c.f.opened, want)
	return channel.Opened{Outpoint: fundedBy(1)}, c.f.openErr
}

func (c fakeChannels) List(context.Context) ([]channel.Info, error) {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if c.f.listed != nil {
		c.f.listed(c.f)
	}
	return slices.Clone(c.f.channels), nil
}

func (c fakeChannels) Closed(context.Context) ([]channel.ClosedInfo, error) { return c.f.closed, nil }

func (c fakeChannels) Scid(context.Context, durable.Address) (lnwire.ShortChannelID, error) {
	return lnwire.ShortChannelID{}, channel.ErrNoChannel
}

func (c fakeChannels) Close(_ context.Context, _ wire.OutPoint, want channel.CloseRequest) error {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	c.f.ended = append(c.f.ended, want)
	return nil
}

func (c fakeChannels) AwaitClosing(ctx context.Context, at wire.OutPoint) (chainhash.Hash, error) {
	if c.f.channels[0].Connected {
		return chainhash.Hash{9}, nil
	}
	return c.AwaitSpent(ctx, at)
}

func (c fakeChannels) AwaitSpent(ctx context.Context, _ wire.OutPoint) (chainhash.Hash, error) {
	select {
	case <-c.f.spent:
		return chainhash.Hash{9}, nil
	case <-ctx.Done():
		return chainhash.Hash{}, ctx.Err()
	}
}

type fakeWallet struct{ f *fake }

func (fakeWallet) NewAddress(_ context.Context, branch wallet.Branch) (btcutil.Address, error) {
	if branch == wallet.ReceiveTaproot {
		return btcutil.NewAddressTaproot(make([]byte, 32), backend.Regtest.Params())
	}
	return btcutil.NewAddressWitnessPubKeyHash(make([]byte, 20), backend.Regtest.Params())
}

func (w fakeWallet) Coins(context.Context) (coins.Coins, error) {
	return coins.Coins{Coins: w.f.coins, Tip: backend.BlockRef{Height: 1000}}, nil
}

func (w fakeWallet) Send(_ context.Context, r coins.SendRequest) (chainhash.Hash, error) {
	w.f.sent = append(w.f.sent, r)
	return chainhash.Hash{7}, nil
}

func (w fakeWallet) Transactions(context.Context) ([]wallet.Transaction, error) {
	return w.f.transactions, nil
}

type fakeJournal struct{}

func (fakeJournal) Stats() persistence.Stats {
	return persistence.Stats{
		Commits: 1_234_567, Undurable: 3, LastSync: 3 * time.Millisecond, LastSyncAt: time.Now().Add(-10 * time.Second),
	}
}

func (fakeJournal) Space() (persistence.Space, error) {
	return persistence.Space{Used: 84 << 20, Free: 13 << 30, Floor: 256 << 20}, nil
}

type fakeChain struct{}

func (fakeChain) SyncedTo() (backend.BlockRef, bool) { return backend.BlockRef{Height: 1000}, true }

// fundedBy is a funding output.
func fundedBy(n byte) wire.OutPoint { return wire.OutPoint{Hash: chainhash.Hash{n, 0xab}, Index: 10} }

// scripts that the wallet's addresses pay to.
var (
	witnessScript = append([]byte{txscript.OP_0, txscript.OP_DATA_20}, make([]byte, 20)...)
	taprootScript = append([]byte{txscript.OP_1, txscript.OP_DATA_32}, make([]byte, 32)...)
)

const (
	witnessAddress = "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202"
	taprootAddress = "bcrt1pqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqm3usuw"
)
