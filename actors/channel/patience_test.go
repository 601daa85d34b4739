package channel

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "stormcell/messages/channel"
)

// unrevokedPair is a pair where the peer has got our signature and does not answer it.
func unrevokedPair(t *testing.T) (*pair, *host) {
	p := open(t, newFixture())
	p.add(0, 1_000_000)
	for p.turn(0) {
	}
	require.True(t, p.hosts[0].state.c.Awaiting)
	return p, p.hosts[0]
}

// TestAPeerThatDoesNotRevoke: the connection is ended, the next one as well, and what comes in time is heeded.
func TestAPeerThatDoesNotRevoke(t *testing.T) {
	t.Parallel()
	p, h := unrevokedPair(t)
	for range 2 {
		require.Equal(t, DefaultPolicy().RevocationPatience, h.timers[unrevoked].After)
		h.fire(unrevoked)
		for h.step() {
		}
		released := h.takeReleased()
		require.Len(t, released, 1)
		require.ErrorIs(t, released[0].(Hangup).Reason, ErrNotRevoked)
		require.Zero(t, h.state.link)
		require.Equal(t, pb.Phase_NORMAL, h.state.phase, "nothing is closed")

		p.disconnect()
		p.connect()
		for range 2 { // each says where it stands, and the peer says no more
			p.turn(0)
			p.turn(1)
		}
		p.deliver(1)
		for p.turn(0) {
		}
		require.True(t, h.state.synced)
		require.True(t, h.state.c.Awaiting)
	}
	p.rest()
	require.False(t, h.state.c.Awaiting)
	h.fire(unrevoked)
	for h.step() {
	}
	require.Empty(t, h.takeReleased(), "the revocation came in time")
	p.finish()
}

// TestTimersOfOtherTimes: only the revocation that is waited for over this connection counts.
func TestTimersOfOtherTimes(t *testing.T) {
	t.Parallel()
	p, h := unrevokedPair(t)
	for _, body := range []revocationLate{{link: p.link + 1, number: 0}, {link: p.link, number: 1}} {
		h.tell(body)
		h.step()
		require.Empty(t, h.takeReleased())
	}
	p.finish()
}

// TestFlappingDoesNotLengthenTheWait: adds wait for so long altogether, however often the peer comes and goes.
func TestFlappingDoesNotLengthenTheWait(t *testing.T) {
	t.Parallel()
	for _, there := range []bool{false, true} { // whether the peer is there just when the time is over
		p, h := unrevokedPair(t)
		p.add(0, 2_000_000) // waits for the revocation
		for p.turn(0) {
		}
		flap := func() {
			p.disconnect()
			for h.step() {
			}
			p.connect()
			for range 2 {
				p.turn(0)
				p.turn(1)
			}
			p.deliver(1)
			for p.turn(0) {
			}
			require.True(t, h.state.synced)
		}
		flap()
		require.Contains(t, h.timers, patience)
		delete(h.timers, patience)
		flap()
		require.NotContains(t, h.timers, patience, "it runs since the first time")

		if !there {
			p.disconnect()
			for h.step() {
			}
		}
		h.tell(outOfReach{})
		p.turn(0)
		if there {
			require.Empty(t, p.asked[2].outcome, "it is on its way")
			p.disconnect()
			p.turn(0)
		}
		require.Equal(t, "refused", p.asked[2].outcome)
		require.Empty(t, h.state.waiting)

		p.disconnect()
		p.add(0, 3_000_000)
		p.turn(0)
		p.turn(0)
		require.Contains(t, h.timers, patience, "the next one has time of its own")
		p.finish()
		require.Equal(t, "settled", p.asked[3].outcome)
	}
}

// TestAConnectionInPlaceOfAnother: the new one may come before the old one is known to be gone, and adds that wait have no
// more time for that.
func TestAConnectionInPlaceOfAnother(t *testing.T) {
	t.Parallel()
	p, h := unrevokedPair(t)
	p.add(0, 2_000_000) // waits for the revocation
	for p.turn(0) {
	}
	h.tell(Connected{Link: p.link + 100, Features: p.features})
	for p.turn(0) {
	}
	require.False(t, h.state.synced, "the peer says nothing")
	require.Contains(t, h.timers, patience)
	h.fire(patience)
	for p.turn(0) {
	}
	require.Equal(t, "refused", p.asked[2].outcome)
	require.Empty(t, h.state.waiting)
}
