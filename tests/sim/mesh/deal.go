package mesh

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"stormcell/actors/durable"
	"stormcell/actors/invoice"
	"stormcell/actors/payment"
	pb "stormcell/messages/payment"
	"stormcell/peer/wire"
)

// kind is what is paid for.
type kind int

const (
	invoiced kind = iota
	held          // the payee decides when it has come
	unasked       // a keysend
	unknown       // the payee never made the invoice
)

// deal is what one node gets from another, or from both others: then each pays all of it.
type deal struct {
	kind           kind
	payers         []*node
	payee          *node
	preimage, hash [32]byte
	asked, paid    uint64 // msat: what the invoice is over, and what a payment is over
	secret         []byte // of the invoice, once it is made
	waits          []*question
}

// question is asked until it is answered.
type question struct {
	at       *node
	to       durable.Address
	body     any
	answered func(body any, err error)
}

// draw draws a deal, and what is done about it.
func (w *Mesh) draw(n int) {
	l := w.lanes[w.rng.IntN(len(w.lanes))]
	payee := w.rng.IntN(2)
	d := &deal{
		payers: []*node{l.ends[1-payee]}, payee: l.ends[payee], asked: 1 + w.rng.Uint64N(50_000_000),
		preimage: sha256.Sum256(fmt.Append(nil, "deal", n)),
	}
	d.hash = sha256.Sum256(d.preimage[:])
	if odd := w.rng.IntN(16); odd <= int(unknown) {
		d.kind = kind(odd)
	}
	if d.paid = d.asked; w.rng.IntN(8) == 0 {
		d.paid = d.asked/2 + 1
	}
	for _, rival := range w.nodes {
		if d.kind != unasked && rival != d.payee && rival != d.payers[0] && w.between(rival, d.payee) != nil && w.rng.IntN(4) == 0 {
			d.payers = append(d.payers, rival)
		}
	}
	w.deals = append(w.deals, d)
	w.todo = append(w.todo, func() { w.invoice(d) })
	for range 1 + w.rng.IntN(2) {
		for _, payer := range d.payers {
			w.todo = append(w.todo, func() { w.pay(d, payer) })
		}
	}
	if d.kind == held {
		w.todo = append(w.todo, func() { w.decide(d, 1+w.rng.IntN(5)) })
	}
	if w.rng.IntN(8) == 0 {
		w.todo = append(w.todo, func() { d.payers[0].tell(payment.AddressOf(d.hash), payment.Abort{}) })
	}
}

// invoice has the payee make the invoice of a deal.
func (w *Mesh) invoice(d *deal) {
	if d.kind == unknown || d.kind == unasked {
		return
	}
	want := invoice.Request{
		Preimage: &d.preimage, Amount: wire.MilliSatoshi(d.asked), Expiry: 1_000 * 24 * time.Hour, Hold: d.kind == held,
	}
	d.payee.ask(d, invoice.Address(d.hash), invoice.Add{Request: want}, func(_ any, err error) {
		if err != nil && !errors.Is(err, invoice.ErrExists) {
			w.fail("an invoice is not made: %w", err)
		}
	})
}

// pay has a payer pay: whoever does not know the secret makes one up.
func (w *Mesh) pay(d *deal, payer *node) {
	payee := d.payee.id()
	to := &pb.Payee{Node: payee[:], Secret: d.secret}
	parts := uint64(1 + w.rng.IntN(4))
	switch {
	case d.kind == unasked:
		to.Keysend, parts = d.preimage[:], 1
	case d.secret == nil && d.kind != unknown && w.rng.IntN(4) > 0:
		w.later = append(w.later, func() { w.pay(d, payer) })
		return
	case d.secret == nil:
		to.Secret = make([]byte, 32)
	}
	payer.numbers++
	want := payment.Pay{Hash: d.hash, Number: payer.numbers, Request: &pb.Request{
		Payee: to, AmountMsat: d.paid, MaxParts: uint32(parts), MaxPartMsat: 1 + d.paid/(1+w.rng.Uint64N(parts)),
		FinalDelta: 80, MaxDelta: 500, TimeoutNs: int64(24 * time.Hour),
	}}
	payer.ask(d, payment.AddressOf(d.hash), want, func(_ any, err error) {
		if err != nil && !errors.Is(err, payment.ErrInFlight) && !errors.Is(err, payment.ErrPaid) {
			w.fail("a payment is not begun: %w", err)
		}
	})
}

// decide has the payee take what a hold invoice has, or give it back. It waits for it, but not for ever.
func (w *Mesh) decide(d *deal, patience int) {
	var body any = invoice.Settle{Preimage: d.preimage}
	if patience == 0 || w.rng.IntN(4) == 0 {
		body = invoice.Cancel{}
	}
	if d.secret == nil {
		w.later = append(w.later, func() { w.decide(d, max(patience-1, 0)) })
		return
	}
	d.payee.ask(d, invoice.Address(d.hash), body, func(_ any, err error) {
		switch {
		case errors.Is(err, invoice.ErrNotHeld):
			w.later = append(w.later, func() { w.decide(d, patience-1) })
		case err != nil && !errors.Is(err, invoice.ErrSettled) && !errors.Is(err, invoice.ErrCanceled):
			w.fail("a held invoice is not decided on: %w", err)
		}
	})
}

// ask asks until there is an answer.
func (n *node) ask(d *deal, to durable.Address, body any, answered func(any, error)) {
	q := &question{n, to, body, answered}
	d.waits = append(d.waits, q)
	n.askAgain(d, q)
}

func (n *node) askAgain(d *deal, q *question) {
	err := n.kernel.AskFunc(q.to, q.body, true, func(body any, err error) {
		if errors.Is(err, durable.ErrRestarted) {
			n.askAgain(d, q)
			return
		}
		d.waits = slices.DeleteFunc(d.waits, func(other *question) bool { return other == q })
		q.answered(body, err)
	})
	if err != nil && n.kernel.Err() == nil {
		n.fail("%s is not asked: %w", q.to, err)
	}
}
