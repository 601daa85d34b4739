package sim_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/tests/sim"
	"stormcell/tests/sim/payments"
)

var paymentsDomain = domain{"TestPaymentsPlan", func(p sim.Plan) func(*rand.Rand) sim.Domain {
	return func(rng *rand.Rand) sim.Domain { return payments.New(rng, payments.Sabotage(p.Sabotage)) }
}}

// TestPayments simulates payments over stub channels: many seeds with every fault by chance, and for one seed in fifty a
// crash before every single move.
func TestPayments(t *testing.T) {
	paymentsDomain.simulate(t, campaign{seeds: 300, every: 50, stride: 1, keeps: 3})
}

// TestPaymentsEveryPrefix leaves, for a few seeds, nothing to chance about what a crash keeps.
func TestPaymentsEveryPrefix(t *testing.T) { paymentsDomain.everyPrefix(t, 4) }

// TestPaymentsRows lets the process die at each of the named crash points of sending.
func TestPaymentsRows(t *testing.T) {
	for _, row := range payments.Rows {
		t.Run(row.Name, func(t *testing.T) {
			const enough, most = 12, 600
			hits, late, afresh := 0, 0, 0
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
				if w.Afresh() {
					afresh++
				}
			}
			require.Equal(t, enough, hits, "too few of %d seeds come to this point", most)
			switch row.Name {
			case "S1":
				require.NotZero(t, afresh, "no payment was lost before it was recorded")
			case "S13":
				require.NotZero(t, late, "no payment that had failed succeeded by a late settle")
			}
		})
	}
}

// TestPaymentsSabotageIsFound: each rule of the control tower that is broken must show.
func TestPaymentsSabotageIsFound(t *testing.T) {
	for s := payments.FailOnFirst; s <= payments.DropPreimageAtRevocation; s++ {
		t.Run(s.String(), func(t *testing.T) { paymentsDomain.finds(t, sim.Sabotage(s)) })
	}
}

// TestPaymentsPlan replays the run that PLAN names.
func TestPaymentsPlan(t *testing.T) { paymentsDomain.replay(t) }
