package channel

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pb "stormcell/messages/channel"
	"stormcell/messages/record"
	"stormcell/peer/wire"
)

// sentBy is what host i puts on the wire, by name, without delivering it. It leaves out channel_ready, which is said again
// while the channel is new.
func (p *pair) sentBy(i int) []string {
	var names []string
	for _, e := range p.hosts[i].takeReleased() {
		if w, ok := e.(SendWire); ok && w.Message.MsgType() != wire.TypeChannelReady {
			names = append(names, wire.Name(w.Message.MsgType()))
		}
	}
	return names
}

// reconnected breaks the connection, makes a new one, and gives what host 0 sends when the peer says where it stands.
func (p *pair) reconnected() []string {
	p.disconnect()
	p.connect()
	for _, h := range p.hosts {
		for h.step() {
		}
	}
	p.hosts[0].takeReleased()
	for _, e := range p.hosts[1].takeReleased() {
		p.hosts[0].tell(Received{Link: p.link, Message: overWire(p.t, e.(SendWire).Message)})
	}
	p.hosts[0].step()
	return p.sentBy(0)
}

// pass takes a host's messages up to what it has to say, and gives them to the other.
func (p *pair) pass(i int) {
	for p.turn(i) {
	}
	for p.deliver(i) {
	}
}

func TestRetransmission(t *testing.T) {
	t.Parallel()
	const add, fulfil, sig, rev = "update_add_htlc", "update_fulfill_htlc", "commitment_signed", "revoke_and_ack"
	lose := func(p *pair, i int) {
		for p.turn(i) {
		}
		p.wires[i] = nil
	}
	cases := map[string]struct {
		before func(*pair)
		want   []string
	}{
		"nothing": {func(*pair) {}, nil},
		"updates and signature": {func(p *pair) {
			p.add(0, 1_000_000)
			lose(p, 0)
		}, []string{add, sig}},
		"revocation, then signature": {func(p *pair) {
			p.add(1, 1_000_000)
			p.pass(1)
			lose(p, 0) // it revokes and signs back
		}, []string{rev, sig}},
		"revocation alone": {func(p *pair) {
			p.add(0, 1_000_000)
			p.pass(0)
			p.pass(1) // it revokes and signs back
			lose(p, 0)
		}, []string{rev}},
		"a removal that was never signed": {func(p *pair) {
			p.add(1, 1_000_000)
			p.rest()
			p.disconnect()
			p.resolve(0, "fulfil")
			p.rest()
		}, []string{fulfil}},
	}
	for name, c := range cases {
		for _, restart := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := open(t, newFixture())
				c.before(p)
				if restart {
					p.hosts[0].restart()
				}
				require.Equal(t, c.want, p.reconnected())
				p.disconnect()
				p.finish()
			})
		}
	}
}

// TestSignatureBeforeRevocation: our signature crosses the peer's, so that ours goes first, and must go first again.
func TestSignatureBeforeRevocation(t *testing.T) {
	t.Parallel()
	p := open(t, newFixture())
	p.add(0, 1_000_000)
	p.add(1, 1_000_000)
	for p.turn(0) {
	}
	for p.turn(1) {
	}
	p.wires[0] = nil
	for p.deliver(1) {
	}
	for p.turn(0) { // it revokes
	}
	require.Equal(t, []string{"update_add_htlc", "commitment_signed", "revoke_and_ack"}, p.reconnected())
	p.disconnect()
	p.finish()
}

// TestPeerProvesThatWeAreBehind: an old copy of the channel meets a peer that went on.
func TestPeerProvesThatWeAreBehind(t *testing.T) {
	t.Parallel()
	p := open(t, newFixture())
	old, err := record.Encode(p.hosts[0].core.Snapshot(p.hosts[0].state))
	require.NoError(t, err)
	p.add(0, 50_000_000)
	p.rest()
	p.resolve(1, "fulfil")
	p.rest()

	h := p.hosts[0]
	h.snapshot, h.events = &old, nil
	h.restart()
	p.add(0, 1_000_000) // waits for the peer
	require.Equal(t, []string{"error"}, p.reconnected())
	require.Equal(t, pb.Phase_CLOSING, h.state.phase)
	require.True(t, h.state.closing.GetBehind())
	require.Empty(t, h.inbox)

	// Whatever happens now, our commitment stays where it is.
	h.tell(ForceClose{})
	h.tell(Height{Height: 800_000})
	for h.step() {
	}
	h.restart()
	p.disconnect()
	p.connect()
	for h.step() {
	}
	for _, e := range h.takeReleased() {
		if _, watches := e.(WatchFunding); !watches {
			require.IsType(t, &wire.Error{}, e.(SendWire).Message)
		}
	}
}

func TestReestablishOutOfSync(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*wire.ChannelReestablish)
		closes bool
		answer wire.Message
	}{
		"number 0":                 {func(m *wire.ChannelReestablish) { m.NextCommitment = 0 }, true, &wire.Error{}},
		"from the future":          {func(m *wire.ChannelReestablish) { m.NextCommitment += 2 }, true, &wire.Error{}},
		"far future":               {func(m *wire.ChannelReestablish) { m.NextRevocation = 1<<64 - 1 }, true, &wire.Error{}},
		"future without a proof":   {func(m *wire.ChannelReestablish) { m.NextRevocation += 5 }, true, &wire.Error{}},
		"wrong secret":             {func(m *wire.ChannelReestablish) { m.LastSecret[0] ^= 1 }, true, &wire.Error{}},
		"the peer lost signatures": {func(m *wire.ChannelReestablish) { m.NextCommitment-- }, false, &wire.Warning{}},
		"the peer lost all but two": {func(m *wire.ChannelReestablish) {
			*m = wire.ChannelReestablish{NextCommitment: 1, CurrentPoint: m.CurrentPoint}
		}, false, &wire.Warning{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := hostile(t)
			p.disconnect()
			p.connect()
			h := p.hosts[0]
			for h.step() {
			}
			h.takeReleased()
			m, err := p.hosts[1].state.c.reestablish(p.hosts[1].core.Signer)
			require.NoError(t, err)
			c.change(m)
			h.tell(Received{Link: p.link, Message: m})
			h.step()
			effects := h.takeReleased()
			require.IsType(t, c.answer, effects[0].(SendWire).Message)
			require.Equal(t, c.closes, h.state.phase == pb.Phase_CLOSING)
			if c.closes {
				p.published(0, effects)
				return
			}
			require.Len(t, effects, 1)
			require.False(t, h.state.synced)
			h.tell(Received{Link: p.link, Message: &wire.Error{Data: []byte("please close")}})
			h.step()
			p.published(0, h.takeReleased())
		})
	}
}

func TestSnapshotIsWhatItReads(t *testing.T) {
	t.Parallel()
	p := hostile(t)
	p.resolve(0, "malformed")
	p.resolve(1, "fail")
	p.rest()
	for _, h := range p.hosts {
		stored := h.core.Snapshot(h.state)
		s, err := h.core.Recover(h.addr, proto.Clone(stored))
		require.NoError(t, err)
		require.True(t, proto.Equal(stored, h.core.Snapshot(s)))
	}
	bad := p.hosts[0].state.snapshot()
	bad.Commitments.RemotePoint = nil
	_, err := p.hosts[0].core.Recover("channel/test", bad)
	require.ErrorContains(t, err, "per-commitment point")
}

// TestUnsignedUpdatesAreForgotten: what no signature carried ends with the connection, on both sides.
func TestUnsignedUpdatesAreForgotten(t *testing.T) {
	t.Parallel()
	p := open(t, newFixture())
	p.add(0, 1_000_000)
	p.rest()
	p.resolve(1, "fail")
	p.turn(1)
	p.hosts[0].tell(SetFeeRate{Rate: 3_000})
	p.turn(0)
	p.add(0, 2_000_000)
	p.hosts[0].mailbox = p.hosts[0].mailbox[1:] // the signature does not come to it any more
	p.turn(0)
	for i := range p.hosts {
		for p.deliver(i) {
		}
	}
	p.hosts[0].step()
	p.hosts[1].mailbox = p.hosts[1].mailbox[1:]
	for range 2 {
		p.hosts[1].step()
	}
	for _, h := range p.hosts {
		require.NotEmpty(t, h.state.c.FeeChanges)
		require.Len(t, h.state.c.HTLCs[0], 2-len(h.state.c.HTLCs[1]))
	}
	p.disconnect()
	for _, h := range p.hosts {
		h.step()
		require.Empty(t, h.state.c.FeeChanges)
		require.Len(t, append(h.state.c.HTLCs[0], h.state.c.HTLCs[1]...), 1)
	}
	p.finish()
}
