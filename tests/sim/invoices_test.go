package sim_test

import (
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/tests/sim"
	"stormcell/tests/sim/invoices"
)

func newInvoices(s sim.Sabotage) func(*rand.Rand) sim.Domain {
	return func(rng *rand.Rand) sim.Domain { return invoices.New(rng, invoices.Sabotage(s)) }
}

// TestInvoices simulates receiving: rows R1 to R8 at any moment. Many seeds with every fault by chance, and for one seed in
// fifty a crash before every single move.
func TestInvoices(t *testing.T) {
	t.Parallel()
	var runs, lives atomic.Uint64
	err := each(number(t, "SEEDS", 200), func(i uint64) error {
		p := sim.ByChance(number(t, "FIRST", 0) + i)
		r := sim.Run(p, newInvoices(0))
		runs.Add(1)
		lives.Add(uint64(r.Lives))
		if r.Err == nil && i%50 == 0 {
			n, failed, _ := sim.EveryCrash(p.Seed, sim.Keep(i/50%3), newInvoices(0))
			runs.Add(uint64(n))
			if failed != nil {
				p, r = *failed, sim.Run(*failed, newInvoices(0))
			}
		}
		if r.Err != nil {
			p, r = sim.Shrink(p, newInvoices(0))
			return &failure{r.Report(p, "TestInvoicesPlan")}
		}
		return nil
	})
	require.NoError(t, err)
	t.Logf("%d runs, %d lives in the runs by chance", runs.Load(), lives.Load())
}

// TestInvoicesEveryPrefix leaves, for one seed, nothing to chance about what a crash keeps.
func TestInvoicesEveryPrefix(t *testing.T) {
	t.Parallel()
	require.NoError(t, each(1, func(seed uint64) error {
		_, failed, r := sim.EveryPrefix(seed, newInvoices(0))
		if failed != nil {
			return &failure{sim.Run(*failed, newInvoices(0)).Report(*failed, "TestInvoicesPlan")}
		}
		return r.Err
	}))
}

// TestInvoicesSabotageIsFound: each rule of receiving that is broken must show.
func TestInvoicesSabotageIsFound(t *testing.T) {
	t.Parallel()
	for s := invoices.ForgetMonitors; s <= invoices.ForgetDeadlines; s++ {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			const within = 300
			for seed := range uint64(within) {
				p := sim.ByChance(seed)
				p.Sabotage = sim.Sabotage(s)
				if r := sim.Run(p, newInvoices(p.Sabotage)); r.Err != nil {
					t.Logf("found by seed %d of %d: %v", seed, within, r.Err)
					return
				}
			}
			t.Fatalf("%d seeds found nothing", within)
		})
	}
}

// TestInvoicesPlan replays the run that PLAN names.
func TestInvoicesPlan(t *testing.T) {
	t.Parallel()
	text := os.Getenv("PLAN")
	if text == "" {
		text = sim.ByChance(7).String()
	}
	p, err := sim.ParsePlan(text)
	require.NoError(t, err)
	r := sim.Run(p, newInvoices(p.Sabotage))
	for _, line := range r.Trace {
		t.Log(line)
	}
	require.NoError(t, r.Err)
}
