package sim_test

import (
	"testing"

	"stormcell/tests/sim/coins"
)

var coinsDomain = always("TestCoinsPlan", coins.New)

// TestCoins simulates the wallet as TestSim does the bank.
func TestCoins(t *testing.T) {
	t.Parallel()
	coinsDomain.simulate(t, campaign{seeds: 300, every: 50, stride: 1, keeps: 3})
}

// TestCoinsPlan replays the run that PLAN names.
func TestCoinsPlan(t *testing.T) {
	t.Parallel()
	coinsDomain.replay(t)
}
