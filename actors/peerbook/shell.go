package peerbook

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/btcsuite/btcd/btcec/v2"

	"stormcell/actors/durable"
	"stormcell/peer/conn"
	"stormcell/peer/hub"
	"stormcell/peer/transport"
	"stormcell/peer/wire"
)

// errTenureOver closes the connections that an incarnation of the book knew when it has ended: the next knows none.
var errTenureOver = errors.New("this node restarts its connections")

// Shell is the world of the book: it carries out what the book releases, on a hub, and reports what becomes of it.
type Shell struct {
	kernel *durable.Kernel
	hub    *hub.Hub
	log    *slog.Logger
	tenure atomic.Pointer[tenure]
	closed atomic.Bool
}

// tenure is the time of one incarnation of the book. Connections belong to one and end with it.
type tenure struct {
	session uint64
	ctx     context.Context
	end     context.CancelCauseFunc
}

// NewShell makes the world of a kernel's book.
func NewShell(kernel *durable.Kernel, h *hub.Hub, log *slog.Logger) *Shell {
	return &Shell{kernel: kernel, hub: h, log: log}
}

// Serve takes connections until the listener is closed or the context ends.
func (s *Shell) Serve(ctx context.Context, listener *transport.Listener) {
	s.hub.Serve(ctx, listener, func(remote *btcec.PublicKey) (context.Context, hub.Owner) {
		t := s.tenure.Load()
		if t == nil {
			return nil, nil // the book is about to start, or has ended
		}
		return t.ctx, &owner{shell: s, tenure: t, key: keyOf(remote), inbound: true}
	})
}

// Release carries out an effect of the book.
func (s *Shell) Release(session uint64, e durable.Effect) {
	switch e := e.(type) {
	case Attend:
		ctx, end := context.WithCancelCause(context.Background())
		if old := s.tenure.Swap(&tenure{session, ctx, end}); old != nil {
			old.end(errTenureOver) // this effect of it left after its end
		}
		if s.closed.Load() {
			s.Ended(session)
		}
	case Dial:
		s.dial(session, e)
	case Hangup:
		s.hub.Close(e.Number, e.Reason)
	default:
		s.log.Error("the peer book released an unknown effect", "effect", e)
	}
}

// Ended closes the connections of an incarnation that has ended.
func (s *Shell) Ended(session uint64) {
	if t := s.tenure.Load(); t != nil && t.session == session {
		t.end(errTenureOver)
		s.tenure.CompareAndSwap(t, nil)
	}
}

// Close ends all connections for the given reason, takes no more, and returns when they are gone.
func (s *Shell) Close(reason error) {
	s.closed.Store(true)
	if t := s.tenure.Swap(nil); t != nil {
		t.end(reason)
	}
	s.hub.Wait()
}

func (s *Shell) dial(session uint64, d Dial) {
	t := s.tenure.Load()
	if t == nil || t.session != session {
		return // the incarnation that wants it has ended, and nobody waits
	}
	to, err := btcec.ParsePubKey(d.Key[:])
	o := &owner{shell: s, tenure: t, key: d.Key, dial: d}
	if err != nil {
		o.Ended(err)
		return
	}
	s.hub.Dial(t.ctx, to, d.Address, d.Timeout, o)
}

// owner reports one connection to the book.
type owner struct {
	shell   *Shell
	tenure  *tenure
	key     NodeKey
	inbound bool
	dial    Dial
	number  conn.Session // zero until it is up
}

// Up implements conn.Handler.
func (o *owner) Up(_ context.Context, c *conn.Conn, peer conn.Peer) error {
	o.number = c.Session()
	o.shell.log.Info("peer connected", "peer", o.key, "address", peer.Addr.String(), "inbound", o.inbound)
	return o.tell(Up{
		Key: o.key, Number: c.Session(), Address: peer.Addr.String(), Inbound: o.inbound,
		Features: peer.Features.Theirs, Dial: o.dial,
	})
}

// Message implements conn.Handler. There are no channels that a message could be about.
func (o *owner) Message(_ context.Context, _ conn.Session, m wire.Message) error {
	o.shell.log.Debug("message ignored", "peer", o.key, "message", wire.Name(m.MsgType()))
	return nil
}

// Ended implements hub.Owner.
func (o *owner) Ended(reason error) {
	var disconnect *conn.Disconnect
	incompatible := errors.As(reason, &disconnect) && disconnect.Kind.Incompatible()
	switch {
	case o.number != 0:
		_ = o.tell(Down{Key: o.key, Number: o.number, Incompatible: incompatible})
	case o.inbound:
		o.shell.log.Debug("a peer's connection did not come up", "peer", o.key, "error", reason)
	default:
		o.shell.log.Debug("dial failed", "peer", o.key, "address", o.dial.Address, "error", reason)
		_ = o.tell(Failed{Dial: o.dial, Err: reason, Incompatible: incompatible})
	}
}

// tell reports to the incarnation that the connection belongs to. When that has ended, so has the connection, and the next
// incarnation starts without it. The mailbox has room: see Kind.
func (o *owner) tell(fact any) error {
	err := o.shell.kernel.Tell(Address, o.tenure.session, fact)
	if err != nil && !errors.Is(err, durable.ErrRestarted) && !errors.Is(err, durable.ErrStopping) {
		o.shell.log.Warn("the peer book was not told", "error", err)
	}
	return err
}

func keyOf(key *btcec.PublicKey) NodeKey { return NodeKey(key.SerializeCompressed()) }
