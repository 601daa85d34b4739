package payment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"stormcell/actors/durable"
	"stormcell/actors/router"
)

// ErrNoChain: the node does not know the height of the chain yet, and so no expiry for what it pays.
var ErrNoChain = errors.New("the chain is not known yet, try again when the node has found its tip")

// Config is what payments need of the node. All must be set.
type Config struct {
	Kernel *durable.Kernel
	// Channels are the open channels with a peer, and what each can take now.
	Channels func(ctx context.Context, peer [33]byte) ([]router.Channel, error)
	// Height is how many blocks the chain has, zero while that is not known.
	Height func() uint32
	Log    *slog.Logger
}

// Shell is the world of payments and shards: it finds routes, and tells those who follow a payment how it goes.
type Shell struct {
	Config
	numbers   atomic.Uint64 // given out
	followers sync.Map      // *follower to nothing
	results   *prometheus.CounterVec
	ctx       context.Context
	end       context.CancelFunc
}

// NewShell makes the world of a kernel's payments.
func NewShell(c Config) *Shell {
	s := &Shell{Config: c, results: newResults()}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s
}

// Start learns which numbers have been given out. The kernel runs.
func (s *Shell) Start(ctx context.Context) error {
	return s.Kernel.View(ctx, func(v durable.View) error {
		last, err := lastNumber(v)
		s.numbers.Store(last)
		return err
	})
}

// Close stops looking for routes.
func (s *Shell) Close() { s.end() }

// Release carries out an effect of a payment. Shards have none.
func (s *Shell) Release(from durable.Address, session uint64, e durable.Effect) {
	switch e := e.(type) {
	case FindRoutes:
		go func() {
			found := s.find(s.ctx, e.Query)
			if s.ctx.Err() != nil {
				return // the node stops: the payment asks again when it is back
			}
			found.Round = e.Round
			s.tell(from, session, found)
		}()
	case Gather:
		s.gather(from, session, e)
	case Changed:
		if e.Ended {
			s.count(e.Payment)
		}
		s.announce(from, e.Payment)
	default:
		s.Log.Error("a payment released an unknown effect", "actor", from, "effect", fmt.Sprintf("%T", e))
	}
}

// find asks the channels with the payee, and the router.
func (s *Shell) find(ctx context.Context, q router.Query) Found {
	height := s.Height()
	if height == 0 {
		return Found{Err: ErrNoChain}
	}
	channels, err := s.Channels(ctx, q.Payee)
	if err != nil {
		return Found{Err: fmt.Errorf("ask the channels with the payee: %w", err)}
	}
	routes, err := router.Find(q, channels, height)
	return Found{Routes: routes, Err: err}
}

// gather asks shards whether they live, and says when all have answered. One that does not answer is counted as live.
func (s *Shell) gather(from durable.Address, session uint64, e Gather) {
	var left atomic.Int64
	left.Store(int64(len(e.Shards)))
	answered := func(any, error) {
		if left.Add(-1) == 0 {
			s.tell(from, session, Found{Round: e.Round})
		}
	}
	for _, shard := range e.Shards {
		if err := s.Kernel.AskFunc(shard, IsLive{}, false, answered); err != nil {
			answered(nil, err)
		}
	}
}

// tell answers a payment. When its incarnation has ended, the next asks again.
func (s *Shell) tell(to durable.Address, session uint64, found Found) {
	err := s.Kernel.Tell(to, session, found)
	if err != nil && !errors.Is(err, durable.ErrRestarted) && !errors.Is(err, durable.ErrStopping) {
		s.Log.Warn("a payment was not told of routes", "actor", to, "error", err)
	}
}
