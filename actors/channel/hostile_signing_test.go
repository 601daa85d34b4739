package channel

import (
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// signedByPeer is what host 1 would sign if it held host 0 to nothing: whatever host 0 would take as its next commitment.
func (p *pair) signedByPeer() []wire.Message {
	c, peer := p.hosts[0].state.c, p.hosts[1]
	var out []wire.Message
	for n, a := range c.Active {
		next, err := c.localCommitment(a, c.LocalNumber+1, localNext, p.hosts[0].core.Signer)
		if err != nil {
			return nil
		}
		funding := peer.state.c.Active[n].FundingKey
		signatures, err := peer.core.Signer.Sign(next.CountersignRequests(funding, peer.state.c.KeyIndex))
		require.NoError(p.t, err)
		txid := a.Funding.Outpoint.Hash
		out = append(out, &wire.CommitSig{CommitSig: signatures[0], HtlcSigs: signatures[1:], FundingTxID: &txid})
	}
	return out
}

// revokedByPeer revokes what host 1 would have to revoke, whether it is due or not.
func (p *pair) revokedByPeer() wire.Message {
	c, peer := p.hosts[0].state.c, p.hosts[1]
	secret, err := peer.core.Signer.ReleaseSecret(peer.state.c.KeyIndex, c.RemoteNumber)
	require.NoError(p.t, err)
	next, err := peer.core.Signer.CommitmentPoint(peer.state.c.KeyIndex, c.RemoteNumber+2)
	require.NoError(p.t, err)
	return &wire.RevokeAndAck{Revocation: secret, NextRevocationKey: next}
}

// updateByPeer is an update that may well be in order.
func (p *pair) updateByPeer(t *rapid.T) wire.Message {
	c := p.hosts[0].state.c
	amount := rapid.SampledFrom([]wire.MilliSatoshi{1, 353_999, 354_000, 1_000_000, 100_000_000, 380_000_000}).Draw(t, "amount")
	tag := rapid.Uint64Range(1, 6).Draw(t, "tag")
	switch id := rapid.Uint64Range(0, 4).Draw(t, "id"); rapid.IntRange(0, 5).Draw(t, "update") {
	case 0, 1:
		return &wire.UpdateAddHTLC{ID: c.nextID(Remote), Amount: amount, PaymentHash: hashFor(tag), Expiry: 700_000}
	case 2:
		return &wire.UpdateFulfillHTLC{ID: id, PaymentPreimage: preimageFor(id + 1)}
	case 3:
		return &wire.UpdateFailHTLC{ID: id, Reason: []byte("because")}
	case 4:
		return &wire.UpdateFailMalformedHTLC{ID: id, FailureCode: lnwire.CodeInvalidOnionKey}
	default:
		return &wire.UpdateFee{FeePerKw: rapid.Uint32Range(250, 9_000).Draw(t, "fee")}
	}
}

// againstASigner: a hostile peer has its keys. It signs and revokes whatever it likes, whenever it likes, in every phase. We
// always have a commitment to publish, and lose nothing but what we offered and it has the preimage for.
func againstASigner(t *rapid.T) {
	p := rapid.SampledFrom(stages).Draw(t, "stage")(t)
	h := p.hosts[0]
	if h.state.c == nil || p.hosts[1].state.c == nil {
		t.Skip("there is no channel yet")
	}
	had, paid := h.state.c.Active[0].Balance[Local], wire.MilliSatoshi(0)
	for range rapid.IntRange(1, 40).Draw(t, "messages") {
		var messages []wire.Message
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0, 1, 2:
			messages = []wire.Message{p.updateByPeer(t)}
		case 3, 4, 5:
			messages = p.signedByPeer()
		case 6, 7:
			messages = []wire.Message{p.revokedByPeer()}
		case 8:
			messages = []wire.Message{p.hostileMessage(t)}
			switch rapid.IntRange(0, 3).Draw(t, "close") {
			case 0:
				messages = []wire.Message{&wire.Shutdown{Script: scriptOf(1)}}
			case 1:
				h.tell(Close{Script: scriptOf(0), FeeRate: 1_000})
			}
		default:
			p.add(0, 2_000_000)
			p.resolve(0, rapid.SampledFrom([]string{"fulfil", "fail", "malformed"}).Draw(t, "resolution"))
		}
		if h.state.link == 0 && rapid.Bool().Draw(t, "reconnect") {
			p.disconnect()
			p.connect()
			for h.step() {
			}
			messages = []wire.Message{&wire.ChannelReestablish{NextCommitment: h.state.c.RemoteNumber + 1,
				NextRevocation: h.state.c.LocalNumber, CurrentPoint: h.state.c.RemotePoint, LastSecret: p.lastSecret()}}
		}
		for _, m := range messages {
			h.tell(Received{Link: h.state.link, Message: m})
			for h.step() {
			}
		}
		for _, e := range h.takeSent() {
			switch body := e.Body.(type) {
			case *pb.HTLCSettled:
				paid += p.asked[body.GetTag()].amount
			case *pb.IncomingHTLC:
				p.pending[0] = append(p.pending[0], body)
			}
		}
		h.refused = nil
		h.takeReleased()
	}
	c := h.state.c
	for _, a := range c.Active {
		latest, err := c.localCommitment(a, c.LocalNumber, localLatest, h.core.Signer)
		require.NoError(t, err)
		require.NoError(t, latest.Verify(a.Signature, a.HTLCSignatures, keys.Sequential))
	}
	ours := c.walk(c.Active[0], view{Local: Settled + 1, Remote: Settled + 1}, func(*HTLC) {})[Local]
	require.GreaterOrEqual(t, ours+paid, had)
}

// lastSecret is the last that host 0 has revealed.
func (p *pair) lastSecret() (secret keys.Secret) {
	if c := p.hosts[0].state.c; c.LocalNumber > 0 {
		secret, _ = p.hosts[0].core.Signer.ReleaseSecret(c.KeyIndex, c.LocalNumber-1)
	}
	return secret
}

func TestHostileSigner(t *testing.T) {
	t.Parallel()
	rapid.Check(t, againstASigner)
}
