package sim_test

import (
	"testing"

	"stormcell/tests/sim/pair"
)

var pairDomain = always("TestPairPlan", pair.New)

// TestPair has two nodes pay each other's invoices over parallel channels under every fault by chance; for one seed in a
// hundred a process crashes at every fortieth move, and soon after once more.
func TestPair(t *testing.T) {
	pairDomain.simulate(t, campaign{seeds: 20, every: 100, stride: 40, keeps: 1})
}

// TestPairPlan replays the run that PLAN names.
func TestPairPlan(t *testing.T) {
	pairDomain.replay(t)
}
