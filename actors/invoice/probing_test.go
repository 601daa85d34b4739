package invoice

import (
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// TestNobodyLearnsWhichHashesAreKnown: who has a hash alone gets the same answer whether there is an invoice or not, and
// whatever became of it.
func TestNobodyLearnsWhichHashesAreKnown(t *testing.T) {
	t.Parallel()
	worlds := map[string]func(*host){
		"unknown": func(*host) {},
		"open":    func(h *host) { h.add(nil) },
		"held": func(h *host) {
			h.add(func(r *Request) { r.Hold = true })
			h.receive(h.pay("channel/9", 9, theAmount))
		},
		"settled":   func(h *host) { h.add(nil); h.receive(h.pay("channel/9", 9, theAmount)) },
		"cancelled": func(h *host) { h.add(nil); require.NoError(h.t, h.ask(Cancel{})) },
	}
	probes := map[string]func(*part){
		"a secret that was made up": func(p *part) { p.payload.Payment.Secret = [32]byte{6} },
		"no secret":                 func(p *part) { p.payload.Payment = nil },
		"keysend":                   func(p *part) { p.payload.Payment, p.payload.Keysend = nil, &[32]byte{6} },
		"too late":                  func(p *part) { p.payload.Payment, p.expiry, p.payload.Expiry = nil, theHeight+1, 0 },
		"too little":                func(p *part) { p.payload.Payment, p.amount = nil, 1 },
		"too much dust":             func(p *part) { p.payload.Payment, p.exposed = nil, true },
	}
	for _, height := range []uint32{0, theHeight} {
		for probe, edit := range probes {
			var told []lnwire.FailureMessage
			for _, furnish := range worlds {
				h := newHost(t)
				furnish(h)
				h.takeSent()
				h.height = height
				h.receive(h.pay("channel/1", 1, theAmount, edit))
				said := h.failures()["channel/1 1"]
				require.Len(t, said, 1)
				told = append(told, said[0])
			}
			for _, other := range told[1:] {
				require.Equal(t, told[0], other, "%s at height %d", probe, height)
			}
		}
	}
}
