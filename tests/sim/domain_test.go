package sim_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/tests/sim"
)

// domain is what is simulated, and the test that replays one of its plans.
type domain struct {
	replays string
	of      func(sim.Plan) func(*rand.Rand) sim.Domain
}

// always is a domain that is the same for all plans.
func always[D sim.Domain](replays string, of func(*rand.Rand) D) domain {
	one := func(rng *rand.Rand) sim.Domain { return of(rng) }
	return domain{replays, func(sim.Plan) func(*rand.Rand) sim.Domain { return one }}
}

func (d domain) run(p sim.Plan) sim.Result { return sim.Run(p, d.of(p)) }

// failed is the report of a plan that failed, as small as it can be had.
func (d domain) failed(p sim.Plan) error {
	p, r := sim.Shrink(p, d.of(p))
	return errors.New(r.Report(p, d.replays))
}

// campaign is many seeds with every fault by chance, and for some of them a crash at one move after the other.
type campaign struct {
	seeds  uint64 // unless SEEDS says how many
	every  uint64 // one seed in so many crashes at its moves
	stride int    // at each, or at one in so many
	keeps  uint64 // how many ways to choose what a crash keeps take turns
}

func (d domain) simulate(t *testing.T, c campaign) {
	first := number(t, "FIRST", 0)
	var runs, commits, lives atomic.Uint64
	err := each(number(t, "SEEDS", c.seeds), func(i uint64) error {
		p := sim.ByChance(first + i)
		r := d.run(p)
		runs.Add(1)
		commits.Add(uint64(r.Commits))
		lives.Add(uint64(r.Lives))
		if r.Err != nil {
			return d.failed(p)
		}
		if i%c.every != 0 {
			return nil
		}
		n, failed, _ := sim.EveryCrash(p.Seed, sim.Keep(i/c.every%c.keeps), c.stride, d.of(p))
		runs.Add(uint64(n))
		if failed != nil {
			return d.failed(*failed)
		}
		return nil
	})
	require.NoError(t, err)
	t.Logf("%d runs; %d commits and %d lives in those by chance", runs.Load(), commits.Load(), lives.Load())
}

// everyPrefix leaves, for some seeds, nothing to chance about what a crash keeps.
func (d domain) everyPrefix(t *testing.T, seeds uint64) {
	var runs atomic.Uint64
	require.NoError(t, each(seeds, func(seed uint64) error {
		n, failed, r := sim.EveryPrefix(seed, d.of(sim.Plan{Seed: seed}))
		runs.Add(uint64(n))
		if failed != nil {
			return d.failed(*failed)
		}
		return r.Err
	}))
	t.Logf("%d runs", runs.Load())
}

// finds runs a sabotage until a seed shows it.
func (d domain) finds(t *testing.T, s sim.Sabotage) (sim.Plan, sim.Result) {
	const within = 300
	for seed := range uint64(within) {
		p := sim.ByChance(seed)
		p.Sabotage = s
		if r := d.run(p); r.Err != nil {
			t.Logf("found by seed %d of %d: %v", seed, within, r.Err)
			return p, r
		}
	}
	t.Fatalf("%d seeds found nothing", within)
	return sim.Plan{}, sim.Result{}
}

// replay runs the plan that PLAN names, as a failure prints it.
func (d domain) replay(t *testing.T) {
	text := os.Getenv("PLAN")
	if text == "" {
		text = sim.ByChance(7).String()
	}
	p, err := sim.ParsePlan(text)
	require.NoError(t, err)
	r := d.run(p)
	for _, line := range r.Trace {
		t.Log(line)
	}
	require.NoError(t, r.Err)
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
