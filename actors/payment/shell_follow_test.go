package payment

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	pb "stormcell/messages/payment"
	"stormcell/persistence"
)

// standing is a follower of all payments that takes nothing before it is let go.
type standing struct {
	t     *testing.T
	house *house
	begin chan struct{}
	seen  chan *pb.Payment
	ended chan error
}

func stand(t *testing.T) *standing {
	s := &standing{t, newHouse(t, persistence.NewMemory()), make(chan struct{}), make(chan *pb.Payment), make(chan error, 1)}
	go func() {
		s.ended <- s.house.shell.Client().TrackAll(t.Context(), func(p *pb.Payment) error {
			<-s.begin
			select {
			case s.seen <- p:
				return nil
			case <-t.Context().Done():
				return t.Context().Err()
			}
		})
	}()
	require.Eventually(t, func() bool {
		n := 0
		s.house.shell.followers.Range(func(any, any) bool { n++; return true })
		return n == 1
	}, 5*time.Second, time.Millisecond)
	return s
}

func (s *standing) changes(n int, revision uint64) {
	addr := durable.Address(fmt.Sprintf("payment/%d", n))
	s.house.shell.Release(addr, 1, Changed{Payment: &pb.Payment{Number: uint64(n), Revision: revision}})
}

// However slow a follower of all is, what each payment came to reaches it.
func TestSlowFollowerOfAllSeesEveryEnd(t *testing.T) {
	t.Parallel()
	s := stand(t)
	const payments, revisions = 1_000, 5
	for n := range payments {
		for revision := range uint64(revisions) {
			s.changes(n, revision+1)
		}
	}
	close(s.begin)
	last := map[uint64]uint64{}
	for ends := 0; ends < payments; {
		select {
		case p := <-s.seen:
			require.Greater(t, p.GetRevision(), last[p.GetNumber()])
			if last[p.GetNumber()] = p.GetRevision(); p.GetRevision() == revisions {
				ends++
			}
		case <-time.After(5 * time.Second):
			require.Failf(t, "something was not told", "%d of %d ends came", ends, payments)
		}
	}
}

// A follower that stands still for ever holds on to no more than so many payments, and hears that it has missed some.
func TestFollowerThatStandsStill(t *testing.T) {
	t.Parallel()
	s := stand(t)
	for n := range 2*backlog + 2 {
		s.changes(n, 1)
	}
	close(s.begin)
	for {
		select {
		case <-s.seen:
		case err := <-s.ended:
			require.ErrorIs(t, err, ErrTooSlow)
			return
		}
	}
}

func TestFollowerOfOneHearsOfNoOther(t *testing.T) {
	t.Parallel()
	s := NewShell(Config{})
	f := s.follow("payment/a")
	for n := range uint64(3) {
		s.Release("payment/a", 1, Changed{Payment: &pb.Payment{Revision: n}})
		s.Release("payment/b", 1, Changed{Payment: &pb.Payment{Revision: 1_000}})
	}
	news, there := f.take()
	require.True(t, there)
	require.Equal(t, uint64(2), news.GetRevision())
	_, there = f.take()
	require.False(t, there)
}

// However many followers of all stand still, what waits for them together is bounded: those with most are given up, and hear so. Who
// takes what it is told of misses nothing.
func TestManyFollowersThatStandStill(t *testing.T) {
	t.Parallel()
	s := stand(t)
	const followers, payments = 25, backlog / 4
	var still []*follower
	for range followers {
		still = append(still, s.house.shell.follow(""))
	}
	close(s.begin)
	for n := range payments {
		s.changes(n, 1)
		all, _ := s.house.shell.backlogs()
		require.LessOrEqual(t, all, int64(allBacklogs))
		select {
		case p := <-s.seen:
			require.EqualValues(t, n, p.GetNumber())
		case err := <-s.ended:
			require.NoError(t, err)
		}
	}
	givenUp := 0
	for _, f := range still {
		waiting := 0
		f.news.Range(func(any, any) bool { waiting++; return true })
		require.EqualValues(t, f.count.Load(), waiting)
		if !f.missed.Load() {
			continue
		}
		givenUp++
		require.Zero(t, waiting)
		require.ErrorIs(t, s.house.shell.Client().follow(t.Context(), f, nil), ErrTooSlow)
	}
	require.GreaterOrEqual(t, givenUp, followers-allBacklogs/payments)
	require.Less(t, givenUp, followers)
}
