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

// backlog is how many payments wait for a follower, each as it was last: that contains all that came before. allBacklogs is how many
// wait for all followers together: where it would be more, the one that has most to take is given up.
const (
	backlog     = 10_000
	allBacklogs = 4 * backlog
)

// follower is told what payments become.
type follower struct {
	one    durable.Address // empty for all
	news   sync.Map        // durable.Address to the *pb.Payment that it is now, if that is not taken
	count  atomic.Int64    // of news
	missed atomic.Bool     // there were more, and it is told nothing any more
	wake   chan struct{}   // holds one
}

func (s *Shell) follow(one durable.Address) *follower {
	f := &follower{one: one, wake: make(chan struct{}, 1)}
	s.followers.Store(f, nil)
	return f
}

func (s *Shell) leave(f *follower) { s.followers.Delete(f) }

// announce tells followers what a payment has become. It is called for one change after the other.
func (s *Shell) announce(addr durable.Address, p *pb.Payment) {
	s.followers.Range(func(key, _ any) bool {
		key.(*follower).changed(addr, p)
		return true
	})
	for {
		all, slowest := s.backlogs()
		if all <= allBacklogs {
			return
		}
		slowest.giveUp()
	}
}

// backlogs is how many payments wait for all followers, and for which of them most do.
func (s *Shell) backlogs() (all int64, slowest *follower) {
	var most int64
	s.followers.Range(func(key, _ any) bool {
		f := key.(*follower)
		n := f.count.Load()
		if all += n; n > most {
			most, slowest = n, f
		}
		return true
	})
	return all, slowest
}

// changed tells what a payment has become.
func (f *follower) changed(addr durable.Address, p *pb.Payment) {
	if f.missed.Load() || f.one != "" && f.one != addr {
		return
	}
	if _, waits := f.news.Swap(addr, p); !waits && f.count.Add(1) > backlog {
		f.giveUp()
		return
	}
	f.awaken()
}

// giveUp forgets what waits for a follower: it hears that it was too slow, once it takes anything.
func (f *follower) giveUp() {
	f.missed.Store(true)
	for {
		if _, there := f.take(); !there {
			break
		}
	}
	f.awaken()
}

func (f *follower) awaken() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// take gives a payment that waits, if one does. One at a time, so that nothing else lies with a follower that stands still.
func (f *follower) take() (p *pb.Payment, there bool) {
	f.news.Range(func(addr, _ any) bool {
		var value any
		if value, there = f.news.LoadAndDelete(addr); there {
			p = value.(*pb.Payment)
			f.count.Add(-1)
		}
		return !there
	})
	return p, there
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
		for p, there := f.take(); there; p, there = f.take() {
			if enough, err := tell(p); err != nil || enough {
				return err
			}
		}
		if f.missed.Load() {
			return ErrTooSlow
		}
	}
}
