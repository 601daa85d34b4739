package reconnect_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/peer/reconnect"
)

var (
	start  = time.Unix(1_700_000_000, 0)
	policy = reconnect.Policy{First: time.Second, Max: 10 * time.Second, Stable: time.Minute}
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func TestWaitsDouble(t *testing.T) {
	t.Parallel()
	var s reconnect.State
	var wait time.Duration
	chance := seeded(1)
	for _, most := range []time.Duration{1, 2, 4, 8, 10, 10, 10} {
		s, wait = policy.Ended(s, start, false, chance)
		require.GreaterOrEqual(t, wait, most*time.Second/2)
		require.LessOrEqual(t, wait, most*time.Second)
	}
	require.Equal(t, 7, s.Failures)
}

func TestAfterAConnection(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lasted       time.Duration
		incompatible bool
		failures     int
		most         time.Duration
	}{
		"stable":                  {time.Minute, false, 1, time.Second},
		"not stable":              {time.Minute - 1, false, 4, 8 * time.Second},
		"clock went back":         {-time.Hour, false, 4, 8 * time.Second},
		"stable, incompatible":    {time.Hour, true, 1, 10 * time.Second},
		"at once, incompatible":   {0, true, 4, 10 * time.Second},
		"stable for a year and a": {366 * 24 * time.Hour, false, 1, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := policy.Connected(reconnect.State{Failures: 3}, start)
			require.Equal(t, start, s.Since)
			s, wait := policy.Ended(s, start.Add(c.lasted), c.incompatible, seeded(2))
			require.Equal(t, reconnect.State{Failures: c.failures}, s)
			require.GreaterOrEqual(t, wait, c.most/2)
			require.LessOrEqual(t, wait, c.most)
		})
	}
}

// Whatever happens, the waits stay within bounds, the same seed gives the same waits, and many failures do not overflow.
func TestWaitsStayWithinBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "first"))
		times := time.Duration(rapid.Int64Range(1, 1000).Draw(t, "times"))
		p := reconnect.Policy{First: first, Max: first * times, Stable: time.Minute}
		seed := rapid.Uint64().Draw(t, "seed")
		one, two := seeded(seed), seeded(seed)
		s := reconnect.State{Failures: rapid.IntRange(0, 1_000_000).Draw(t, "failures")}
		now := start
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "connects") {
				s = p.Connected(s, now)
			}
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*time.Minute)).Draw(t, "lasts")))
			incompatible := rapid.Bool().Draw(t, "incompatible")
			again, same := p.Ended(s, now, incompatible, two)
			var wait time.Duration
			s, wait = p.Ended(s, now, incompatible, one)
			require.Equal(t, s, again)
			require.Equal(t, wait, same)
			require.GreaterOrEqual(t, wait, p.First/2)
			require.LessOrEqual(t, wait, p.Max)
			if incompatible {
				require.GreaterOrEqual(t, wait, p.Max/2)
			}
		}
	})
}

// Nodes that fail together spread out.
func TestJitterSpreads(t *testing.T) {
	t.Parallel()
	seen := make(map[time.Duration]bool)
	for seed := range uint64(50) {
		_, wait := policy.Ended(reconnect.State{Failures: 5}, start, false, seeded(seed))
		seen[wait.Truncate(100*time.Millisecond)] = true
	}
	require.Greater(t, len(seen), 20)
}
