package sim_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/tests/sim"
	"stormcell/tests/sim/coins"
)

func newCoins(rng *rand.Rand) sim.Domain { return coins.New(rng) }

// TestCoins simulates the wallet as TestSim does the bank.
func TestCoins(t *testing.T) {
	t.Parallel()
	var runs, lives atomic.Uint64
	err := each(number(t, "SEEDS", 300), func(i uint64) error {
		p := sim.ByChance(number(t, "FIRST", 0) + i)
		r := sim.Run(p, newCoins)
		runs.Add(1)
		lives.Add(uint64(r.Lives))
		if r.Err == nil && i%50 == 0 {
			n, failed, _ := sim.EveryCrash(p.Seed, sim.Keep(i/50%3), newCoins)
			runs.Add(uint64(n))
			if failed != nil {
				p, r = *failed, sim.Run(*failed, newCoins)
			}
		}
		if r.Err != nil {
			return shrunkCoins(p)
		}
		return nil
	})
	require.NoError(t, err)
	t.Logf("%d runs, %d lives in the runs by chance", runs.Load(), lives.Load())
}

func shrunkCoins(p sim.Plan) error {
	p, r := sim.Shrink(p, newCoins)
	return errors.New(r.Report(p, "TestCoinsPlan"))
}

// TestCoinsPlan replays the run that PLAN names.
func TestCoinsPlan(t *testing.T) {
	t.Parallel()
	text := os.Getenv("PLAN")
	if text == "" {
		text = sim.ByChance(7).String()
	}
	p, err := sim.ParsePlan(text)
	require.NoError(t, err)
	r := sim.Run(p, newCoins)
	for _, line := range r.Trace {
		t.Log(line)
	}
	require.NoError(t, r.Err)
}
