package peerbook

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/btcsuite/btcd/btcec/v2"

	"stormcell/actors/durable"
	"stormcell/chain/backend"
	"stormcell/peer/address"
	"stormcell/peer/crowd"
	"stormcell/peer/hub"
	"stormcell/peer/transport"
)

// errTenureOver closes the connections that an incarnation of the book knew when it has ended: the next knows none.
var errTenureOver = errors.New("this node restarts its connections")

// errCrowded closes the connection of a stranger for another one's.
var errCrowded = errors.New("too many nodes without channels are connected")

// Shell is the world of the book: it carries out what the book releases, on a hub, and reports what becomes of it.
type Shell struct {
	kernel *durable.Kernel
	hub    *hub.Hub
	sink   Sink
	log    *slog.Logger
	tenure atomic.Pointer[tenure]
	owners sync.Map // of the connections that are up, by number
	closed atomic.Bool
	// strangers are those that connected to us and have no channel with us.
	strangers *crowd.Crowd

	changed backend.Signal // the book lists other peers than before
}

// tenure is the time of one incarnation of the book. Connections belong to one and end with it.
type tenure struct {
	session uint64
	ctx     context.Context
	end     context.CancelCauseFunc
}

// NewShell makes the world of a kernel's book. What comes over its connections goes to the sink.
func NewShell(kernel *durable.Kernel, h *hub.Hub, sink Sink, log *slog.Logger) *Shell {
	return &Shell{kernel: kernel, hub: h, sink: sink, log: log, strangers: crowd.New(MaxStrangers)}
}

// Serve takes connections until the listener is closed or the context ends.
func (s *Shell) Serve(ctx context.Context, listener *transport.Listener) {
	s.hub.Serve(ctx, listener, func(remote *btcec.PublicKey, from net.Addr) (context.Context, hub.Owner) {
		t := s.tenure.Load()
		if t == nil {
			return nil, nil // the book is about to start, or has ended
		}
		return s.receive(newOwner(s, t, keyOf(remote), true, Dial{}), from)
	})
}

// receive counts a node that has connected to us among strangers, unless it has channels with us. One that gets some is found to be
// no stranger when it would have to leave.
func (s *Shell) receive(o *owner, from net.Addr) (context.Context, hub.Owner) {
	if s.sink.HasChannels(o.key) {
		return o.tenure.ctx, o
	}
	ctx, end := context.WithCancelCause(o.tenure.ctx)
	stranger := s.strangers.Enter(address.HostOf(from), func() {
		if !s.sink.HasChannels(o.key) {
			end(errCrowded)
		}
	})
	o.exit = func() {
		s.strangers.Exit(stranger)
		end(nil)
	}
	return ctx, o
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
	case Use:
		if o, ok := s.owners.Load(e.Number); ok {
			o.(*owner).use()
		}
		s.changed.Raise()
	case Hangup:
		s.hub.Close(e.Number, e.Reason)
	case Lost:
		s.changed.Raise()
	default:
		s.log.Error("the peer book released an unknown effect", "effect", e)
	}
}

// Ended closes the connections of an incarnation that has ended.
func (s *Shell) Ended(session uint64) {
	if t := s.tenure.Load(); t != nil && t.session == session {
		t.end(errTenureOver)
		s.tenure.CompareAndSwap(t, nil)
		s.changed.Raise()
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
	o := newOwner(s, t, d.Key, false, d)
	if err != nil {
		o.Ended(err)
		return
	}
	s.hub.Dial(t.ctx, hub.Dial{To: to, Address: d.Address, Timeout: d.Timeout, Asked: d.Asker.Waits()}, o)
}
