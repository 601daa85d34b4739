package channel

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// TestNoExpiredHTLCIsSigned: a peer keeps a revocation back for as long as an HTLC for it has to live, and could then take
// the HTLC while we cannot claim the one that it was forwarded for any more.
func TestNoExpiredHTLCIsSigned(t *testing.T) {
	t.Parallel()
	p := open(t, newFixture())
	h := p.hosts[0]
	p.add(0, 1_000_000)
	for p.turn(0) {
	}
	require.True(t, h.state.c.Awaiting)
	p.add(0, 2_000_000) // waits for the revocation
	later := newAdd(3, 3_000_000)
	later.Expiry++
	p.tags++
	p.asked[3] = &payment{amount: 3_000_000}
	h.deliver(user, later)
	for p.turn(0) {
	}
	require.Len(t, h.state.waiting, 2)

	expiry := newAdd(2, 0).GetExpiry()
	h.tell(Height{Height: expiry - 1})
	for p.turn(0) {
	}
	require.Empty(t, p.asked[2].outcome)
	h.tell(Height{Height: expiry})
	h.step()
	effects := h.takeReleased()
	require.IsType(t, Hangup{}, effects[0], "what was proposed is taken back by ending the connection alone")
	for _, e := range h.takeSent() {
		require.EqualValues(t, 2, e.Body.(*pb.HTLCRefused).GetTag())
		require.Equal(t, pb.RefusalCode_BAD_EXPIRY, e.Body.(*pb.HTLCRefused).GetCode())
		p.hear(0, e)
	}
	require.Equal(t, "refused", p.asked[2].outcome)

	p.disconnect()
	p.finish()
	require.Equal(t, "settled", p.asked[1].outcome)
	require.Equal(t, "settled", p.asked[3].outcome)
}

// TestAnAddExpiresWhileThePeerIsAway: nobody need wait for longer than it can live.
func TestAnAddExpiresWhileThePeerIsAway(t *testing.T) {
	t.Parallel()
	p := open(t, newFixture())
	p.disconnect()
	p.add(0, 1_000_000)
	p.rest()
	p.hosts[0].tell(Height{Height: newAdd(1, 0).GetExpiry()})
	p.rest()
	require.Equal(t, "refused", p.asked[1].outcome)
	require.Empty(t, p.hosts[0].inbox)
	require.IsType(t, &wire.ChannelReestablish{}, func() any { p.connect(); p.turn(0); return p.wires[0][0] }())
	p.finish()
}
