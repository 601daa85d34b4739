package sim_test

import (
	"math/rand/v2"
	"testing"

	"stormcell/tests/sim"
	"stormcell/tests/sim/invoices"
)

var invoicesDomain = domain{"TestInvoicesPlan", func(p sim.Plan) func(*rand.Rand) sim.Domain {
	return func(rng *rand.Rand) sim.Domain { return invoices.New(rng, invoices.Sabotage(p.Sabotage)) }
}}

// TestInvoices simulates receiving: rows R1 to R8 at any moment. Many seeds with every fault by chance, and for one seed in
// fifty a crash before every single move.
func TestInvoices(t *testing.T) {
	t.Parallel()
	invoicesDomain.simulate(t, campaign{seeds: 200, every: 50, stride: 1, keeps: 3})
}

// TestInvoicesEveryPrefix leaves, for one seed, nothing to chance about what a crash keeps.
func TestInvoicesEveryPrefix(t *testing.T) {
	t.Parallel()
	invoicesDomain.everyPrefix(t, 1)
}

// TestInvoicesSabotageIsFound: each rule of receiving that is broken must show.
func TestInvoicesSabotageIsFound(t *testing.T) {
	t.Parallel()
	for s := invoices.ForgetMonitors; s <= invoices.ForgetDeadlines; s++ {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			invoicesDomain.finds(t, sim.Sabotage(s))
		})
	}
}

// TestInvoicesPlan replays the run that PLAN names.
func TestInvoicesPlan(t *testing.T) {
	t.Parallel()
	invoicesDomain.replay(t)
}
