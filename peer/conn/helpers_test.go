package conn_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"stormcell/peer/conn"
	"stormcell/peer/transport"
	"stormcell/peer/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var chain = *chaincfg.RegressionNetParams.GenesisHash

func newKey(t *testing.T) transport.NodeKey {
	t.Helper()
	key, err := btcec.NewPrivateKey()
	require.NoError(t, err)
	return &keychain.PrivKeyECDH{PrivKey: key}
}

// overTCP makes the two ends of a connection over loopback; the second is a hostile peer's, with its socket.
func overTCP(t *testing.T) (ours, theirs *transport.Conn, socket net.Conn) {
	t.Helper()
	key := newKey(t)
	l, err := transport.Listen("127.0.0.1:0", transport.ListenConfig{Key: key})
	require.NoError(t, err)
	defer l.Close()
	tap := new(tap)
	theirs, err = (&transport.Dialer{Key: newKey(t), Network: tap}).Dial(t.Context(), key.PubKey(), l.Addr().String())
	require.NoError(t, err)
	ours, err = l.Accept(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { theirs.Close() })
	return ours, theirs, tap.socket
}

// overPipe is overTCP in memory, where nothing is buffered: what one writes waits until the other reads it. It is for
// tests in virtual time.
func overPipe(t *testing.T) (ours, theirs *transport.Conn, socket net.Conn) {
	t.Helper()
	left, right := net.Pipe()
	key := newKey(t)
	accepted := make(chan *transport.Conn, 1)
	go func() {
		c, err := transport.Server(t.Context(), left, key)
		if err == nil {
			accepted <- c
		}
	}()
	theirs, err := transport.Client(t.Context(), right, newKey(t), key.PubKey())
	require.NoError(t, err)
	return <-accepted, theirs, right
}

// tap is a dialer that keeps the socket.
type tap struct{ socket net.Conn }

func (d *tap) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	d.socket = c
	return c, err
}

// recorder is a handler that keeps what it gets.
type recorder struct {
	up       chan *conn.Conn
	peer     conn.Peer
	messages chan wire.Message
	sessions chan conn.Session
	err      error

	// gate, if set, holds up every message until it can be received from.
	gate chan struct{}
}

func newRecorder() *recorder {
	return &recorder{
		up: make(chan *conn.Conn, 1), messages: make(chan wire.Message, 10_000), sessions: make(chan conn.Session, 10_000),
	}
}

func (r *recorder) Up(_ context.Context, c *conn.Conn, peer conn.Peer) error {
	r.peer = peer
	r.up <- c
	return nil
}

func (r *recorder) Message(ctx context.Context, session conn.Session, m wire.Message) error {
	if r.gate != nil {
		select {
		case <-r.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.messages <- m
	r.sessions <- session
	return r.err
}

// running is a connection under test.
type running struct {
	*conn.Conn
	*recorder
	reason func() *conn.Disconnect // waits for the end
}

// run runs a connection over a link, until it ends or the test does.
func run(t *testing.T, link conn.Link, config conn.Config, prepare ...func(*recorder)) running {
	t.Helper()
	if len(config.Features.Bits()) == 0 {
		config.Features = wire.DefaultFeatures()
	}
	config.Chain = chain
	r := newRecorder()
	for _, p := range prepare {
		p(r)
	}
	c := conn.New(link, r, config)
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- c.Run(ctx) }()
	reason := sync.OnceValue(func() *conn.Disconnect {
		d, ok := (<-result).(*conn.Disconnect)
		if !ok {
			t.Error("Run returned no Disconnect")
		}
		return d
	})
	t.Cleanup(func() {
		cancel()
		reason()
	})
	return running{Conn: c, recorder: r, reason: reason}
}

// theirInit is what a peer that fits sends first.
func theirInit() *wire.Init { return &wire.Init{Features: wire.DefaultFeatures()} }

// say sends messages from a raw link.
func say(t *testing.T, link *transport.Conn, messages ...wire.Message) {
	t.Helper()
	for _, m := range messages {
		data, err := wire.Encode(m)
		require.NoError(t, err)
		require.NoError(t, link.WriteMessage(data))
	}
	require.NoError(t, link.Flush())
}

// hear reads a message from a raw link.
func hear(t *testing.T, link *transport.Conn) wire.Message {
	t.Helper()
	data, err := link.ReadMessage()
	require.NoError(t, err)
	m, err := wire.Decode(data)
	require.NoError(t, err)
	return m
}

// hearWarning reads on until a warning comes, and returns its text.
func hearWarning(t *testing.T, link *transport.Conn) string {
	t.Helper()
	for {
		if w, ok := hear(t, link).(*wire.Warning); ok {
			return string(w.Data)
		}
	}
}
