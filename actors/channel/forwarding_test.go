package channel

import (
	"bytes"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// herald is a peer that speaks of its channels with one host.
type herald struct {
	key  *btcec.PrivateKey
	host *host
}

func newHerald(t *testing.T, seed byte) *herald {
	t.Helper()
	cores := [2]*Core{newCore(t, 1), newCore(t, 2)}
	key, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{seed}, 32))
	c := newFixture().commitments(t, cores)[0]
	c.Peer = [33]byte(key.PubKey().SerializeCompressed())
	h := newHost(t, "channel/test", cores[0], &pb.Snapshot{
		Phase: pb.Phase_NORMAL, Commitments: c.proto(), Setup: &pb.Setup{Scid: 100, RemoteReady: true, LocalAlias: 500, RemoteAlias: 600},
	})
	h.tell(Connected{Link: 1})
	for h.step() {
	}
	return &herald{key, h}
}

// update is what the peer says, before anything is wrong with it.
func (p *herald) update(edit func(*wire.ChannelUpdate)) *wire.ChannelUpdate {
	m := &wire.ChannelUpdate{
		ShortChannelID: lnwire.NewShortChanIDFromInt(500), Timestamp: 1_000, MessageFlags: lnwire.ChanUpdateRequiredMaxHtlc,
		TimeLockDelta: 80, BaseFee: 1_000, FeeRate: 10, HtlcMinimumMsat: 1, HtlcMaximumMsat: 990_000_000,
		ExtraOpaqueData: []byte{0xfd, 0xd9, 0x03, 0x01, 0x07}, // signed with the rest
	}
	if bytes.Compare(p.key.PubKey().SerializeCompressed(), p.host.core.Signer.NodeKey().SerializeCompressed()) > 0 {
		m.ChannelFlags = lnwire.ChanUpdateDirection
	}
	edit(m)
	return p.sign(m)
}

func (p *herald) sign(m *wire.ChannelUpdate) *wire.ChannelUpdate {
	data, err := m.DataToSign()
	require.NoError(p.host.t, err)
	m.Signature, err = lnwire.NewSigFromSignature(ecdsa.Sign(p.key, chainhash.DoubleHashB(data)))
	require.NoError(p.host.t, err)
	return m
}

// hears gives how many events come of a message.
func (p *herald) hears(m *wire.ChannelUpdate) int {
	before := len(p.host.events)
	p.host.tell(Received{Link: 1, Message: m})
	for p.host.step() {
	}
	return len(p.host.events) - before
}

func unchanged(*wire.ChannelUpdate) {}

// TestForwarding: what the peer wants for forwarding to us is kept, over restarts, until it says something newer.
func TestForwarding(t *testing.T) {
	t.Parallel()
	for seed := range byte(4) { // keys on both sides of ours
		p := newHerald(t, seed+1)
		require.Nil(t, described(t, p.host).Forwarding)
		require.Equal(t, 1, p.hears(p.update(unchanged)), "seed %d", seed)
		want := &Forwarding{CLTVDelta: 80, FeeBase: 1_000, FeePerMillion: 10, Minimum: 1, Maximum: 990_000_000}
		require.Equal(t, want, described(t, p.host).Forwarding)
		require.Zero(t, p.hears(p.update(unchanged)), "it is stored once")
		p.host.restart()
		require.Equal(t, want, described(t, p.host).Forwarding)
		p.host.tell(Connected{Link: 1})
		require.Equal(t, 1, p.hears(p.update(func(m *wire.ChannelUpdate) {
			m.Timestamp++
			m.ChannelFlags |= lnwire.ChanUpdateDisabled
			m.ShortChannelID = lnwire.NewShortChanIDFromInt(100)
		})))
		require.True(t, described(t, p.host).Forwarding.Disabled)
		require.Empty(t, p.host.refused)
	}
}

// TestForwardingOfOthers: what is about another channel, another direction, older, or makes no sense is ignored.
func TestForwardingOfOthers(t *testing.T) {
	t.Parallel()
	p := newHerald(t, 7)
	p.hears(p.update(unchanged))
	for name, edit := range map[string]func(*wire.ChannelUpdate){
		"another channel":        func(m *wire.ChannelUpdate) { m.ShortChannelID = lnwire.NewShortChanIDFromInt(501) },
		"no channel":             func(m *wire.ChannelUpdate) { m.ShortChannelID = lnwire.ShortChannelID{} },
		"an alias of the peer's": func(m *wire.ChannelUpdate) { m.ShortChannelID = lnwire.NewShortChanIDFromInt(600) },
		"our direction":          func(m *wire.ChannelUpdate) { m.ChannelFlags ^= lnwire.ChanUpdateDirection },
		"older":                  func(m *wire.ChannelUpdate) { m.Timestamp = 999 },
		"nothing fits between":   func(m *wire.ChannelUpdate) { m.HtlcMinimumMsat = m.HtlcMaximumMsat + 1 },
	} {
		require.Zero(t, p.hears(p.update(func(m *wire.ChannelUpdate) { m.Timestamp++; edit(m) })), name)
		require.Empty(t, p.host.refused, name)
	}
}

// TestForgedForwarding: whoever says something that it did not sign is warned, and the connection ends.
func TestForgedForwarding(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]func(*wire.ChannelUpdate){
		"another fee":       func(m *wire.ChannelUpdate) { m.BaseFee++ },
		"another extension": func(m *wire.ChannelUpdate) { m.ExtraOpaqueData[4]++ },
		"no signature":      func(m *wire.ChannelUpdate) { m.Signature = wire.Sig{} },
	} {
		p := newHerald(t, 7)
		m := p.update(unchanged)
		forge(m)
		require.Zero(t, p.hears(m), name)
		require.Len(t, p.host.refused, 1, name)
		require.ErrorIs(t, p.host.refused[0], ErrNotSigned, name)
		warned, hungUp := false, false
		for _, e := range p.host.takeReleased() {
			switch e := e.(type) {
			case SendWire:
				_, is := e.Message.(*wire.Warning)
				warned = warned || is
			case Hangup:
				hungUp = true
			}
		}
		require.True(t, warned && hungUp, name)
	}
}

// TestForwardingInAnOpening does not disturb it: the peer speaks of another channel.
func TestForwardingInAnOpening(t *testing.T) {
	t.Parallel()
	p := newHerald(t, 7)
	p.host.state.phase = pb.Phase_WAIT_ACCEPT
	turn := p.host.core.turn(p.host.state, durable.Message{Body: Received{Link: 1, Message: p.update(unchanged)}}, p.host)
	require.NoError(t, turn.decide())
	require.Empty(t, turn.out)
}
