package sim_test

import (
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/tests/sim"
	"stormcell/tests/sim/channels"
)

func newChannels(rng *rand.Rand) sim.Domain { return channels.New(rng) }

// TestChannels opens and uses a channel under every fault by chance; for one seed in a hundred it crashes at every twentieth
// move, and soon after once more.
func TestChannels(t *testing.T) {
	const stride = 20
	seeds, first := number(t, "SEEDS", 60), number(t, "FIRST", 0)
	err := each(seeds, func(i uint64) error {
		p := sim.ByChance(first + i)
		if r := sim.Run(p, newChannels); r.Err != nil {
			p, r = sim.Shrink(p, newChannels)
			return &failure{r.Report(p, "TestChannelsPlan")}
		}
		if i%100 != 0 {
			return nil
		}
		for at, moves := 0, sim.Run(sim.Plan{Seed: p.Seed}, newChannels).Moves; at < moves; at += stride {
			p := sim.Plan{Seed: p.Seed, CrashAt: []int{at, at + 1 + at%11}}
			if r := sim.Run(p, newChannels); r.Err != nil {
				return &failure{r.Report(p, "TestChannelsPlan")}
			}
		}
		return nil
	})
	require.NoError(t, err)
}

// TestChannelsPlan replays one plan, as a failure prints it.
func TestChannelsPlan(t *testing.T) {
	s := os.Getenv("PLAN")
	if s == "" {
		t.Skip("PLAN is not set")
	}
	p, err := sim.ParsePlan(s)
	require.NoError(t, err)
	r := sim.Run(p, newChannels)
	require.NoError(t, r.Err, r.Report(p, "TestChannelsPlan"))
}

// failure is a report of a plan that failed.
type failure struct{ report string }

func (f *failure) Error() string { return f.report }
