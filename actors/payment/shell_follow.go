package payment

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"stormcell/actors/durable"
	pb "stormcell/messages/payment"
)

// ErrTooSlow: so many payments changed before their follower took them that it was not told of all.
var ErrTooSlow = errors.New("follower of payments is too slow, and has missed some")

// backlog is how many payments wait for a follower, each as it was last: that contains all that came before.
const backlog = 10_000

// follower is told what payments become.
type follower struct {
	one    durable.Address // empty for all
	news   sync.Map        // durable.Address to the *pb.Payment that it is now, if that is not taken
	count  atomic.Int64    // of news
	missed atomic.Bool     // there were more
	wake   chan struct{}   // holds one
}

func (s *Shell) follow(one durable.Address) *follower {
	f := &follower{one: one, wake: make(chan struct{}, 1)}
	s.followers.Store(f, nil)
	return f
}

func (s *Shell) leave(f *follower) { s.followers.Delete(f) }

// changed is called for one change after the other.
func (f *follower) changed(addr durable.Address, p *pb.Payment) {
	switch {
	case f.one != "" && f.one != addr:
		return
	case f.count.Load() >= backlog:
		f.missed.Store(true)
	default:
		if _, waits := f.news.Swap(addr, p); !waits {
			f.count.Add(1)
		}
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// take gives what is new, each payment once.
func (f *follower) take() (news []*pb.Payment) {
	f.news.Range(func(addr, _ any) bool {
		if p, there := f.news.LoadAndDelete(addr); there {
			news = append(news, p.(*pb.Payment))
		}
		return true
	})
	f.count.Add(-int64(len(news)))
	return news
}

// follow calls f with payments that have changed until it says that it has seen enough. The errors are ErrTooSlow, f's, the
// context's and the kernel's.
func (c Client) follow(ctx context.Context, f *follower, tell func(*pb.Payment) (enough bool, err error)) error {
	for {
		select {
		case <-f.wake:
		case <-ctx.Done():
			return fmt.Errorf("follow payments: %w", ctx.Err())
		case <-c.shell.Kernel.Dead():
			return fmt.Errorf("follow payments: %w", c.shell.Kernel.Err())
		case <-c.shell.ctx.Done():
			return fmt.Errorf("follow payments: %w", durable.ErrStopping)
		}
		if f.missed.Load() {
			return ErrTooSlow
		}
		for _, p := range f.take() {
			if enough, err := tell(p); err != nil || enough {
				return err
			}
		}
	}
}
