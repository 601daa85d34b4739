package channel

import (
	"errors"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// stages bring host 0 of a pair to a point of a channel's life. What host 1 would send next lies on its wire.
var stages = []func(rapid.TB) *pair{
	func(t rapid.TB) *pair { return openedUpTo(t, pb.Phase_WAIT_ACCEPT) },
	func(t rapid.TB) *pair { return openedUpTo(t, pb.Phase_WAIT_FUNDING_SIGNED) },
	func(t rapid.TB) *pair { return openedUpTo(t, pb.Phase_WAIT_CONFIRMED) },
	func(t rapid.TB) *pair { // the responder
		o := newOpening(t)
		o.open(func(*Open) {})
		o.turn(0)
		o.deliver(0)
		o.turn(1)
		o.wires = [2][]wire.Message{}
		o.hosts[0], o.hosts[1] = o.hosts[1], o.hosts[0]
		return o.pair
	},
	func(t rapid.TB) *pair {
		o := newOpening(t)
		o.open(func(*Open) {})
		o.rest()
		o.hosts[0].tell(FundingConfirmed{Tx: o.published, Height: 101, TxIndex: 3})
		for o.turn(0) {
		}
		return o.pair
	},
	func(t rapid.TB) *pair { return hostile(t) },
	func(t rapid.TB) *pair { // a revocation is due, and the peer has signed
		p := hostile(t)
		p.add(0, 1_000_000)
		p.add(1, 2_000_000)
		for p.turn(0) {
		}
		for p.turn(1) {
		}
		return p
	},
	func(t rapid.TB) *pair { // before channel_reestablish
		p := hostile(t)
		p.disconnect()
		p.connect()
		for p.turn(0) {
		}
		for p.turn(1) {
		}
		return p
	},
	func(t rapid.TB) *pair { return closingBy(t, false, 1) },
	func(t rapid.TB) *pair { return closingBy(t, true, 1) },
	func(t rapid.TB) *pair { return closingBy(t, false, 9) },
	func(t rapid.TB) *pair { return closingBy(t, true, 9) },
	func(t rapid.TB) *pair {
		p := hostile(t)
		p.hosts[0].tell(ForceClose{})
		p.hosts[0].step()
		p.hosts[0].takeReleased()
		return p
	},
}

func openedUpTo(t rapid.TB, phase pb.Phase) *pair {
	o := newOpening(t)
	o.open(func(*Open) {})
	for o.hosts[0].state.phase != phase {
		o.turn(0)
		if o.hosts[0].state.phase != phase {
			o.deliver(0)
			o.turn(1)
			o.deliver(1)
		}
	}
	return o.pair
}

func closingBy(t rapid.TB, simple bool, turns int) *pair {
	c := newClosing(t, newFixture(), simple)
	c.rest()
	c.hosts[0].tell(Close{FeeRate: 1_000})
	for range turns {
		for c.turn(0) {
		}
		for c.turn(1) {
		}
		if turns > 1 {
			c.deliver(0)
			c.deliver(1)
		}
	}
	return c.pair
}

// hostileMessage is what a peer may come up with: anything, or what an honest one would send with some bytes changed.
func (p *pair) hostileMessage(t *rapid.T) wire.Message {
	c, u64 := p.hosts[0].state.c, rapid.SampledFrom([]uint64{0, 1, 2, 3, 1 << 20, 1<<63 - 1, 1<<64 - 1})
	if len(p.wires[1]) > 0 && rapid.IntRange(0, 2).Draw(t, "honest") > 0 {
		m := p.wires[1][0]
		p.wires[1] = p.wires[1][1:]
		data, err := wire.Encode(m)
		require.NoError(t, err)
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			data[rapid.IntRange(0, len(data)-1).Draw(t, "at")] ^= rapid.Byte().Draw(t, "by")
		}
		if m, err = wire.Decode(data); err == nil {
			return m
		}
	}
	var hash [32]byte
	tag := rapid.Uint64Range(0, 4).Draw(t, "tag")
	hash = hashFor(tag)
	point := p.hosts[1].core.Signer.NodeKey()
	amount := rapid.SampledFrom([]wire.MilliSatoshi{0, 1, 353_999, 1_000_000, 390_000_000, 1<<64 - 1}).Draw(t, "amount")
	script := rapid.SampledFrom([][]byte{nil, {1}, scriptOf(0), scriptOf(1)})
	sats := rapid.SampledFrom([]btcutil.Amount{0, 1, 500, 1_000_000, btcutil.MaxSatoshi})
	var secret keys.Secret
	if c != nil {
		number := rapid.SampledFrom([]uint64{0, c.RemoteNumber, c.RemoteNumber - 1, c.LocalNumber}).Draw(t, "secret")
		secret, _ = p.hosts[rapid.IntRange(0, 1).Draw(t, "whose")].core.Signer.ReleaseSecret(c.KeyIndex, number)
	}
	switch id := u64.Draw(t, "id"); rapid.IntRange(0, 19).Draw(t, "message") {
	case 0, 1:
		return &wire.UpdateAddHTLC{ID: id, Amount: amount, PaymentHash: hash, Expiry: uint32(u64.Draw(t, "expiry"))}
	case 2:
		return &wire.UpdateFulfillHTLC{ID: id, PaymentPreimage: preimageFor(tag)}
	case 3:
		return &wire.UpdateFailHTLC{ID: id, Reason: []byte("because")}
	case 4:
		return &wire.UpdateFailMalformedHTLC{ID: id, FailureCode: lnwire.FailCode(u64.Draw(t, "code"))}
	case 5:
		return &wire.UpdateFee{FeePerKw: uint32(u64.Draw(t, "fee"))}
	case 6:
		return &wire.CommitSig{HtlcSigs: make([]wire.Sig, rapid.IntRange(0, 3).Draw(t, "signatures"))}
	case 7:
		return &wire.CommitSig{FundingTxID: (*chainhash.Hash)(&hash)}
	case 8:
		return &wire.RevokeAndAck{Revocation: secret, NextRevocationKey: point}
	case 9:
		of := wire.MessageType(u64.Draw(t, "of"))
		return &wire.StartBatch{Size: uint16(id), Of: &of}
	case 10:
		return &wire.ChannelReestablish{
			NextCommitment: u64.Draw(t, "commitment"), NextRevocation: u64.Draw(t, "revocation"), LastSecret: secret, CurrentPoint: point,
		}
	case 11:
		return &wire.Shutdown{Script: script.Draw(t, "script")}
	case 12:
		return &wire.ClosingSigned{Fee: sats.Draw(t, "fee"), FeeRange: &wire.FeeRange{Min: sats.Draw(t, "min"), Max: sats.Draw(t, "max")}}
	case 13, 14:
		proposal := wire.ClosingProposal{CloserScript: script.Draw(t, "closer"), CloseeScript: script.Draw(t, "closee"),
			Fee: sats.Draw(t, "fee"), LockTime: uint32(id), CloserOnly: &wire.Sig{}, Both: &wire.Sig{}}
		if id%2 == 0 {
			return &wire.ClosingSig{ClosingProposal: proposal}
		}
		return &wire.ClosingComplete{ClosingProposal: proposal}
	case 15:
		alias := lnwire.NewShortChanIDFromInt(id)
		return &wire.ChannelReady{NextPerCommitmentPoint: point, AliasScid: &alias}
	case 16:
		return &wire.FundingCreated{PendingChannelID: [32]byte{7}}
	case 17:
		return &wire.FundingSigned{}
	case 18:
		return &wire.Warning{Data: []byte("beware")}
	default:
		return &wire.Stfu{}
	}
}

// againstHostility: whatever a peer sends, in every phase, has a typed outcome; it breaks no contract of the kernel, keeps
// the state bounded, and never leaves us without a commitment to publish.
func againstHostility(t *rapid.T) {
	p := rapid.SampledFrom(stages).Draw(t, "stage")(t)
	h := p.hosts[0]
	for range rapid.IntRange(1, 30).Draw(t, "messages") {
		if rapid.IntRange(0, 9).Draw(t, "reconnect") == 0 {
			p.disconnect()
			p.connect()
		}
		h.tell(Received{Link: h.state.link, Message: p.hostileMessage(t)})
		for h.step() {
		}
		for _, err := range h.refused {
			var wrong *Violation
			var refusal *Refusal
			require.True(t, errors.As(err, &wrong) || errors.As(err, &refusal), "untyped: %v", err)
		}
		h.refused = nil
		h.takeReleased()
		h.takeSent()
	}
	c := h.state.c
	if c == nil {
		return
	}
	require.LessOrEqual(t, len(c.HTLCs[Remote]), int(c.Terms[Local].MaxAcceptedHTLCs))
	require.LessOrEqual(t, len(c.FeeChanges), 4)
	latest, err := c.localCommitment(c.Active[0], c.LocalNumber, localLatest, h.core.Signer)
	require.NoError(t, err)
	require.NoError(t, latest.Verify(c.Active[0].Signature, c.Active[0].HTLCSignatures, keys.Sequential))
}

func TestHostilePeer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, againstHostility)
}

func FuzzHostilePeer(f *testing.F) { f.Fuzz(rapid.MakeFuzz(againstHostility)) }
