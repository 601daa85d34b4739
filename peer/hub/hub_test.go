package hub_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/stretchr/testify/require"

	"stormcell/peer/conn"
	"stormcell/peer/hub"
	"stormcell/peer/transport"
	"stormcell/peer/wire"
)

// recorder is an Owner that writes down what it is told.
type recorder struct {
	up    chan *conn.Conn
	ended chan error
}

func newRecorder() *recorder {
	return &recorder{up: make(chan *conn.Conn, 1), ended: make(chan error, 2)}
}

func (r *recorder) Up(_ context.Context, c *conn.Conn, _ conn.Peer) error {
	r.up <- c
	return nil
}

func (r *recorder) Message(context.Context, conn.Session, wire.Message) error { return nil }
func (r *recorder) Ended(reason error)                                        { r.ended <- reason }

// wait gives the next value of a channel.
func wait[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		require.FailNow(t, "nothing happens")
		panic("unreachable")
	}
}

// side is a node with a hub that takes what comes.
type side struct {
	*hub.Hub
	key      *btcec.PrivateKey
	listener *transport.Listener
	accepted chan *recorder
}

func newSide(t *testing.T, most int, accepts bool) *side {
	t.Helper()
	key, err := btcec.NewPrivateKey()
	require.NoError(t, err)
	identity := &keychain.PrivKeyECDH{PrivKey: key}
	listener, err := transport.Listen("127.0.0.1:0", transport.ListenConfig{Key: identity})
	require.NoError(t, err)
	s := &side{hub.New(hub.Config{Key: identity, Max: most}), key, listener, make(chan *recorder, 8)}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.Serve(ctx, listener, func(*btcec.PublicKey, net.Addr) (context.Context, hub.Owner) {
			if !accepts {
				return nil, nil
			}
			r := newRecorder()
			s.accepted <- r
			return ctx, r
		})
	}()
	t.Cleanup(func() {
		stop()
		<-served
		require.NoError(t, listener.Close())
		s.Wait()
	})
	return s
}

func (s *side) dial(ctx context.Context, to *side) *recorder {
	r := newRecorder()
	s.Dial(ctx, hub.Dial{To: to.key.PubKey(), Address: to.listener.Addr().String()}, r)
	return r
}

func TestDialAndClose(t *testing.T) {
	t.Parallel()
	a, b := newSide(t, 8, true), newSide(t, 8, true)
	ours := a.dial(t.Context(), b)
	theirs := wait(t, b.accepted)
	c := wait(t, ours.up)
	wait(t, theirs.up)

	reason := errors.New("enough")
	a.Close(c.Session()+1, reason) // nobody
	a.Close(c.Session(), reason)
	require.ErrorIs(t, wait(t, ours.ended), reason)
	var disconnect *conn.Disconnect
	require.ErrorAs(t, wait(t, theirs.ended), &disconnect)
	require.Equal(t, conn.PeerClosed, disconnect.Kind)
	a.Wait()
	b.Wait()
	require.Empty(t, ours.ended, "Ended is called once")
	a.Close(c.Session(), reason) // it is gone
}

func TestContextEndsConnectionsAndDials(t *testing.T) {
	t.Parallel()
	a, b := newSide(t, 8, true), newSide(t, 8, true)
	ctx, stop := context.WithCancelCause(context.Background())
	ours := a.dial(ctx, b)
	wait(t, ours.up)
	reason := errors.New("over")
	stop(reason)
	require.ErrorIs(t, wait(t, ours.ended), reason)
	late := a.dial(ctx, b)
	require.ErrorIs(t, wait(t, late.ended), reason)
	a.Wait()
	require.Empty(t, late.up)
}

func TestThereIsAnEndToConnections(t *testing.T) {
	t.Parallel()
	a, b := newSide(t, 1, true), newSide(t, 8, true)
	ctx, stop := context.WithCancel(t.Context())
	first := a.dial(ctx, b)
	wait(t, first.up)
	require.ErrorIs(t, wait(t, a.dial(ctx, b).ended), hub.ErrFull)
	inbound := b.dial(ctx, a) // it is accepted by nobody and closed
	require.Error(t, wait(t, inbound.ended))
	require.ErrorIs(t, wait(t, wait(t, a.accepted).ended), hub.ErrFull)

	stop()
	wait(t, first.ended)
	a.Wait()
	wait(t, a.dial(t.Context(), b).up)
}

func TestNobodyToOwnIt(t *testing.T) {
	t.Parallel()
	a, b := newSide(t, 8, true), newSide(t, 8, false)
	require.Error(t, wait(t, a.dial(t.Context(), b).ended))
}

// TestAskedDialsDelayNoOthers: whoever asks for many connections to nodes that do not answer waits for himself only, and there is an
// end to how many.
func TestAskedDialsDelayNoOthers(t *testing.T) {
	t.Parallel()
	a, b := newSide(t, 1_000, true), newSide(t, 8, true)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts, so no handshake comes to an end
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ask := func() *recorder {
		r := newRecorder()
		a.Dial(ctx, hub.Dial{To: b.key.PubKey(), Address: silent.Addr().String(), Timeout: time.Hour, Asked: true}, r)
		return r
	}
	var first *recorder
	for range 256 {
		first = ask()
	}
	require.ErrorIs(t, wait(t, ask().ended), hub.ErrFull)
	wait(t, a.dial(t.Context(), b).up)

	stop()
	require.ErrorIs(t, wait(t, first.ended), context.Canceled)
	require.NoError(t, silent.Close())
}
