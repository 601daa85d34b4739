package channel

import (
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/actors/durable"
	"stormcell/chain/bolt3"
	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// open gives a pair that is connected and at rest.
func open(t rapid.TB, f fixture) *pair {
	p := newPair(t, f)
	p.connect()
	p.rest()
	return p
}

// ask has host i decide on a durable message, and gives what it sends.
func (p *pair) ask(i int, body *pb.AddHTLC) []any {
	p.hosts[i].deliver(user, body)
	p.asked[body.GetTag()] = &payment{host: i, amount: wire.MilliSatoshi(body.GetAmountMsat())}
	p.hosts[i].step()
	var out []any
	for _, e := range p.hosts[i].takeSent() {
		out = append(out, e.Body)
	}
	return out
}

func TestOffersAreRefused(t *testing.T) {
	t.Parallel()
	plain := func(*fixture, *pb.AddHTLC) {}
	cases := []struct {
		name   string
		by     int
		change func(*fixture, *pb.AddHTLC)
		before []wire.MilliSatoshi // HTLCs offered first, by the same side
		code   pb.RefusalCode
	}{
		{"nothing", 0, func(_ *fixture, a *pb.AddHTLC) { a.AmountMsat = 0 }, nil, pb.RefusalCode_BAD_AMOUNT},
		{"below the minimum", 0, func(f *fixture, a *pb.AddHTLC) { f.terms[1].HTLCMinimum = 1_000_001 }, nil, pb.RefusalCode_BAD_AMOUNT},
		{"expiry is a time", 0, func(_ *fixture, a *pb.AddHTLC) { a.Expiry = 500_000_000 }, nil, pb.RefusalCode_BAD_EXPIRY},
		{"expiry has passed", 0, func(_ *fixture, a *pb.AddHTLC) { a.Expiry = 699_000 }, nil, pb.RefusalCode_BAD_EXPIRY},
		{"expiry is far away", 0, func(_ *fixture, a *pb.AddHTLC) { a.Expiry = 699_000 + 2017 }, nil, pb.RefusalCode_BAD_EXPIRY},
		{"all we have", 0, func(f *fixture, a *pb.AddHTLC) { a.AmountMsat = 600_000_000 }, nil, pb.RefusalCode_INSUFFICIENT_FUNDS},
		{"more than there is", 0, func(f *fixture, a *pb.AddHTLC) { a.AmountMsat = 1 << 63 }, nil, pb.RefusalCode_INSUFFICIENT_FUNDS},
		{"the accepter's reserve", 1, func(f *fixture, a *pb.AddHTLC) { a.AmountMsat = 390_000_001 }, nil, pb.RefusalCode_INSUFFICIENT_FUNDS},
		{"the fee spike buffer", 0, func(f *fixture, a *pb.AddHTLC) {
			// Reserve, anchors and the fee at twice the rate with one more HTLC.
			f.pushed, a.AmountMsat = 0, uint64(msat(1_000_000-10_000-660-bolt3.BaseFee(5_000, 2)))+1
			f.terms[1].MaxHTLCValueInFlight = 1_000_000_000
		}, nil, pb.RefusalCode_INSUFFICIENT_FUNDS},
		{"the opener cannot pay for one more", 1, func(f *fixture, a *pb.AddHTLC) { f.pushed = 1_000_000 - 660 - 10_000 - 2_900 }, nil,
			pb.RefusalCode_PEER_CANNOT_PAY_FEE},
		{"too many", 0, plain, []wire.MilliSatoshi{1e6, 1e6, 1e6, 1e6, 1e6, 1e6}, pb.RefusalCode_TOO_MANY_HTLCS},
		{"too much in flight", 0, func(f *fixture, _ *pb.AddHTLC) { f.terms[1].MaxHTLCValueInFlight = 2e6 }, []wire.MilliSatoshi{1_000_001},
			pb.RefusalCode_TOO_MUCH_IN_FLIGHT},
		{"dust on the peer's commitment", 0, func(f *fixture, a *pb.AddHTLC) {
			f.terms[1].DustLimit, f.terms[0].Reserve, f.terms[1].MaxAcceptedHTLCs = 10_001, 10_001, 483
			a.AmountMsat = 10_000_000
		}, []wire.MilliSatoshi{1e7, 1e7, 1e7, 1e7, 1e7}, pb.RefusalCode_TOO_MUCH_DUST},
		{"short onion", 0, func(_ *fixture, a *pb.AddHTLC) { a.Onion = a.Onion[1:] }, nil, pb.RefusalCode_BAD_REQUEST},
		{"no path key", 0, func(_ *fixture, a *pb.AddHTLC) { a.PathKey = make([]byte, 33) }, nil, pb.RefusalCode_BAD_REQUEST},
		{"no hash", 0, func(_ *fixture, a *pb.AddHTLC) { a.PaymentHash = nil }, nil, pb.RefusalCode_BAD_REQUEST},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, add := newFixture(), newAdd(100, 1_000_000)
			c.change(&f, add)
			p := open(t, f)
			p.hosts[c.by].tell(Height{Height: 699_000})
			p.rest()
			for _, amount := range c.before {
				p.add(c.by, amount)
				p.rest()
			}
			sent := p.ask(c.by, add)
			require.Len(t, sent, 1)
			require.Equal(t, c.code, sent[0].(*pb.HTLCRefused).GetCode(), sent[0].(*pb.HTLCRefused).GetReason())
			require.NotEmpty(t, sent[0].(*pb.HTLCRefused).GetReason())
			require.Empty(t, p.hosts[c.by].inbox)
		})
	}
}

func TestSpikeBufferIsExact(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.pushed = 0
	f.terms[1].MaxHTLCValueInFlight = 1_000_000_000
	p := open(t, f)
	s := p.hosts[0].state
	require.Equal(t, msat(1_000_000-10_000-660-bolt3.BaseFee(5_000, 2)), s.c.Sendable(&p.hosts[0].core.Policy))
	p.add(0, s.c.Sendable(&p.hosts[0].core.Policy))
	p.rest()
	require.Len(t, p.pending[1], 1)
	require.Zero(t, s.c.Sendable(&p.hosts[0].core.Policy))
}

// TestRoomIsThere: a channel takes as many HTLCs as it says, and as much in them.
func TestRoomIsThere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		by     int
		pushed btcutil.Amount
		most   uint16
		want   int
	}{
		"the opener, bounded in number":                  {by: 0, pushed: 0, most: 6, want: 6},
		"the opener, bounded by the protocol":            {by: 0, pushed: 0, most: 500, want: 483},
		"the other side, bounded in number":              {by: 1, pushed: 400_000, most: 6, want: 6},
		"the other side, bounded by what the opener has": {by: 1, pushed: 1_000_000 - 10_000 - 660 - 5_000, most: 483, want: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture()
			f.pushed = c.pushed
			for i := range f.terms {
				f.terms[i].MaxAcceptedHTLCs, f.terms[i].MaxHTLCValueInFlight = c.most, 1_000_000_000
			}
			p := open(t, f)
			room := p.hosts[c.by].state.c.room(&p.hosts[c.by].core.Policy)
			require.Equal(t, c.want, room.HTLCs)
			parts := wire.MilliSatoshi(room.HTLCs)
			for range parts {
				p.add(c.by, (room.Sendable-(parts-1)*room.PerHTLC)/parts)
			}
			p.rest()
			require.Len(t, p.pending[1-c.by], room.HTLCs)
		})
	}
}

func TestABurstIsOneCommitment(t *testing.T) {
	t.Parallel()
	p := open(t, newFixture())
	for range 5 {
		p.add(0, 1_000_000)
	}
	for p.hosts[0].step() {
	}
	var names []string
	for _, e := range p.hosts[0].takeReleased() {
		names = append(names, wire.Name(e.(SendWire).Message.MsgType()))
	}
	add := "update_add_htlc"
	require.Equal(t, []string{add, add, add, add, add, "commitment_signed"}, names)
	require.Empty(t, p.hosts[0].inbox)
}

// hostile gives a pair whose host 0 has an irrevocable HTLC 0 at the peer, and signs a second one with sign. What the tests
// send to host 0 comes from a peer who may do anything.
func hostile(t rapid.TB) *pair {
	p := open(t, newFixture())
	p.add(0, 50_000_000)
	p.add(1, 20_000_000)
	p.rest()
	return p
}

func TestViolations(t *testing.T) {
	t.Parallel()
	badKey := newSigner(t, 9)
	point, err := badKey.CommitmentPoint(1, 1)
	require.NoError(t, err)
	add := func(change func(*wire.UpdateAddHTLC)) wire.Message {
		m := &wire.UpdateAddHTLC{ID: 1, Amount: 1_000_000, Expiry: 700_000}
		change(m)
		return m
	}
	cases := []struct {
		name string
		m    wire.Message
		err  error
	}{
		{"id too high", add(func(m *wire.UpdateAddHTLC) { m.ID = 2 }), ErrBadID},
		{"id again", add(func(m *wire.UpdateAddHTLC) { m.ID = 0 }), ErrBadID},
		{"no amount", add(func(m *wire.UpdateAddHTLC) { m.Amount = 0 }), ErrLimit},
		{"expiry is a time", add(func(m *wire.UpdateAddHTLC) { m.Expiry = 500_000_000 }), ErrLimit},
		{"cannot afford", add(func(m *wire.UpdateAddHTLC) { m.Amount = 375_000_000 }), ErrCannotAfford},
		{"overflow", add(func(m *wire.UpdateAddHTLC) { m.Amount = 1<<64 - 1 }), ErrCannotAfford},
		{"fulfil nothing", &wire.UpdateFulfillHTLC{ID: 7}, ErrNoSuchHTLC},
		{"wrong preimage", &wire.UpdateFulfillHTLC{ID: 0}, ErrWrongPreimage},
		{"fail nothing", &wire.UpdateFailHTLC{ID: 7}, ErrNoSuchHTLC},
		{"no BADONION", &wire.UpdateFailMalformedHTLC{ID: 0, FailureCode: 4}, nil},
		{"fee by the accepter", &wire.UpdateFee{FeePerKw: 3_000}, ErrNotOpener},
		{"revocation that is not due", &wire.RevokeAndAck{NextRevocationKey: point}, ErrUnexpected},
		{"signatures of nobody", &wire.CommitSig{}, ErrBadSignature},
		{"another funding", &wire.CommitSig{FundingTxID: &chainhash.Hash{1}}, ErrUnexpected},
		{"reestablish again", &wire.ChannelReestablish{NextCommitment: 1, CurrentPoint: point}, ErrUnexpected},
		{"batch too large", &wire.StartBatch{Size: 21}, ErrLimit},
		{"funding again", &wire.FundingSigned{}, ErrUnexpected},
		{"splice", &wire.Stfu{}, ErrUnexpected},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := hostile(t)
			h := p.hosts[0]
			before := h.bytes(h.state)
			h.tell(Received{Link: p.link, Message: c.m})
			h.step()
			require.Len(t, h.refused, 1)
			if c.err != nil {
				require.ErrorIs(t, h.refused[0], c.err)
			}
			effects := h.takeReleased()
			require.IsType(t, &wire.Warning{}, effects[0].(SendWire).Message)
			require.IsType(t, Hangup{}, effects[1])
			require.Len(t, effects, 2, "a violation closes no channel")
			require.Equal(t, before, h.bytes(h.state))

			// Nothing of that connection counts any more, and the next one is as good as ever.
			h.refused = nil
			h.tell(Received{Link: p.link, Message: &wire.Error{}})
			h.step()
			require.Empty(t, h.takeReleased())
			p.disconnect()
			p.finish()
		})
	}
}

func TestReplayedRevocationClosesNothing(t *testing.T) {
	t.Parallel()
	p := hostile(t)
	c := p.hosts[1].state.c
	replay, err := c.revocation(c.LocalNumber-1, p.hosts[1].core.Signer)
	require.NoError(t, err)
	p.add(0, 1_000_000) // so that a revocation is due
	for p.hosts[0].step() {
	}
	p.hosts[0].takeReleased()
	p.hosts[0].tell(Received{Link: p.link, Message: replay})
	p.hosts[0].step()
	require.ErrorIs(t, p.hosts[0].refused[0], ErrUnexpected)
	require.Equal(t, pb.Phase_NORMAL, p.hosts[0].state.phase)
}

func TestABadRevocationFailsTheChannel(t *testing.T) {
	t.Parallel()
	p := hostile(t)
	h := p.hosts[0]
	p.add(0, 1_000_000)
	for h.step() {
	}
	h.takeReleased()
	h.takeSent()
	h.tell(Received{Link: p.link, Message: &wire.RevokeAndAck{Revocation: [32]byte{1}, NextRevocationKey: h.core.Signer.NodeKey()}})
	h.step()
	effects := h.takeReleased()
	require.IsType(t, &wire.Error{}, effects[0].(SendWire).Message)
	require.Equal(t, pb.Phase_CLOSING, h.state.phase)
	p.published(0, effects)
}

// published checks that host i published its latest commitment: one that the peer has signed and that is not revoked.
func (p *pair) published(i int, effects []durable.Effect) {
	c := p.hosts[i].state.c
	var txs []Publish
	for _, e := range effects {
		if tx, ok := e.(Publish); ok {
			txs = append(txs, tx)
		}
	}
	require.Len(p.t, txs, 1)
	commitment, err := c.localCommitment(c.Active[0], c.LocalNumber, localLatest, p.hosts[i].core.Signer)
	require.NoError(p.t, err)
	require.Equal(p.t, commitment.TxID, txs[0].Tx.TxHash())
	require.NoError(p.t, commitment.Verify(c.Active[0].Signature, c.Active[0].HTLCSignatures, keys.Sequential))
	number, ok := c.Active[0].Funding.CommitmentNumber(txs[0].Tx)
	require.True(p.t, ok)
	require.Equal(p.t, c.LocalNumber, number)
	require.LessOrEqual(p.t, p.hosts[1-i].state.c.Revealed.Count(), number, "the peer can punish this commitment")
}

func TestForceCloseWithUpdatesWaiting(t *testing.T) {
	t.Parallel()
	p := hostile(t)
	h := p.hosts[0]
	p.add(0, 1_000_000)
	for h.step() { // signed
	}
	p.add(0, 1_000_000)
	for h.step() { // proposed only: a revocation is due first
	}
	require.Len(t, h.inbox, 1)
	h.takeReleased()
	h.takeSent()
	h.tell(ForceClose{})
	h.tell(Received{Link: p.link, Message: &wire.UpdateFee{}})
	for h.step() {
	}
	p.published(0, h.takeReleased())
	require.Empty(t, h.inbox)
	require.Equal(t, pb.RefusalCode_NOT_OPEN, h.takeSent()[0].Body.(*pb.HTLCRefused).GetCode())

	h.restart()
	p.published(0, h.takeReleased())
	require.Equal(t, pb.RefusalCode_NOT_OPEN, p.ask(0, newAdd(50, 1_000_000))[0].(*pb.HTLCRefused).GetCode())

	// A claim still reaches the monitor.
	preimage := preimageFor(2)
	h.deliver(resolver, &pb.FulfillHTLC{Id: 0, Preimage: preimage[:]})
	h.step()
	require.Equal(t, preimage[:], h.takeSent()[0].Body.(*pb.MonitorUpdate).GetPreimages()[0].GetPreimage())
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		claim  bool
		height uint32
		closes bool
	}{
		"ours has expired just now": {height: 700_002},
		"ours is overdue":           {height: 700_003, closes: true},
		"a claim has time":          {claim: true, height: 699_981},
		"a claim is urgent":         {claim: true, height: 699_982, closes: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := hostile(t)
			h := p.hosts[0]
			if c.claim {
				p.resolve(0, "fulfil")
				h.step()
			}
			h.tell(Height{Height: c.height})
			for h.step() {
			}
			require.Equal(t, c.closes, h.state.phase == pb.Phase_CLOSING)
			if c.closes {
				p.published(0, h.takeReleased())
			}
		})
	}
}

func TestAddsWaitForThePeerOnlySoLong(t *testing.T) {
	t.Parallel()
	p := newPair(t, newFixture())
	p.add(0, 1_000_000)
	p.rest()
	require.Len(t, p.hosts[0].inbox, 1)
	p.hosts[0].restart()
	p.rest()
	require.Len(t, p.hosts[0].inbox, 1)
	p.hosts[0].fire(patience)
	p.rest()
	require.Empty(t, p.hosts[0].inbox)
	require.Equal(t, "refused", p.asked[1].outcome)
	p.finish()
}

func TestDustOfThePeerIsMarked(t *testing.T) {
	t.Parallel()
	p := open(t, newFixture())
	p.hosts[0].core.Policy.MaxDustExposure = 900_000
	p.add(1, 600_000)
	p.add(1, 600_000)
	p.rest()
	require.False(t, p.pending[0][0].GetOverExposed())
	require.True(t, p.pending[0][1].GetOverExposed())
}

func TestBlindedHTLCKeepsItsPathKey(t *testing.T) {
	t.Parallel()
	p := open(t, newFixture())
	add := newAdd(1, 1_000_000)
	add.PathKey = p.hosts[0].core.Signer.NodeKey().SerializeCompressed()
	add.Onion[lnwire.OnionPacketSize-1] = 7
	p.ask(0, add)
	p.rest()
	require.Equal(t, add.GetPathKey(), p.pending[1][0].GetPathKey())
	require.Equal(t, add.GetOnion(), p.pending[1][0].GetOnion())
}
