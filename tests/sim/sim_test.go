package sim_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/tests/sim"
	"stormcell/tests/sim/bank"
)

func honest(rng *rand.Rand) sim.Domain { return bank.New(rng, false) }

func TestQuick(t *testing.T) {
	for seed := range uint64(200) {
		r := sim.Run(sim.Plan{Seed: seed}, honest)
		if r.Err != nil {
			for _, l := range r.Trace {
				t.Log(l)
			}
		}
		require.NoError(t, r.Err, "seed %d", seed)
		if seed < 5 {
			t.Log(r.Moves, r.Commits, r.Lives, r.Hash)
		}
	}
}
