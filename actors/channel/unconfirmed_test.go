package channel

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// unconfirmed is a channel whose funding is signed and not in the chain, seen from one of its sides: host 0 of the pair.
func unconfirmed(t *testing.T, opener bool) *opening {
	o := newOpening(t)
	for _, h := range o.hosts {
		h.knowNoHeight()
	}
	o.open(func(body *Open) { body.CloseScript = scriptOf(0) })
	o.rest()
	if !opener {
		o.hosts[0], o.hosts[1] = o.hosts[1], o.hosts[0]
	}
	require.Equal(t, pb.Phase_WAIT_CONFIRMED, o.hosts[0].state.phase)
	return o
}

// peerSigns gives what the peer would send to sign what it has proposed.
func (o *opening) peerSigns() *wire.CommitSig {
	c, peer := o.hosts[0].state.c, o.hosts[1]
	next, err := c.localCommitment(c.Active[0], c.LocalNumber+1, localNext, o.hosts[0].core.Signer)
	require.NoError(o.t, err)
	a := peer.state.c.Active[0]
	signatures, err := peer.core.Signer.Sign(next.CountersignRequests(a.FundingKey, peer.state.c.KeyIndex))
	require.NoError(o.t, err)
	return &wire.CommitSig{ChanID: c.ChannelID, CommitSig: signatures[0], HtlcSigs: signatures[1:]}
}

// TestNoUpdatesBeforeTheFundingIsConfirmed: a peer whose funding could still be double-spent gets nothing through the
// channel, whatever closes meanwhile.
func TestNoUpdatesBeforeTheFundingIsConfirmed(t *testing.T) {
	t.Parallel()
	fee := &wire.UpdateFee{FeePerKw: 3_000}
	add := func(o *opening) wire.Message {
		return overWire(t, &wire.UpdateAddHTLC{Amount: 1_000_000, PaymentHash: hashFor(1), Expiry: 700_000})
	}
	for name, tc := range map[string]struct {
		before func(o *opening) any
		update func(o *opening) wire.Message
	}{
		"plain":         {nil, add},
		"we close, add": {func(*opening) any { return Close{Script: scriptOf(0)} }, add},
		"we close, fee": {func(*opening) any { return Close{Script: scriptOf(0)} }, func(*opening) wire.Message { return fee }},
		"they close, fee": {func(o *opening) any {
			return Received{Link: o.link, Message: &wire.Shutdown{Script: scriptOf(1)}}
		}, func(*opening) wire.Message { return fee }},
		"nothing proposed": {nil, func(o *opening) wire.Message { return o.peerSigns() }},
	} {
		for _, ready := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o := unconfirmed(t, false)
				h := o.hosts[0]
				receive := func(m wire.Message) {
					h.tell(Received{Link: o.link, Message: m})
					for h.step() {
					}
				}
				if ready {
					next, err := o.hosts[1].core.Signer.CommitmentPoint(o.hosts[1].state.c.KeyIndex, 1)
					require.NoError(t, err)
					receive(&wire.ChannelReady{NextPerCommitmentPoint: next})
				}
				if tc.before != nil {
					h.tell(tc.before(o))
					for h.step() {
					}
				}
				require.Empty(t, h.refused)
				receive(tc.update(o))
				if len(h.refused) == 0 {
					receive(o.peerSigns())
				}
				require.NotEmpty(t, h.refused, "the peer is not held to the order of messages")
				require.Zero(t, h.state.c.LocalNumber)
				require.False(t, h.state.c.Awaiting)
			})
		}
	}
}
