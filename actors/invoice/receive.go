package invoice

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/lightningnetwork/lnd/lnwire"

	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/invoice"
	"stormcell/peer/onion"
)

// receive decides on an HTLC: it is failed, or it is a part of the payment.
func (t *turn) receive(in *channelpb.IncomingHTLC) {
	old := t.find(string(t.m.From), in.GetId())
	switch {
	case old != nil && old.GetState() == pb.HTLCState_ACCEPTED:
		return // it is held; what becomes of it is said once
	case old != nil && old.GetState() == pb.HTLCState_CLAIMED:
		t.sendClaims([]*pb.HTLC{old})
		return
	}
	if len(in.GetPathKey()) > 0 {
		t.sendMalformed(in, onion.Blinded(in.GetOnion()))
		return
	}
	peeled, err := onion.Peel(t.ECDH, in.GetOnion(), hashOf(t.env.Self()))
	var (
		malformed *onion.Malformed
		invalid   *onion.PayloadError
	)
	switch {
	case errors.As(err, &malformed):
		t.sendMalformed(in, malformed)
	case errors.As(err, &invalid):
		t.sendFailure(string(t.m.From), in.GetId(), invalid.Secret, invalid.Failure())
	case err != nil:
		panic(fmt.Errorf("invoice: %w", err)) // the signer is away: supervision tries again
	case old != nil: // it was failed before
		t.sendFailure(string(t.m.From), in.GetId(), peeled.Secret, t.wrongDetails(in.GetAmountMsat()))
	default:
		t.take(in, peeled)
	}
}

// find is an HTLC that was seen before, nil if it is new.
func (t *turn) find(channel string, id uint64) *pb.HTLC {
	for _, h := range t.i.GetHtlcs() {
		if h.GetChannel() == channel && h.GetId() == id {
			return h
		}
	}
	return nil
}

// take adds an HTLC to the set, or fails it.
func (t *turn) take(in *channelpb.IncomingHTLC, p *onion.Peeled) {
	failure := t.checkHTLC(in, p)
	if failure == nil {
		failure = t.checkPayment(in, &p.Payload)
	}
	part := &pb.HTLC{
		Channel: string(t.m.From), Id: in.GetId(), AmountMsat: in.GetAmountMsat(), IntendedMsat: uint64(p.Payload.Amount),
		Expiry: in.GetExpiry(), TotalMsat: uint64(p.Payload.Total()), Secret: p.Secret[:],
		AcceptedHeight: t.Height(), AcceptedNs: t.now(), Records: records(p.Payload.Custom),
	}
	if failure != nil {
		t.sendFailure(part.Channel, part.Id, p.Secret, failure)
		if t.i != nil && t.knows(&p.Payload) {
			t.keepFailed(part)
		}
		return
	}
	if t.i == nil {
		t.i = t.unasked(in, &p.Payload)
	}
	i := t.change()
	if i.GetStatus() == pb.Status_OPEN && differs(i, part) {
		i.Htlcs = append(i.Htlcs, part)
		t.failSet(nil)
		return
	}
	i.Htlcs = append(i.Htlcs, part)
	t.complete(t.Height())
}

// checkHTLC holds an HTLC against what its onion says of it (BOLT 4, "Failure Messages").
func (t *turn) checkHTLC(in *channelpb.IncomingHTLC, p *onion.Peeled) lnwire.FailureMessage {
	amount := lnwire.MilliSatoshi(in.GetAmountMsat())
	switch {
	case in.GetOverExposed(), in.GetClosing():
		return &lnwire.FailTemporaryNodeFailure{}
	case !p.Final:
		return &lnwire.FailUnknownNextPeer{} // this node forwards nothing
	case amount < p.Payload.Amount:
		return lnwire.NewFinalIncorrectHtlcAmount(amount)
	case in.GetExpiry() < p.Payload.Expiry:
		return lnwire.NewFinalIncorrectCltvExpiry(in.GetExpiry())
	default:
		return nil
	}
}

// checkPayment holds an HTLC against the invoice. All failures are alike, so that nobody can find out what is here.
func (t *turn) checkPayment(in *channelpb.IncomingHTLC, p *onion.Payload) lnwire.FailureMessage {
	ok := t.isWelcome(in, p)
	if t.i == nil {
		ok = t.isKeysend(in, p)
	}
	if !ok {
		return t.wrongDetails(in.GetAmountMsat())
	}
	return nil
}

// isWelcome tells whether an HTLC may be a part of what the invoice asks for.
func (t *turn) isWelcome(in *channelpb.IncomingHTLC, p *onion.Payload) bool {
	total, asked := p.Total(), lnwire.MilliSatoshi(t.i.GetAmountMsat())
	switch {
	case t.i.GetStatus() != pb.Status_OPEN, Expired(t.i, t.env.Now()), !t.knows(p):
		return false
	case total == 0, p.Amount == 0, total < asked, asked != 0 && total > 2*asked:
		return false
	default:
		return t.hasTime(in.GetExpiry(), t.i.GetFinalCltvDelta()) && t.parts() < maxParts
	}
}

// knows tells whether a payer has the invoice, and not only its hash.
func (t *turn) knows(p *onion.Payload) bool {
	return p.Payment != nil && subtle.ConstantTimeCompare(p.Payment.Secret[:], t.i.GetPaymentSecret()) == 1
}

// isKeysend tells whether an HTLC is a whole payment that brings its preimage. None comes over a blinded path: nobody was given
// one.
func (t *turn) isKeysend(in *channelpb.IncomingHTLC, p *onion.Payload) bool {
	return t.Policy.Keysend && t.Height() != 0 && p.Keysend != nil && sha256.Sum256(p.Keysend[:]) == hashOf(t.env.Self()) &&
		p.RecipientData == nil && p.Amount != 0 && p.Total() <= p.Amount &&
		t.hasTime(in.GetExpiry(), t.Policy.MinFinalCLTVDelta)
}

// hasTime tells whether an HTLC has as many blocks left as was asked for. While the chain is not known it may have: then
// nothing is claimed until it is.
func (t *turn) hasTime(expiry, delta uint32) bool {
	return uint64(expiry) >= uint64(t.Height())+uint64(max(delta, t.Policy.MinFinalCLTVDelta))
}

func (t *turn) parts() (n int) {
	for _, h := range t.i.GetHtlcs() {
		if h.GetState() == pb.HTLCState_ACCEPTED {
			n++
		}
	}
	return n
}

// unasked is the invoice for a payment that nobody asked for.
func (t *turn) unasked(in *channelpb.IncomingHTLC, p *onion.Payload) *pb.Invoice {
	hash := hashOf(t.env.Self())
	return &pb.Invoice{
		PaymentHash: hash[:], Preimage: p.Keysend[:], AmountMsat: in.GetAmountMsat(), CreatedNs: t.now(),
		ExpiryS: uint64(t.Policy.Expiry.Seconds()), FinalCltvDelta: t.Policy.MinFinalCLTVDelta, Keysend: true,
	}
}

// differs tells whether a part names another total than those before it.
func differs(i *pb.Invoice, part *pb.HTLC) bool {
	for _, h := range i.GetHtlcs() {
		if h.GetState() == pb.HTLCState_ACCEPTED && h.GetTotalMsat() != part.GetTotalMsat() {
			return true
		}
	}
	return false
}

// complete claims a set that has its total, or holds it, once it is known how many blocks there are.
func (t *turn) complete(height uint32) {
	var sum, total uint64
	for _, h := range t.i.GetHtlcs() {
		if h.GetState() == pb.HTLCState_ACCEPTED {
			total = h.GetTotalMsat()
			sum = saturated(sum, h.GetIntendedMsat())
		}
	}
	switch {
	case sum < total, height == 0:
	case t.runsOut(height):
		t.failSet(nil)
	case t.i.GetHold():
		t.change().Status = pb.Status_HELD
	default:
		t.claim()
	}
}

// saturated adds amounts that payers made up.
func saturated(a, b uint64) uint64 {
	if a+b < a {
		return ^uint64(0)
	}
	return a + b
}

// wrongDetails is the failure of whatever is not welcome. It tells the height: while that is not known, others may try later.
func (t *turn) wrongDetails(amount uint64) lnwire.FailureMessage {
	if t.Height() == 0 {
		return &lnwire.FailTemporaryNodeFailure{}
	}
	return lnwire.NewFailIncorrectDetails(lnwire.MilliSatoshi(amount), t.Height())
}

func records(custom []onion.Record) []*pb.CustomRecord {
	var all []*pb.CustomRecord
	for _, r := range custom {
		all = append(all, &pb.CustomRecord{Type: r.Type, Value: r.Value})
	}
	return all
}
