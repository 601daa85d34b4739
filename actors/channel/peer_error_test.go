package channel

import (
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/stretchr/testify/require"

	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// TestErrorsThatCloseNothing: some nodes say "internal error" for any trouble of theirs, and go on after a reconnection.
func TestErrorsThatCloseNothing(t *testing.T) {
	t.Parallel()
	p := hostile(t)
	h := p.hosts[0]
	h.tell(Received{Link: p.link, Message: &wire.Error{Data: []byte("internal error")}})
	h.step()
	require.Equal(t, pb.Phase_NORMAL, h.state.phase)
	effects := h.takeReleased()
	require.Len(t, effects, 1)
	require.IsType(t, Hangup{}, effects[0])
	p.disconnect()
	p.finish()

	h.tell(Received{Link: h.state.link, Message: &wire.Error{Data: []byte("internal error: disk full")}})
	h.step()
	require.Equal(t, pb.Phase_CLOSING, h.state.phase)
}

// TestErrorsInAnswerToAShutdown: lnd keeps a channel that it cannot close together yet, and is asked again.
func TestErrorsInAnswerToAShutdown(t *testing.T) {
	t.Parallel()
	c := newClosing(t, newFixture(), true)
	c.rest()
	h := c.hosts[0]
	h.tell(Close{FeeRate: 1_000})
	for h.step() {
	}
	require.True(t, h.state.said[Local])
	h.takeReleased()
	h.tell(Received{Link: c.link, Message: &wire.Error{Data: []byte("edge not found")}})
	h.step()
	require.NotEqual(t, pb.Phase_CLOSING, h.state.phase)
	effects := h.takeReleased()
	require.Len(t, effects, 1)
	require.IsType(t, Hangup{}, effects[0])
	c.disconnect()
	c.connect()
	c.rest()
	c.closed()
}

// TestErrorsAfterTheClosingIsAgreed: a peer may forget a channel once it has published the closing transaction, and then
// knows nothing of it. No commitment is to compete with that transaction.
func TestErrorsAfterTheClosingIsAgreed(t *testing.T) {
	t.Parallel()
	point := func() *btcec.PublicKey { return newSigner(t, 1).NodeKey() }
	for name, m := range map[string]wire.Message{
		"error":            &wire.Error{Data: []byte("unknown channel")},
		"nothing is known": &wire.ChannelReestablish{CurrentPoint: point(), LastSecret: [32]byte{1}},
	} {
		for _, simple := range []bool{false, true} {
			for _, restart := range []bool{false, true} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					c := newClosing(t, newFixture(), simple)
					c.rest()
					c.hosts[0].tell(Close{FeeRate: 1_000})
					c.rest()
					h := c.hosts[0]
					if restart {
						h.restart()
					}
					c.disconnect()
					c.connect()
					for h.step() {
					}
					h.takeReleased()
					h.tell(Received{Link: c.link, Message: m})
					for h.step() {
					}
					require.Equal(t, pb.Phase_AGREED, h.state.phase)
					require.Empty(t, h.takeReleased())
					require.Empty(t, h.refused)
					c.disconnect()
					c.connect()
					c.rest()
					c.closed()
				})
			}
		}
	}
}
