package transport_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/brontide"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"stormcell/peer/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newKey(t *testing.T) transport.NodeKey {
	t.Helper()
	key, err := btcec.NewPrivateKey()
	require.NoError(t, err)
	return &keychain.PrivKeyECDH{PrivKey: key}
}

func listen(t *testing.T, config transport.ListenConfig) *transport.Listener {
	t.Helper()
	l, err := transport.Listen("127.0.0.1:0", config)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// refusals collects what a listener refuses.
func refusals() (func(net.Addr, error), <-chan error) {
	reasons := make(chan error, 100)
	return func(_ net.Addr, reason error) { reasons <- reason }, reasons
}

// connect makes two ends of a connection over loopback.
func connect(t *testing.T) (client, server *transport.Conn) {
	t.Helper()
	ours, theirs := newKey(t), newKey(t)
	l := listen(t, transport.ListenConfig{Key: theirs})
	client, err := (&transport.Dialer{Key: ours}).Dial(t.Context(), theirs.PubKey(), l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	server, err = l.Accept(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { server.Close() })
	require.True(t, client.RemoteKey().IsEqual(theirs.PubKey()))
	require.True(t, server.RemoteKey().IsEqual(ours.PubKey()))
	return client, server
}

func TestMessagesArriveWholeAndInOrder(t *testing.T) {
	t.Parallel()
	client, server := connect(t)
	const count = 1100 // beyond the first key rotation of each direction
	message := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, i*61%3000) }
	send := func(c *transport.Conn) error {
		for i := range count {
			if err := c.WriteMessage(message(i)); err != nil {
				return err
			}
		}
		return c.Flush()
	}
	sent := make(chan error, 2)
	go func() { sent <- send(client) }()
	go func() { sent <- send(server) }()
	for _, c := range []*transport.Conn{client, server} {
		for i := range count {
			got, err := c.ReadMessage()
			require.NoError(t, err)
			require.True(t, bytes.Equal(message(i), got), "message %d", i)
		}
	}
	require.NoError(t, <-sent)
	require.NoError(t, <-sent)
}

func TestMessageSizes(t *testing.T) {
	t.Parallel()
	client, server := connect(t)
	big := make([]byte, transport.MaxMessage)
	_, _ = rand.Read(big)
	go func() {
		_ = client.WriteMessage(big)
		_ = client.WriteMessage(nil)
		_ = client.Flush()
	}()
	got, err := server.ReadMessage()
	require.NoError(t, err)
	require.Equal(t, big, got)
	got, err = server.ReadMessage()
	require.NoError(t, err)
	require.Empty(t, got)

	require.ErrorIs(t, server.WriteMessage(make([]byte, transport.MaxMessage+1)), transport.ErrTooLong)
}

func TestCloseIsSeenByThePeer(t *testing.T) {
	t.Parallel()
	client, server := connect(t)
	require.NoError(t, client.Close())
	_, err := server.ReadMessage()
	require.ErrorIs(t, err, io.EOF)
	_, err = client.ReadMessage()
	require.ErrorIs(t, err, net.ErrClosed)
}

// wiretap lets a test change what goes over a connection.
type wiretap struct {
	net.Conn
	change atomic.Pointer[func([]byte) []byte]
}

func (w *wiretap) Write(p []byte) (int, error) {
	if change := w.change.Load(); change != nil {
		if _, err := w.Conn.Write((*change)(bytes.Clone(p))); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return w.Conn.Write(p)
}

func TestTamperedAndTruncatedMessages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func([]byte) []byte
		want   error
	}{
		"length flipped":  {func(b []byte) []byte { b[0] ^= 1; return b }, transport.ErrCorrupt},
		"body flipped":    {func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, transport.ErrCorrupt},
		"cut in the body": {func(b []byte) []byte { return b[:len(b)-1] }, io.ErrUnexpectedEOF},
		"cut after head":  {func(b []byte) []byte { return b[:18] }, io.ErrUnexpectedEOF},
		"cut in the head": {func(b []byte) []byte { return b[:5] }, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := newKey(t), newKey(t)
			left, right := net.Pipe()
			tap := &wiretap{Conn: left}
			accepted := make(chan *transport.Conn, 1)
			go func() {
				conn, _ := transport.Server(t.Context(), right, theirs)
				accepted <- conn
			}()
			client, err := transport.Client(t.Context(), tap, ours, theirs.PubKey())
			require.NoError(t, err)
			server := <-accepted
			defer server.Close()
			go func() {
				tap.change.Store(&c.change)
				_ = client.WriteMessage([]byte("hello"))
				_ = client.Flush()
				_ = client.Close()
			}()
			_, err = server.ReadMessage()
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestDialRefusesTheWrongNode(t *testing.T) {
	t.Parallel()
	refused, reasons := refusals()
	l := listen(t, transport.ListenConfig{Key: newKey(t), Refused: refused})
	_, err := (&transport.Dialer{Key: newKey(t)}).Dial(t.Context(), newKey(t).PubKey(), l.Addr().String())
	var failed *transport.HandshakeError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, 2, failed.Act)
	require.ErrorAs(t, <-reasons, &failed)
	require.Equal(t, 1, failed.Act)
}

func TestDialToNobody(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	_, err = (&transport.Dialer{Key: newKey(t)}).Dial(t.Context(), newKey(t).PubKey(), address)
	require.ErrorContains(t, err, "connect to "+address)
}

func TestGarbageHandshake(t *testing.T) {
	t.Parallel()
	refused, reasons := refusals()
	l := listen(t, transport.ListenConfig{Key: newKey(t), Refused: refused})
	for _, garbage := range []string{
		"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: a-browser-that-is-lost\r\n\r\n", strings.Repeat("\x00", 50),
		"\x01" + strings.Repeat("\x02", 49),
	} {
		raw, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		_, err = io.WriteString(raw, garbage)
		require.NoError(t, err)
		var failed *transport.HandshakeError
		require.ErrorAs(t, <-reasons, &failed)
		require.Equal(t, 1, failed.Act)
		_, err = raw.Read(make([]byte, 1))
		require.Error(t, err, "the listener hangs up")
		raw.Close()
	}
}

// A peer that gets through act one, and then goes away or sends garbage.
func TestHandshakeBreaksInActThree(t *testing.T) {
	t.Parallel()
	for name, three := range map[string]func(good [brontide.ActThreeSize]byte) []byte{
		"hang up":   func([brontide.ActThreeSize]byte) []byte { return nil },
		"short":     func(b [brontide.ActThreeSize]byte) []byte { return b[:40] },
		"version":   func(b [brontide.ActThreeSize]byte) []byte { b[0] = 1; return b[:] },
		"bad key":   func(b [brontide.ActThreeSize]byte) []byte { b[1] ^= 1; return b[:] },
		"bad proof": func(b [brontide.ActThreeSize]byte) []byte { b[65] ^= 1; return b[:] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused, reasons := refusals()
			key := newKey(t)
			l := listen(t, transport.ListenConfig{Key: key, Refused: refused})
			raw, err := net.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			defer raw.Close()
			machine := brontide.NewBrontideMachine(true, newKey(t), key.PubKey())
			one, err := machine.GenActOne()
			require.NoError(t, err)
			_, err = raw.Write(one[:])
			require.NoError(t, err)
			var two [brontide.ActTwoSize]byte
			_, err = io.ReadFull(raw, two[:])
			require.NoError(t, err)
			require.NoError(t, machine.RecvActTwo(two))
			good, err := machine.GenActThree()
			require.NoError(t, err)
			_, err = raw.Write(three(good))
			require.NoError(t, err)
			raw.(*net.TCPConn).CloseWrite()
			var failed *transport.HandshakeError
			require.ErrorAs(t, <-reasons, &failed)
			require.Equal(t, 3, failed.Act)
		})
	}
}

// A peer that drips bytes is cut off when the handshake as a whole takes too long, however lively it looks.
func TestSlowHandshake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		dripped := make(chan struct{})
		go func() {
			defer close(dripped)
			for {
				if _, err := theirs.Write([]byte{0}); err != nil {
					return
				}
				<-time.After(time.Second)
			}
		}()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := transport.Server(ctx, ours, newKey(t))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var failed *transport.HandshakeError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, 1, failed.Act)
		require.Equal(t, 5*time.Second, time.Since(began))
		<-dripped
	})
}

func TestDialIsCancelled(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	reason := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	taken := make(chan net.Conn, 1)
	go func() {
		conn, err := silent.Accept()
		if err == nil {
			taken <- conn
		}
		cancel(reason)
	}()
	_, err = (&transport.Dialer{Key: newKey(t)}).Dial(ctx, newKey(t).PubKey(), silent.Addr().String())
	require.ErrorIs(t, err, reason)
	(<-taken).Close()
}

func TestListenerLimitsEachHost(t *testing.T) {
	t.Parallel()
	refused, reasons := refusals()
	l := listen(t, transport.ListenConfig{Key: newKey(t), PerHost: 3, Timeout: time.Minute, Refused: refused})
	for range 4 {
		raw, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer raw.Close()
	}
	require.ErrorIs(t, <-reasons, transport.ErrCrowded)
	require.Empty(t, reasons, "three may go on")
}

// Connections that nobody accepts hold their slots: a listener whose node is busy takes no more than so many.
func TestListenerLimitsHandshakes(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	l := listen(t, transport.ListenConfig{Key: key, Handshakes: 2})
	results := make(chan error, 3)
	for range 3 {
		go func() {
			conn, err := (&transport.Dialer{Key: newKey(t)}).Dial(t.Context(), key.PubKey(), l.Addr().String())
			if err == nil {
				conn.Close()
			}
			results <- err
		}()
	}
	require.NoError(t, <-results)
	require.NoError(t, <-results)
	require.Empty(t, results, "the third waits")
	conn, err := l.Accept(t.Context())
	require.NoError(t, err)
	conn.Close()
	require.NoError(t, <-results)
}

func TestListenerCloseEndsHandshakes(t *testing.T) {
	t.Parallel()
	refused, reasons := refusals()
	l := listen(t, transport.ListenConfig{Key: newKey(t), Timeout: time.Hour, Refused: refused})
	raw, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer raw.Close()
	_, err = raw.Write([]byte{0})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	if len(reasons) > 0 { // unless the kernel still had the connection
		require.ErrorIs(t, <-reasons, transport.ErrListenerClosed)
	}
	_, err = l.Accept(t.Context())
	require.ErrorIs(t, err, transport.ErrListenerClosed)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	open := listen(t, transport.ListenConfig{Key: newKey(t)})
	_, err = open.Accept(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
