package sim_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/tests/sim"
	"stormcell/tests/sim/bank"
)

var bankDomain = domain{"TestPlan", func(p sim.Plan) func(*rand.Rand) sim.Domain {
	return func(rng *rand.Rand) sim.Domain { return bank.New(rng, p.Sabotage == sim.ApplyTwice) }
}}

// TestSim runs many seeds with faults by chance: crashes, crashes in recovery, killed actors, failing writes. For one seed
// in fifty it crashes before every single move. SEEDS says how many, FIRST where they begin.
func TestSim(t *testing.T) {
	bankDomain.simulate(t, campaign{seeds: 500, every: 50, stride: 1, keeps: 3})
}

// TestEveryPrefix leaves, for a few seeds, nothing to chance about what a crash keeps.
func TestEveryPrefix(t *testing.T) { bankDomain.everyPrefix(t, 6) }

// TestPlan replays the run that PLAN names.
func TestPlan(t *testing.T) { bankDomain.replay(t) }

// TestEqualSeedsEqualRuns: a failure that cannot be replayed is worth little.
func TestEqualSeedsEqualRuns(t *testing.T) {
	hashes := map[uint64]bool{}
	for seed := range uint64(100) {
		p := sim.ByChance(seed)
		a, b := bankDomain.run(p), bankDomain.run(p)
		require.Equal(t, a.Trace, b.Trace, "seed %d", seed)
		require.Equal(t, a.Hash, b.Hash)
		hashes[a.Hash] = true
	}
	require.Len(t, hashes, 100, "other seeds, other runs")
}

// TestSabotageIsFound: a simulation that never failed proves nothing.
func TestSabotageIsFound(t *testing.T) {
	for s := sim.ReleaseBeforeDurable; s <= sim.ApplyTwice; s++ {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			p, r := bankDomain.finds(t, s)
			small, found := sim.Shrink(p, bankDomain.of(p))
			require.Error(t, found.Err)
			parsed, err := sim.ParsePlan(small.String())
			require.NoError(t, err)
			require.Equal(t, found.Hash, bankDomain.run(parsed).Hash, "the printed plan is the run")
			t.Logf("%d trace lines, shrunk to %d", len(r.Trace), len(found.Trace))
		})
	}
}
