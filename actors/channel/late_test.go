package channel

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// TestOpeningsEnd: an opening ends when the peer leaves us waiting, whichever side began it.
func TestOpeningsEnd(t *testing.T) {
	t.Parallel()
	for _, side := range []int{0, 1} {
		o := newOpening(t)
		o.open(func(*Open) {})
		o.hosts[0].step()
		if side == 1 {
			o.hosts[1].tell(o.incoming(o.hosts[0].takeReleased()[0].(SendWire).Message.(*wire.OpenChannel)))
			o.hosts[1].step()
		}
		h := o.hosts[side]
		require.True(t, isOpening(h.state.phase))
		h.takeReleased()
		h.tell(openingLate{})
		h.step()
		require.Equal(t, pb.Phase_ABANDONED, h.state.phase)
		require.IsType(t, &wire.Error{}, h.takeReleased()[0].(SendWire).Message)
	}
}

// TestChannelsOutliveTheirOpening: the timer of an opening that was done in time changes nothing.
func TestChannelsOutliveTheirOpening(t *testing.T) {
	t.Parallel()
	o := newOpening(t)
	o.open(func(*Open) {})
	o.rest()
	for _, h := range o.hosts {
		h.takeReleased()
		h.tell(openingLate{})
		h.step()
		require.Equal(t, pb.Phase_WAIT_CONFIRMED, h.state.phase)
		require.Empty(t, h.takeReleased())
	}
}

// TestChannelReadyWhileShuttingDown: a side that closes before the peer is ready still takes the peer's channel_ready.
func TestChannelReadyWhileShuttingDown(t *testing.T) {
	t.Parallel()
	o := newOpening(t)
	o.open(func(*Open) {})
	o.rest()
	h := o.hosts[1]
	h.tell(Close{Script: scriptOf(1), FeeRate: 300})
	h.step()
	require.Equal(t, pb.Phase_SHUTTING_DOWN, h.state.phase)
	point, err := o.hosts[0].core.Signer.CommitmentPoint(o.hosts[0].state.c.KeyIndex, 1)
	require.NoError(t, err)
	h.tell(Received{Link: h.state.link, Message: &wire.ChannelReady{
		ChanID: h.state.c.ChannelID, NextPerCommitmentPoint: point,
	}})
	h.step() // it signs, or would
	h.step()
	require.True(t, h.state.setup.GetRemoteReady())
	require.Equal(t, pb.Phase_SHUTTING_DOWN, h.state.phase)
}
