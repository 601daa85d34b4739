package conn

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var (
	start  = time.Unix(1_700_000_000, 0)
	limits = Limits{
		InitTimeout: 15 * time.Second, PingInterval: 60 * time.Second, PongTimeout: 30 * time.Second,
		WriteTimeout: 40 * time.Second,
	}
)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func TestLiveness(t *testing.T) {
	t.Parallel()
	type step func(l *liveness)
	up := func(l *liveness) { l.up = true }
	heard := func(second int) step { return func(l *liveness) { l.hear(at(second)) } }
	asked := func(second int) step { return func(l *liveness) { l.due(at(second)) } }
	held := func(second int) step { return func(l *liveness) { l.hold(true, at(second)) } }
	freed := func(second int) step { return func(l *liveness) { l.hold(false, at(second)) } }
	writes := func(second int) step { return func(l *liveness) { l.write(true, at(second)) } }
	wrote := func(second int) step { return func(l *liveness) { l.write(false, at(second)) } }
	idle := func(seconds int) action { return action{nothing: time.Duration(seconds) * time.Second} }

	for name, c := range map[string]struct {
		before []step
		when   int // seconds after the start
		want   action
	}{
		"waits for init":              {nil, 5, idle(10)},
		"no init":                     {nil, 15, action{giveUp: InitTimeout}},
		"looks for writes":            {[]step{up}, 10, idle(40)},
		"before a ping":               {[]step{up}, 50, idle(10)},
		"pings after silence":         {[]step{up}, 60, action{ping: true, nothing: 30 * time.Second}},
		"a message puts it off":       {[]step{up, heard(50)}, 60, idle(40)},
		"waits for the pong":          {[]step{up, asked(60)}, 70, idle(20)},
		"no pong":                     {[]step{up, asked(60)}, 90, action{giveUp: Silent}},
		"anything is as good":         {[]step{up, asked(60), heard(89)}, 90, idle(40)},
		"a stalled write":             {[]step{up, writes(10)}, 50, action{giveUp: WriteStalled}},
		"a write under way":           {[]step{up, writes(10)}, 49, idle(1)},
		"a write that is through":     {[]step{up, writes(10), wrote(20)}, 50, idle(10)},
		"we do not read":              {[]step{up, held(10)}, 1000, idle(40)},
		"we do not read the pong":     {[]step{up, asked(60), held(61)}, 1000, idle(40)},
		"silence counts from then":    {[]step{up, held(10), freed(100)}, 159, idle(1)},
		"the pong is awaited anew":    {[]step{up, asked(60), held(61), freed(200)}, 229, idle(1)},
		"and does not come":           {[]step{up, asked(60), held(61), freed(200)}, 230, action{giveUp: Silent}},
		"a write stalls all the same": {[]step{up, held(1), writes(2)}, 42, action{giveUp: WriteStalled}},
		"handshake limits only init":  {[]step{up, heard(14)}, 16, idle(40)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLiveness(limits, start)
			for _, step := range c.before {
				step(&l)
			}
			require.Equal(t, c.want, l.due(at(c.when)))
		})
	}
}

// Whatever happens, nothing is due before liveness said it could be, unless a write began since.
func TestLivenessIsNeverLate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := newLiveness(limits, start)
		now := start
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				l.up = true
			case 1:
				l.hear(now)
			case 2:
				l.hold(!l.busy, now)
			case 3:
				l.write(l.writing.IsZero(), now)
			}
			a := l.due(now)
			if a.giveUp != "" {
				return
			}
			require.Positive(t, a.nothing)
			later := l
			b := later.due(now.Add(a.nothing - 1))
			require.True(t, b.giveUp == "" && !b.ping)
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(a.nothing)).Draw(t, "wait")))
		}
	})
}

// Over any time, no more passes than the burst and what the rate allows, give or take the last amount.
func TestBucketHoldsTheRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.Float64Range(1, 1000)
		rate := Rate{PerSecond: some.Draw(t, "rate"), Burst: some.Draw(t, "burst")}
		b := newBucket(rate, start)
		now, passed, last := start, 0.0, 0.0
		for range rapid.IntRange(1, 100).Draw(t, "takes") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "pause")))
			last = rapid.Float64Range(0, 500).Draw(t, "amount")
			wait := b.take(last, now)
			require.GreaterOrEqual(t, wait, time.Duration(0))
			now = now.Add(wait)
			passed += last
			require.LessOrEqual(t, passed, rate.Burst+rate.PerSecond*now.Sub(start).Seconds()+1)
		}
	})
}

func TestBucketAllows(t *testing.T) {
	t.Parallel()
	b := newBucket(Rate{PerSecond: 1, Burst: 2}, start)
	require.True(t, b.allow(1, start))
	require.True(t, b.allow(1, start))
	require.False(t, b.allow(1, start))
	require.False(t, b.allow(1, start.Add(999*time.Millisecond)))
	require.True(t, b.allow(1, start.Add(time.Second)))
	require.False(t, b.allow(1, start), "time does not run backwards into credit")
	require.Zero(t, newBucketAfter(time.Hour).take(2, start.Add(time.Hour)), "never more than the burst is saved")
	require.Positive(t, newBucketAfter(time.Hour).take(3, start.Add(time.Hour)))
}

func newBucketAfter(d time.Duration) *bucket {
	b := newBucket(Rate{PerSecond: 1, Burst: 2}, start)
	b.fill(start.Add(d))
	return &b
}

func TestQueue(t *testing.T) {
	t.Parallel()
	q := newQueue(3 * (10 + messageOverhead))
	for i := range 3 {
		require.NoError(t, q.push([]byte{byte(i), 1, 2, 3, 4, 5, 6, 7, 8, 9}))
	}
	require.ErrorIs(t, q.push(nil), errQueueFull)
	m, drained := q.pop()
	require.Equal(t, byte(0), m[0])
	require.False(t, drained)
	require.NoError(t, q.push([]byte{3}))
	q.close([]byte("last"))
	require.NoError(t, q.push([]byte("too late")))
	var rest [][]byte
	for {
		m, drained := q.pop()
		if drained {
			break
		}
		rest = append(rest, m)
	}
	require.Len(t, rest, 4)
	require.Equal(t, "last", string(rest[3]))
	require.Zero(t, q.size)
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a b?c??", printable("a b\nc\x00é"))
	require.Len(t, printable(string(make([]byte, 1000))), maxText+3)
}
