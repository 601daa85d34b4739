package sim_test

import (
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/tests/sim"
	"stormcell/tests/sim/payments"
)

func newPayments(s sim.Sabotage) func(*rand.Rand) sim.Domain {
	return func(rng *rand.Rand) sim.Domain { return payments.New(rng, payments.Sabotage(s)) }
}

// TestPayments simulates payments over stub channels: many seeds with every fault by chance, and for one seed in fifty a
// crash before every single move.
func TestPayments(t *testing.T) {
	var runs, lives atomic.Uint64
	err := each(number(t, "SEEDS", 300), func(i uint64) error {
		p := sim.ByChance(number(t, "FIRST", 0) + i)
		r := sim.Run(p, newPayments(0))
		runs.Add(1)
		lives.Add(uint64(r.Lives))
		if r.Err == nil && i%50 == 0 {
			n, failed, _ := sim.EveryCrash(p.Seed, sim.Keep(i/50%3), newPayments(0))
			runs.Add(uint64(n))
			if failed != nil {
				p, r = *failed, sim.Run(*failed, newPayments(0))
			}
		}
		if r.Err != nil {
			p, r = sim.Shrink(p, newPayments(0))
			return &failure{r.Report(p, "TestPaymentsPlan")}
		}
		return nil
	})
	require.NoError(t, err)
	t.Logf("%d runs, %d lives in the runs by chance", runs.Load(), lives.Load())
}

// TestPaymentsEveryPrefix leaves, for a few seeds, nothing to chance about what a crash keeps.
func TestPaymentsEveryPrefix(t *testing.T) {
	require.NoError(t, each(4, func(seed uint64) error {
		_, failed, r := sim.EveryPrefix(seed, newPayments(0))
		if failed != nil {
			return &failure{sim.Run(*failed, newPayments(0)).Report(*failed, "TestPaymentsPlan")}
		}
		return r.Err
	}))
}

// TestPaymentsRows lets the process die at each of the named crash points of sending.
func TestPaymentsRows(t *testing.T) {
	for _, row := range payments.Rows {
		t.Run(row.Name, func(t *testing.T) {
			const enough, most = 12, 600
			hits, late := 0, 0
			for seed := uint64(0); hits < enough && seed < most; seed++ {
				var w *payments.Payments
				p := sim.Plan{Seed: seed, Keep: row.Keep}
				r := sim.Run(p, func(rng *rand.Rand) sim.Domain {
					w = payments.New(rng, payments.Honest).In(row, int(seed%3))
					return w
				})
				require.NoError(t, r.Err, "seed %d, keep %d", seed, row.Keep)
				if w.Hit() {
					hits++
				}
				if w.LateSettle() {
					late++
				}
			}
			require.Equal(t, enough, hits, "too few of %d seeds come to this point", most)
			if row.Name == "S13" {
				require.NotZero(t, late, "no payment that had failed succeeded by a late settle")
			}
		})
	}
}

// TestPaymentsSabotageIsFound: each rule of the control tower that is broken must show.
func TestPaymentsSabotageIsFound(t *testing.T) {
	for s := payments.FailOnFirst; s <= payments.DropPreimageAtRevocation; s++ {
		t.Run(s.String(), func(t *testing.T) {
			const within = 300
			for seed := range uint64(within) {
				p := sim.ByChance(seed)
				p.Sabotage = sim.Sabotage(s)
				if r := sim.Run(p, newPayments(p.Sabotage)); r.Err != nil {
					t.Logf("found by seed %d of %d: %v", seed, within, r.Err)
					return
				}
			}
			t.Fatalf("%d seeds found nothing", within)
		})
	}
}

// TestPaymentsPlan replays the run that PLAN names.
func TestPaymentsPlan(t *testing.T) {
	text := os.Getenv("PLAN")
	if text == "" {
		text = sim.ByChance(7).String()
	}
	p, err := sim.ParsePlan(text)
	require.NoError(t, err)
	r := sim.Run(p, newPayments(p.Sabotage))
	for _, line := range r.Trace {
		t.Log(line)
	}
	require.NoError(t, r.Err)
}
