package sim_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/tests/sim"
	"stormcell/tests/sim/bank"
)

func newBank(p sim.Plan) func(*rand.Rand) sim.Domain {
	return func(rng *rand.Rand) sim.Domain { return bank.New(rng, p.Sabotage == sim.ApplyTwice) }
}

// number is a figure from the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 10, 64)
	require.NoError(t, err, name)
	return n
}

// each calls f for the numbers below n on all cores, until one call fails.
func each(n uint64, f func(uint64) error) error {
	var (
		next atomic.Uint64
		wg   sync.WaitGroup
		once sync.Once
		err  error
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
				if e := f(i); e != nil {
					once.Do(func() { err = e })
					next.Store(n)
				}
			}
		})
	}
	wg.Wait()
	return err
}

func shrunk(p sim.Plan) error {
	p, r := sim.Shrink(p, newBank(p))
	return fmt.Errorf("%s", r.Report(p, "TestPlan"))
}

// TestSim runs many seeds with faults by chance: crashes, crashes in recovery, killed actors, failing writes. For one seed
// in fifty it crashes before every single move. SEEDS says how many, FIRST where they begin.
func TestSim(t *testing.T) {
	seeds, first := number(t, "SEEDS", 500), number(t, "FIRST", 0)
	var runs, commits, lives atomic.Uint64
	err := each(seeds, func(i uint64) error {
		p := sim.ByChance(first + i)
		r := sim.Run(p, newBank(p))
		runs.Add(1)
		commits.Add(uint64(r.Commits))
		lives.Add(uint64(r.Lives))
		if r.Err != nil {
			return shrunk(p)
		}
		if i%50 != 0 {
			return nil
		}
		n, failed, _ := sim.EveryCrash(p.Seed, sim.Keep(i/50%3), newBank(p))
		runs.Add(uint64(n))
		if failed != nil {
			return shrunk(*failed)
		}
		return nil
	})
	require.NoError(t, err)
	t.Logf("%d seeds, %d of them with a crash at every point: %d runs, %d commits and %d lives in the runs by chance",
		seeds, (seeds+49)/50, runs.Load(), commits.Load(), lives.Load())
}

// TestEveryPrefix leaves, for a few seeds, nothing to chance about what a crash keeps.
func TestEveryPrefix(t *testing.T) {
	var runs atomic.Uint64
	require.NoError(t, each(6, func(seed uint64) error {
		p := sim.Plan{Seed: seed}
		n, failed, _ := sim.EveryPrefix(seed, newBank(p))
		runs.Add(uint64(n))
		if failed != nil {
			return shrunk(*failed)
		}
		return nil
	}))
	t.Logf("%d runs", runs.Load())
}

// TestPlan replays the run that PLAN names.
func TestPlan(t *testing.T) {
	s := os.Getenv("PLAN")
	if s == "" {
		s = sim.ByChance(7).String()
	}
	p, err := sim.ParsePlan(s)
	require.NoError(t, err)
	r := sim.Run(p, newBank(p))
	for _, line := range r.Trace {
		t.Log(line)
	}
	require.NoError(t, r.Err)
}

// TestEqualSeedsEqualRuns: a failure that cannot be replayed is worth little.
func TestEqualSeedsEqualRuns(t *testing.T) {
	hashes := map[uint64]bool{}
	for seed := range uint64(100) {
		p := sim.ByChance(seed)
		a, b := sim.Run(p, newBank(p)), sim.Run(p, newBank(p))
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
			const within = 300
			for seed := range uint64(within) {
				p := sim.ByChance(seed)
				p.Sabotage = s
				if r := sim.Run(p, newBank(p)); r.Err != nil {
					small, found := sim.Shrink(p, newBank(p))
					require.Error(t, found.Err)
					parsed, err := sim.ParsePlan(small.String())
					require.NoError(t, err)
					require.Equal(t, found.Hash, sim.Run(parsed, newBank(parsed)).Hash, "the printed plan is the run")
					t.Logf("found by seed %d of %d: %v (%d trace lines, shrunk to %d)", seed, within, r.Err,
						len(r.Trace), len(found.Trace))
					return
				}
			}
			t.Fatalf("%d seeds found nothing", within)
		})
	}
}
