package channel

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// BenchmarkBurst offers, fulfils and settles bursts of HTLCs between two cores on one goroutine, without a journal: what the
// logic and the signatures cost.
func BenchmarkBurst(b *testing.B) {
	for _, burst := range []int{1, 8, 64, 483} {
		b.Run(fmt.Sprint(burst), func(b *testing.B) {
			f := newFixture()
			f.capacity, f.pushed = 1_000_000_000, 500_000_000
			for i := range f.terms {
				f.terms[i].MaxAcceptedHTLCs, f.terms[i].MaxHTLCValueInFlight = 483, msat(f.capacity)
			}
			p := newPair(rapid.TB(b), f)
			p.connect()
			p.rest()
			for i := range p.hosts {
				p.hosts[i].quick = true
			}
			for b.Loop() {
				first := p.tags
				for range burst {
					p.add(0, 2_000_000)
				}
				p.rest()
				require.Len(b, p.pending[1], burst)
				for n, in := range p.pending[1] {
					preimage := preimageFor(first + uint64(n) + 1)
					p.hosts[1].deliver(resolver, newFulfil(in.GetId(), preimage))
				}
				p.pending[1] = nil
				p.rest()
				require.True(b, p.hosts[0].state.c.clean())
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*burst), "us/HTLC")
		})
	}
}
