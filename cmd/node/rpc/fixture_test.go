package rpc

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/actors/peerbook"
	coins "stormcell/actors/wallet"
	"stormcell/chain/backend"
	"stormcell/chain/fees"
	"stormcell/chain/wallet"
	"stormcell/cmd/node/levels"
)

// newServer makes a server that nobody serves.
func newServer(t *testing.T) *Server {
	t.Helper()
	quiet, err := levels.New("info")
	require.NoError(t, err)
	s, err := New(Options{
		Listen: "127.0.0.1:0", RESTListen: "127.0.0.1:0", Dir: t.TempDir(), Network: backend.Regtest, Log: slog.New(slog.DiscardHandler),
		Unlocked: func(wallet.Seed) {}, Stop: func() {}, Levels: quiet,
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, l := range []net.Listener{s.listener, s.rest.listener} {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) { // who serves closes it
				require.NoError(t, err)
			}
		}
		_ = s.rest.conn.Close()
	})
	return s
}

// newLightning makes the service of a node that is made of fakes.
func newLightning(t *testing.T, n Node) *lightning {
	t.Helper()
	s := newServer(t)
	n.Key = keyOf(1).PubKey()
	if n.Channels == nil {
		n.Channels = &fakeChannels{}
	}
	s.Activate(n)
	return &lightning{server: s}
}

// keyOf is a key for tests.
func keyOf(n byte) *btcec.PrivateKey {
	key, _ := btcec.PrivKeyFromBytes([]byte{n})
	return key
}

func nodeOf(n byte) [33]byte { return [33]byte(keyOf(n).PubKey().SerializeCompressed()) }

// sink takes what a call streams.
type sink[T any] struct {
	grpc.ServerStream
	ctx  context.Context
	sent []*T
}

func (s *sink[T]) Context() context.Context { return s.ctx }

func (s *sink[T]) Send(update *T) error {
	s.sent = append(s.sent, update)
	return nil
}

// fakeChannels has channels, and notes what is asked for.
type fakeChannels struct {
	all    []channel.Info
	closed []channel.ClosedInfo
	err    error

	listed func()      // before each list
	next   func() bool // changes something for who watches; false when nothing changes any more
	asked  []durable.Address
	opened []channel.OpenRequest
	open   channel.Opened
	ended  []channel.CloseRequest
	tx     chainhash.Hash

	closeErr error
}

func (f *fakeChannels) Open(_ context.Context, want channel.OpenRequest) (channel.Opened, error) {
	f.opened = append(f.opened, want)
	return f.open, f.err
}

func (f *fakeChannels) List(context.Context) ([]channel.Info, error) {
	if f.listed != nil {
		f.listed()
	}
	return slices.Clone(f.all), f.err
}

func (f *fakeChannels) Scid(_ context.Context, addr durable.Address) (lnwire.ShortChannelID, error) {
	f.asked = append(f.asked, addr)
	for _, c := range f.all {
		if c.Address == addr {
			return c.Scid, f.err
		}
	}
	return lnwire.ShortChannelID{}, cmp.Or(f.err, channel.ErrNoChannel)
}

func (f *fakeChannels) Closed(context.Context) ([]channel.ClosedInfo, error) { return f.closed, f.err }

func (f *fakeChannels) Close(_ context.Context, _ wire.OutPoint, want channel.CloseRequest) error {
	f.ended = append(f.ended, want)
	return f.closeErr
}

func (f *fakeChannels) AwaitClosing(context.Context, wire.OutPoint) (chainhash.Hash, error) {
	return f.tx, nil
}

func (f *fakeChannels) AwaitSpent(context.Context, wire.OutPoint) (chainhash.Hash, error) {
	return f.tx, nil
}

func (f *fakeChannels) Watch(_ context.Context, look func() (bool, error)) error {
	for {
		if enough, err := look(); enough || err != nil {
			return err
		}
		if f.next == nil || !f.next() {
			return context.Canceled
		}
	}
}

// fakeWallet has coins, and notes what is asked for.
type fakeWallet struct {
	coins        coins.Coins
	transactions []wallet.Transaction
	err          error
	sent         []coins.SendRequest
	next         func() bool // changes something for who watches; false when nothing changes any more
}

func (f *fakeWallet) NewAddress(_ context.Context, branch wallet.Branch) (btcutil.Address, error) {
	if branch == wallet.ReceiveTaproot {
		return btcutil.NewAddressTaproot(make([]byte, 32), backend.Regtest.Params())
	}
	return btcutil.NewAddressWitnessPubKeyHash(make([]byte, 20), backend.Regtest.Params())
}

func (f *fakeWallet) Coins(context.Context) (coins.Coins, error) { return f.coins, f.err }

func (f *fakeWallet) Send(_ context.Context, r coins.SendRequest) (chainhash.Hash, error) {
	f.sent = append(f.sent, r)
	return chainhash.Hash{7}, f.err
}

func (f *fakeWallet) Estimate(_ context.Context, r coins.SendRequest) (wallet.Selection, fees.SatPerKW, error) {
	f.sent = append(f.sent, r)
	return wallet.Selection{Inputs: f.coins.Coins, Fee: 321}, 500, f.err
}

func (f *fakeWallet) Watch(_ context.Context, look func() error) error {
	for {
		if err := look(); err != nil {
			return err
		}
		if f.next == nil || !f.next() {
			return context.Canceled
		}
	}
}

func (f *fakeWallet) Transactions(context.Context) ([]wallet.Transaction, error) {
	return slices.Clone(f.transactions), f.err
}

// fakeChain is at a height.
type fakeChain uint32

func (f fakeChain) SyncedTo() (backend.BlockRef, bool) {
	return backend.BlockRef{Height: uint32(f)}, true
}

func (f fakeChain) TipFound() time.Time { return time.Unix(1_700_000_000, 0) }

// fakePeers has nobody.
type fakePeers struct{ Peers }

func (fakePeers) List(context.Context) ([]peerbook.Peer, error) { return nil, nil }
