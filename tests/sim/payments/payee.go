package payments

import (
	"crypto/sha256"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/actors/durable"
	"stormcell/peer/onion"
)

// manner is how a payee behaves.
type manner int

const (
	claims  manner = iota // the whole set, or nothing
	rejects               // it knows nothing of the payment
	moody                 // fails parts now and then, before it claims the set
	odd                   // settles one part and fails another, whatever a set is
	manners
)

// payee is who waits for one payment.
type payee struct {
	preimage [32]byte
	total    uint64
	manner   manner
	waits    []arrived
	// outstanding is what it has, or may still claim, and claimed what it has.
	outstanding, claimed uint64
}

// arrived is a part that has not been judged.
type arrived struct {
	htlc
	amount uint64
	secret onion.Secret
}

// payeeKey is the one payee of all; payeeID is its node.
var (
	payeeKey, _ = btcec.PrivKeyFromBytes([]byte("the payee of all simulated ones."))
	payeeID     = [33]byte(payeeKey.PubKey().SerializeCompressed())
)

func ecdh(point *btcec.PublicKey) ([32]byte, error) {
	var p, product btcec.JacobianPoint
	point.AsJacobian(&p)
	btcec.ScalarMultNonConst(&payeeKey.Key, &p, &product)
	product.ToAffine()
	return sha256.Sum256(btcec.NewPublicKey(&product.X, &product.Y).SerializeCompressed()), nil
}

// offered takes an HTLC that reached the payee. What was judged before is judged the same.
func (w *Payments) offered(channel durable.Address, o offered) {
	key := htlc{channel, o.GetId()}
	if v := w.verdicts[key]; v != nil {
		w.tell(channel, *v)
		return
	}
	p := w.payees[[32]byte(o.GetHash())]
	known := false
	for _, a := range p.waits {
		known = known || a.htlc == key
	}
	if !known {
		w.arrives(p, key, o)
	}
	w.consider(p, o.overdue)
}

// arrives peels the onion, and holds the part against what the payee has already: more than the total is paid twice.
func (w *Payments) arrives(p *payee, key htlc, o offered) {
	peeled, err := onion.Peel(ecdh, o.GetOnion(), [32]byte(o.GetHash()))
	if err != nil {
		w.fail("HTLC %v has an onion that the payee cannot read: %w", key, err)
		return
	}
	if !peeled.Final || uint64(peeled.Payload.Amount) != o.GetAmount() || uint64(peeled.Payload.Total()) != p.total ||
		peeled.Payload.Expiry > o.GetExpiry() {
		w.fail("HTLC %v of %d msat does not fit its onion: %+v", key, o.GetAmount(), peeled.Payload)
	}
	if p.outstanding += o.GetAmount(); p.outstanding > p.total {
		w.fail("paid twice: HTLC %v brings %d msat to %d of %d", key, o.GetAmount(), p.outstanding, p.total)
	}
	w.arrivals[durable.Address(o.GetOrigin())] = key
	p.waits = append(p.waits, arrived{key, o.GetAmount(), peeled.Secret})
}

// consider judges what has arrived.
func (w *Payments) consider(p *payee, overdue bool) {
	var sum uint64
	for _, a := range p.waits {
		sum += a.amount
	}
	switch {
	case p.manner == rejects:
		w.failAll(p, lnwire.NewFailIncorrectDetails(1, height))
	case p.manner == odd && (overdue || w.rng.IntN(2) == 0):
		last := p.waits[len(p.waits)-1]
		p.waits = p.waits[:len(p.waits)-1]
		if w.rng.IntN(2) == 0 {
			w.claim(p, last)
		} else {
			w.failOne(p, last, w.anyFailure())
		}
	case p.manner == moody && w.rng.IntN(3) == 0:
		w.failAll(p, w.anyFailure())
	case sum == p.total && p.manner != odd:
		for _, a := range p.waits {
			w.claim(p, a)
		}
		p.waits = nil
	case overdue && p.manner != odd:
		w.failAll(p, &lnwire.FailMPPTimeout{})
	}
}

// anyFailure is a failure that a payee may give; nil stands for one that nobody can read.
func (w *Payments) anyFailure() lnwire.FailureMessage {
	return []lnwire.FailureMessage{
		&lnwire.FailTemporaryNodeFailure{}, &lnwire.FailMPPTimeout{}, lnwire.NewFailIncorrectDetails(1, height), nil,
	}[w.rng.IntN(4)]
}

func (w *Payments) claim(p *payee, a arrived) {
	p.claimed += a.amount
	w.judge(a.htlc, &verdict{id: a.id, preimage: p.preimage[:]})
}

func (w *Payments) failAll(p *payee, why lnwire.FailureMessage) {
	for _, a := range p.waits {
		w.failOne(p, a, why)
	}
	p.waits = nil
}

func (w *Payments) failOne(p *payee, a arrived, why lnwire.FailureMessage) {
	p.outstanding -= a.amount
	v := &verdict{id: a.id, reason: []byte("nobody can read this"), malformed: why == nil && w.rng.IntN(2) == 0}
	if why != nil {
		reason, err := onion.Fail(a.secret, why)
		if err != nil {
			w.fail("%w", err)
		}
		v.reason = reason
	}
	w.judge(a.htlc, v)
}

// judge decides once, and says so now or when it is asked again.
func (w *Payments) judge(key htlc, v *verdict) {
	w.verdicts[key] = v
	if w.rng.IntN(3) > 0 {
		w.tell(key.channel, *v)
	}
}
