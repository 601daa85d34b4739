package peerbook

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	"stormcell/peer/hub"
	"stormcell/peer/transport"
	"stormcell/peer/wire"
	"stormcell/persistence"
)

// bookWorld is the world of a node that has nothing but a peer book, and channels with one node.
type bookWorld struct {
	*Shell
	friend NodeKey
}

func (w *bookWorld) Release(_ durable.Address, session uint64, e durable.Effect) {
	w.Shell.Release(session, e)
}
func (w *bookWorld) Ended(_ durable.Address, session uint64)          { w.Shell.Ended(session) }
func (*bookWorld) Up(*Link)                                           {}
func (*bookWorld) Down(*Link)                                         {}
func (*bookWorld) Message(context.Context, *Link, wire.Message) error { return nil }
func (w *bookWorld) HasChannels(key NodeKey) bool                     { return key == w.friend }

func newKey(t *testing.T) *keychain.PrivKeyECDH {
	t.Helper()
	key, err := btcec.NewPrivateKey()
	require.NoError(t, err)
	return &keychain.PrivKeyECDH{PrivKey: key}
}

// listen starts a node, and gives a way to connect to it from an address.
func (w *bookWorld) listen(t *testing.T) (connect func(from string, key *keychain.PrivKeyECDH) *transport.Conn) {
	t.Helper()
	key := newKey(t)
	kernel := durable.New(durable.Options{Journal: persistence.NewMemory(), World: w, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, durable.Register(kernel, Kind(), Core{Self: keyOf(key.PubKey())}))
	w.Shell = NewShell(kernel, hub.New(hub.Config{Key: key, Max: MaxConnections}), w, slog.New(slog.DiscardHandler))
	require.NoError(t, kernel.Start())
	require.NoError(t, w.Client().Open(t.Context()))
	listener, err := transport.Listen("127.0.0.1:0", transport.ListenConfig{Key: key})
	require.NoError(t, err)
	serving := make(chan struct{})
	go func() {
		defer close(serving)
		w.Serve(context.Background(), listener)
	}()
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		<-serving
		w.Close(errors.New("the test is over"))
		require.NoError(t, kernel.Stop(context.Background()))
	})
	return func(from string, as *keychain.PrivKeyECDH) *transport.Conn {
		dialer := transport.Dialer{Key: as, Network: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}}
		conn, err := dialer.Dial(t.Context(), key.PubKey(), listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
}

// TestNobodyFillsTheHub: of nodes without channels that connect to us there are only so many, and who has most connections loses
// them first. Nodes with channels stay, and so do strangers from elsewhere.
func TestNobodyFillsTheHub(t *testing.T) {
	t.Parallel()
	friend := newKey(t)
	w := &bookWorld{friend: keyOf(friend.PubKey())}
	connect := w.listen(t)
	ended := func(c *transport.Conn) <-chan error {
		out := make(chan error, 1)
		go func() {
			for {
				if _, err := c.ReadMessage(); err != nil {
					out <- err
					return
				}
			}
		}()
		return out
	}
	friendly := ended(connect("127.0.0.1", friend))
	stranger := func(from string) <-chan error {
		before := w.strangers.Size()
		out := ended(connect(from, newKey(t)))
		require.Eventually(t, func() bool { return w.strangers.Size() > before || before == MaxStrangers }, 20*time.Second, 100*time.Microsecond)
		return out
	}
	elsewhere, first, second := stranger("127.0.0.2"), stranger("127.0.0.1"), stranger("127.0.0.1")
	for range MaxStrangers - 3 {
		stranger("127.0.0.1")
	}
	require.Equal(t, MaxStrangers, w.strangers.Size())
	require.Empty(t, first)
	stranger("127.0.0.1")
	select {
	case <-first:
	case <-time.After(20 * time.Second):
		require.Fail(t, "the first stranger of the host with most has not left")
	}
	stranger("127.0.0.3") // who has most still loses
	select {
	case <-second:
	case <-time.After(20 * time.Second):
		require.Fail(t, "the next has not left")
	}
	require.Empty(t, friendly)
	require.Empty(t, elsewhere)
	require.Equal(t, MaxStrangers, w.strangers.Size())
}

// TestStrangersWhoGetChannels stay: they count no more when others come.
func TestStrangersWhoGetChannels(t *testing.T) {
	t.Parallel()
	w := &bookWorld{}
	_ = w.listen(t)
	key := newKey(t)
	o := newOwner(w.Shell, &tenure{ctx: t.Context()}, keyOf(key.PubKey()), true, Dial{})
	ctx, _ := w.receive(o, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)})
	w.friend = o.key
	for range MaxStrangers {
		another := newOwner(w.Shell, o.tenure, keyOf(newKey(t).PubKey()), true, Dial{})
		w.receive(another, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)})
	}
	require.NoError(t, ctx.Err())
	o.Ended(errors.New("over"))
	require.Error(t, ctx.Err())
	require.Equal(t, MaxStrangers, w.strangers.Size())
}
