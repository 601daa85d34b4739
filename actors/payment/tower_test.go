package payment

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/actors/router"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/payment"
	"stormcell/peer/wire"
)

// model is the control tower in its simplest form: what the rules say, and nothing of how it is done.
type model struct {
	began    bool
	amount   uint64
	deadline time.Time
	shards   []modelShard     // n is the place, from 1
	failed   pb.FailureReason // as a whole, in this try
	paid     bool
	deleted  bool
}

type modelShard struct {
	amount uint64
	end    byte // 'l'ive, 's'ettled, 'f'ailed
}

func (m *model) live() (live []uint32) {
	for i, s := range m.shards {
		if s.end == 'l' {
			live = append(live, uint32(i+1))
		}
	}
	return live
}

func (m *model) sent() (sum uint64) {
	for _, s := range m.shards {
		if s.end != 'f' {
			sum += s.amount
		}
	}
	return sum
}

func (m *model) status() pb.Status {
	switch {
	case len(m.live()) > 0:
		return pb.Status_IN_FLIGHT
	case m.paid:
		return pb.Status_SUCCEEDED
	case m.failed != 0:
		return pb.Status_FAILED
	}
	return pb.Status_IN_FLIGHT
}

// fail fails the payment as a whole: the first reason counts.
func (m *model) fail(why pb.FailureReason) {
	if m.failed == 0 {
		m.failed = why
	}
}

// goOn is what a step comes to when value remains: there may be no time or no attempts left.
func (m *model) goOn(now time.Time, attempts int) {
	switch {
	case m.ended() || m.sent() >= m.amount:
	case !now.Before(m.deadline):
		m.fail(pb.FailureReason_TIMEOUT)
	case attempts >= maxAttempts:
		m.fail(pb.FailureReason_NO_ROUTE)
	}
}

func (m *model) ended() bool { return m.paid || m.failed != 0 }

// TestControlTower holds a payment against the model: any order of launches, of shards that end in time, late and twice, of
// failures of the whole, aborts, deadlines, deletions, new tries and restarts.
func TestControlTower(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, m := newScript(t), &model{}
		before, wasEnded, asks := pb.Status_UNKNOWN, false, 0
		t.Repeat(map[string]func(*rapid.T){
			"pay": func(t *rapid.T) { payAgain(t, s, m) },
			"routes": func(t *rapid.T) {
				if s.asked != 0 {
					answerRoutes(t, s, m)
				}
			},
			"stale routes": func(*rapid.T) {
				if m.began {
					s.does(Found{Round: s.asked + 100, Routes: over(1)})
				}
			},
			"shard": func(t *rapid.T) {
				if len(m.shards) > 0 {
					endShard(t, s, m)
				}
			},
			"abort": func(t *rapid.T) {
				if !m.began {
					return
				}
				ended := m.status() != pb.Status_IN_FLIGHT
				s.does(Abort{})
				if ended {
					require.ErrorIs(t, s.refused, ErrEnded)
				} else {
					m.fail(pb.FailureReason_CANCELED)
				}
			},
			"time": func(t *rapid.T) { passTime(t, s, m) },
			"delete": func(t *rapid.T) {
				if m.began {
					deleteIt(t, s, m)
				}
			},
			"restart": func(t *rapid.T) {
				s.restart()
				if m.began && !m.ended() && len(m.live()) > 0 {
					require.True(t, s.gather, "what live shards know comes before anything is launched")
				}
			},
			"": func(t *rapid.T) {
				if !m.began {
					return
				}
				compare(t, s, m)
				if before == pb.Status_SUCCEEDED {
					require.Equal(t, before, StatusOf(s.p()), "Succeeded never leaves")
				}
				if wasEnded && m.ended() {
					require.Equal(t, asks, s.asks, "it looks for routes after its end")
				}
				before, wasEnded, asks = StatusOf(s.p()), m.ended(), s.asks
			},
		})
	})
}

// compare holds the payment against the model, and what the last step launched against what it may.
func compare(t *rapid.T, s *script, m *model) {
	require.Equal(t, m.status(), StatusOf(s.p()))
	require.Equal(t, m.failed, s.p().GetFailure())
	require.Equal(t, m.deleted, s.p().GetDeleted())
	if m.deleted {
		require.Empty(t, s.p().GetAttempts())
		return
	}
	require.Len(t, InFlightHTLCs(s.p()), len(m.live()))
	sent, _ := SentAmt(s.p())
	require.Equal(t, m.sent(), uint64(sent))
	if !m.ended() && m.sent() < m.amount && len(m.live()) < 4 {
		require.NotZero(t, s.asked, "nothing goes on: value remains, and nobody looks for routes")
	}
}

func payAgain(t *rapid.T, s *script, m *model) {
	want := pay(rapid.Uint64Range(1, 1_000).Draw(t, "amount"))
	status, live := m.status(), len(m.live())
	s.does(want)
	switch {
	case m.began && status == pb.Status_SUCCEEDED:
		require.ErrorIs(t, s.refused, ErrPaid)
	case m.began && status == pb.Status_IN_FLIGHT:
		require.ErrorIs(t, s.refused, ErrInFlight)
	default:
		require.NoError(t, s.refused)
		require.Zero(t, live)
		m.began, m.failed, m.deleted = true, 0, false
		m.amount, m.deadline = want.Request.GetAmountMsat(), s.env.now.Add(DefaultTimeout)
	}
}

func answerRoutes(t *rapid.T, s *script, m *model) {
	found := Found{Round: s.asked}
	left := m.amount - min(m.sent(), m.amount)
	tooMuch := false
	if !s.gather {
		for range rapid.IntRange(1, 4-min(len(m.live()), 3)).Draw(t, "routes") {
			if left > 0 {
				part := rapid.Uint64Range(1, left).Draw(t, "part")
				left -= part
				found.Routes = append(found.Routes, over(part)...)
			}
		}
		if tooMuch = rapid.IntRange(0, 20).Draw(t, "too much") == 0; tooMuch {
			found.Routes = append(found.Routes, over(m.amount+1)...)
		}
	}
	s.asked = 0
	s.does(found)
	launched := s.launched()
	switch {
	case m.ended() || !s.env.now.Before(m.deadline):
		require.Empty(t, launched)
	case tooMuch:
		require.Empty(t, launched)
		m.fail(pb.FailureReason_ERROR)
	default:
		require.Len(t, launched, len(found.Routes))
		for i, l := range launched {
			m.shards = append(m.shards, modelShard{found.Routes[i].GetAmountMsat(), 'l'})
			require.Equal(t, uint32(len(m.shards)), l.GetAttempt().GetN(), "no attempt has another's number")
		}
	}
	m.goOn(s.env.now, len(thisTry(s.p())))
}

func endShard(t *rapid.T, s *script, m *model) {
	n := rapid.IntRange(1, len(m.shards)).Draw(t, "shard")
	shard := &m.shards[n-1]
	known := attempt(s.p(), uint32(n)) != nil
	if shard.end == 's' && !known && len(s.p().GetPreimage()) == 0 {
		t.Fatal("a settle was forgotten")
	}
	switch how := rapid.IntRange(0, 5).Draw(t, "how"); {
	case how == 0 && (shard.end != 'f' || m.status() == pb.Status_IN_FLIGHT && known):
		// A shard that had failed cannot settle any more, unless the channel was wrong before.
		s.does(settledShard(uint32(n)))
		shard.end, m.paid = 's', true
		require.Equal(t, known, s.recorded() == 1, "the monitor is told that the preimage is safe")
	case how == 1:
		s.does(failedShard(uint32(n), says(1, 0x400f)))
		if shard.end == 'l' {
			shard.end = 'f'
			m.fail(pb.FailureReason_INCORRECT_PAYMENT_DETAILS)
		}
	default:
		s.does(failedShard(uint32(n), says(1, 0x1007)))
		if shard.end == 'l' {
			shard.end = 'f'
		}
	}
	require.Empty(t, s.launched(), "nothing is launched before routes were found")
	m.goOn(s.env.now, len(thisTry(s.p())))
}

func passTime(t *rapid.T, s *script, m *model) {
	s.env.now = s.env.now.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "seconds")) * time.Second)
	if m.began && !s.env.now.Before(m.deadline) {
		s.does(goOn{}) // the timer
		m.goOn(s.env.now, len(thisTry(s.p())))
	}
}

func deleteIt(t *rapid.T, s *script, m *model) {
	failedOnly := rapid.Bool().Draw(t, "failed attempts only")
	s.does(Delete{FailedAttemptsOnly: failedOnly})
	switch {
	case m.deleted:
		require.ErrorIs(t, s.refused, ErrNotFound)
	case m.status() == pb.Status_IN_FLIGHT:
		require.ErrorIs(t, s.refused, ErrInFlight)
	default:
		require.NoError(t, s.refused)
		m.deleted = !failedOnly
	}
}

// A refusal of our own channel, which never was in any commitment, leaves the payment to go on.
func TestRefusedShardIsTriedElsewhere(t *testing.T) {
	s := newScript(t)
	s.does(pay(1_000))
	first := s.asked
	s.does(Found{Round: first, Routes: over(600, 400)})
	require.Len(t, s.launched(), 2)
	s.does(failedShard(2, refusal(channelpb.RefusalCode_INSUFFICIENT_FUNDS, "too little")))
	require.Equal(t, pb.Status_IN_FLIGHT, StatusOf(s.p()))
	require.Greater(t, s.asked, first)
	q := Query(s.p(), 400, 0, 3)
	require.Len(t, q.Learned, 1)
	require.Equal(t, wire.MilliSatoshi(400), q.Learned[0].Below)
}

// A payment waits while HTLCs on their way leave it no room, until its time is over.
func TestWaitsForRoom(t *testing.T) {
	s := newScript(t)
	s.does(pay(1_000))
	s.does(Found{Round: s.asked, Err: router.ErrBusy})
	require.Equal(t, pb.Status_IN_FLIGHT, StatusOf(s.p()))
	s.does(s.timers[laterTimer])
	require.Greater(t, s.asks, 1)

	s.does(Found{Round: s.asked, Routes: over(1_000)})
	asks := s.asks
	s.does(failedShard(1, refusal(channelpb.RefusalCode_TOO_MANY_HTLCS, "full")))
	require.Equal(t, asks, s.asks, "it asks at once")
	s.does(s.timers[laterTimer])
	require.Equal(t, asks+1, s.asks)
	require.Empty(t, Query(s.p(), 1_000, 0, 4).Learned)

	s.env.now = s.env.now.Add(DefaultTimeout)
	s.does(s.timers[deadlineTimer])
	require.Equal(t, pb.FailureReason_TIMEOUT, s.p().GetFailure())
}

// A channel may be full for long, of dust that its peer holds: then another one is tried.
func TestFullChannelIsNotAllThatIsTried(t *testing.T) {
	s := newScript(t)
	s.does(pay(1_000))
	channels := []router.Channel{
		{Address: "channel/1", Peer: [33]byte(nodeOf(1)), Scid: 1, Sendable: 5_000, HTLCs: 9},
		{Address: "channel/2", Peer: [33]byte(nodeOf(1)), Scid: 2, Sendable: 5_000, HTLCs: 9},
	}
	tried := map[string]bool{}
	for n := range uint32(2) {
		routes, err := router.Find(Query(s.p(), 1_000, 0, 4), channels, 100)
		require.NoError(t, err)
		require.Len(t, routes, 1)
		tried[routes[0].GetChannel()] = true
		s.does(Found{Round: s.asked, Routes: routes})
		s.does(failedShard(n+1, refusal(channelpb.RefusalCode_TOO_MUCH_DUST, "full")))
		s.does(s.timers[laterTimer])
	}
	require.Len(t, tried, 2)
}
