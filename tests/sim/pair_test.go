package sim_test

import (
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/tests/sim"
	"stormcell/tests/sim/pair"
)

func newPair(rng *rand.Rand) sim.Domain { return pair.New(rng) }

// TestPair has two nodes pay each other's invoices over parallel channels under every fault by chance; for one seed in a
// hundred a process crashes at every fortieth move, and soon after once more.
func TestPair(t *testing.T) {
	const stride = 40
	var runs atomic.Uint64
	err := each(number(t, "SEEDS", 20), func(i uint64) error {
		seed := number(t, "FIRST", 0) + i
		plans := []sim.Plan{sim.ByChance(seed)}
		if i%100 == 0 {
			for at, moves := 0, sim.Run(sim.Plan{Seed: seed}, newPair).Moves; at < moves; at += stride {
				plans = append(plans, sim.Plan{Seed: seed, CrashAt: []int{at, at + 1 + at%11}})
			}
		}
		for _, p := range plans {
			runs.Add(1)
			if r := sim.Run(p, newPair); r.Err != nil {
				p, r = sim.Shrink(p, newPair)
				return &failure{r.Report(p, "TestPairPlan")}
			}
		}
		return nil
	})
	require.NoError(t, err)
	t.Logf("%d runs", runs.Load())
}

// TestPairPlan replays the run that PLAN names.
func TestPairPlan(t *testing.T) {
	text := os.Getenv("PLAN")
	if text == "" {
		text = sim.ByChance(7).String()
	}
	p, err := sim.ParsePlan(text)
	require.NoError(t, err)
	r := sim.Run(p, newPair)
	require.NoError(t, r.Err, r.Report(p, "TestPairPlan"))
}
