package channel

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "stormcell/messages/channel"
)

// TestAddsWaitForTheHeight: without it nobody can tell which of them have expired.
func TestAddsWaitForTheHeight(t *testing.T) {
	t.Parallel()
	for _, before := range []bool{false, true} { // whether the peer is there before the adds are
		p := newPair(t, newFixture())
		h := p.hosts[0]
		known := h.height
		h.height = 0
		h.restart()
		if before {
			p.connect()
			p.rest()
		}
		p.add(0, 1_000_000)
		p.rest()
		p.add(0, 2_000_000)
		late := newAdd(3, 3_000_000)
		late.Expiry = known
		p.tags++
		p.asked[3] = &payment{amount: 3_000_000}
		h.deliver(user, late)
		p.connect()
		h.tell(Height{})
		p.rest()
		require.Len(t, h.state.waiting, 3)
		require.Empty(t, h.state.c.HTLCs[Local])

		h.tell(Height{Height: known})
		p.rest()
		require.Len(t, p.pending[1], 2)
		require.Equal(t, "refused", p.asked[3].outcome)
		require.Empty(t, h.inbox)
		p.finish()
	}
}

// TestAddsDoNotWaitForeverForTheHeight: the chain may be away.
func TestAddsDoNotWaitForeverForTheHeight(t *testing.T) {
	t.Parallel()
	p := newPair(t, newFixture())
	h := p.hosts[0]
	h.height = 0
	h.restart()
	p.connect()
	p.rest()
	p.add(0, 1_000_000)
	p.rest()
	require.Empty(t, p.asked[1].outcome)
	h.fire(patience)
	h.step()
	refused := h.takeSent()
	require.Len(t, refused, 1)
	require.Contains(t, refused[0].Body.(*pb.HTLCRefused).GetReason(), "height")
	require.Empty(t, h.inbox)
}

// TestASignatureBeforeTheHeightCarriesNoAdds: what is signed because of the peer takes nothing out of the inbox that is not in it.
func TestASignatureBeforeTheHeightCarriesNoAdds(t *testing.T) {
	t.Parallel()
	p := newPair(t, newFixture())
	h := p.hosts[0]
	known := h.height
	h.height = 0
	h.restart()
	p.connect()
	p.add(0, 1_000_000)
	signed := h.state.c.RemoteNumber
	p.add(1, 2_000_000)
	p.rest()
	require.Greater(t, h.state.c.RemoteNumber, signed)
	require.Len(t, h.state.waiting, 1)
	require.Len(t, h.inbox, 1)

	h.tell(Height{Height: known})
	p.rest()
	require.Len(t, p.pending[1], 1)
	require.Empty(t, h.inbox)
	p.finish()
}
