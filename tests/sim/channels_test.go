package sim_test

import (
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/tests/sim"
	"stormcell/tests/sim/channels"
)

func newChannels(p sim.Plan) func(*rand.Rand) sim.Domain {
	return func(rng *rand.Rand) sim.Domain { return channels.New(rng, p.Sabotage) }
}

// TestChannels opens, uses and closes a channel between two processes under every fault by chance; for one seed in a hundred
// one of them crashes before every eighth move, or in a long simulation before each, and one soon after once more.
func TestChannels(t *testing.T) {
	t.Parallel()
	seeds, stride := number(t, "SEEDS", 30), 8
	if seeds >= 1000 {
		stride = 1
	}
	var runs, lives atomic.Uint64
	err := each(seeds, func(i uint64) error {
		p := sim.ByChance(number(t, "FIRST", 0) + i)
		r := sim.Run(p, newChannels(p))
		runs.Add(1)
		lives.Add(uint64(r.Lives))
		if r.Err != nil {
			return shrunkChannels(p)
		}
		if i%100 != 0 {
			return nil
		}
		moves := sim.Run(sim.Plan{Seed: p.Seed}, newChannels(p)).Moves
		for at := 0; at < moves; at += stride {
			p := sim.Plan{Seed: p.Seed, CrashAt: []int{at, at + 1 + at%11}}
			runs.Add(1)
			if sim.Run(p, newChannels(p)).Err != nil {
				return shrunkChannels(p)
			}
		}
		return nil
	})
	require.NoError(t, err)
	t.Logf("%d runs, %d lives in the runs by chance", runs.Load(), lives.Load())
}

func shrunkChannels(p sim.Plan) error {
	p, r := sim.Shrink(p, newChannels(p))
	return &failure{r.Report(p, "TestChannelsPlan")}
}

// failure is a report of a plan that failed.
type failure struct{ report string }

func (f *failure) Error() string { return f.report }

// TestChannelsPlan replays one plan, as a failure prints it.
func TestChannelsPlan(t *testing.T) {
	t.Parallel()
	text := os.Getenv("PLAN")
	if text == "" {
		text = sim.ByChance(7).String()
	}
	p, err := sim.ParsePlan(text)
	require.NoError(t, err)
	r := sim.Run(p, newChannels(p))
	for _, line := range r.Trace {
		t.Log(line)
	}
	require.NoError(t, r.Err)
}

// TestBrokenChannelsAreFound: a simulation that never failed proves nothing.
func TestBrokenChannelsAreFound(t *testing.T) {
	t.Parallel()
	for _, s := range []sim.Sabotage{
		sim.ReleaseBeforeDurable, sim.LosePreimage, sim.RetransmitOutOfOrder, sim.ForgetSigned,
	} {
		t.Run(s.String(), func(t *testing.T) {
			const within = 300
			for seed := range uint64(within) {
				p := sim.ByChance(seed)
				p.Sabotage = s
				if r := sim.Run(p, newChannels(p)); r.Err != nil {
					t.Logf("found by seed %d of %d: %v", seed, within, r.Err)
					return
				}
			}
			t.Fatalf("%d seeds found nothing", within)
		})
	}
}
