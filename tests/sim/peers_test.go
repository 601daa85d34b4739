package sim_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/tests/sim"
	"stormcell/tests/sim/peers"
)

func newPeers(rng *rand.Rand) sim.Domain { return peers.New(rng) }

// TestPeers simulates the peer book as TestSim does the bank.
func TestPeers(t *testing.T) {
	t.Parallel()
	var runs, lives atomic.Uint64
	err := each(number(t, "SEEDS", 500), func(i uint64) error {
		p := sim.ByChance(number(t, "FIRST", 0) + i)
		r := sim.Run(p, newPeers)
		runs.Add(1)
		lives.Add(uint64(r.Lives))
		if r.Err == nil && i%50 == 0 {
			n, failed, _ := sim.EveryCrash(p.Seed, sim.Keep(i/50%3), newPeers)
			runs.Add(uint64(n))
			if failed != nil {
				p, r = *failed, sim.Run(*failed, newPeers)
			}
		}
		if r.Err != nil {
			return shrunkPeers(p)
		}
		return nil
	})
	require.NoError(t, err)
	t.Logf("%d runs, %d lives in the runs by chance", runs.Load(), lives.Load())
}

func shrunkPeers(p sim.Plan) error {
	p, r := sim.Shrink(p, newPeers)
	return errors.New(r.Report(p, "TestPeersPlan"))
}

// TestPeersPlan replays the run that PLAN names.
func TestPeersPlan(t *testing.T) {
	t.Parallel()
	text := os.Getenv("PLAN")
	if text == "" {
		text = sim.ByChance(7).String()
	}
	p, err := sim.ParsePlan(text)
	require.NoError(t, err)
	r := sim.Run(p, newPeers)
	for _, line := range r.Trace {
		t.Log(line)
	}
	require.NoError(t, r.Err)
}
