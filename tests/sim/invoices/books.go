package invoices

import (
	"bytes"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	invoicepb "stormcell/messages/invoice"
)

// Observe implements sim.Process.
func (w *World) Observe(addr durable.Address, snapshot proto.Message) {
	i, ok := snapshot.(*invoicepb.Invoice)
	if !ok {
		return
	}
	for _, r := range w.requests {
		if r.address() == addr {
			r.seen = i
		}
	}
}

// paid is what came in for one invoice.
type paid struct {
	parts int
	msat  uint64
}

// Quiet implements sim.Process: the books of payers, channels, monitors and invoices agree.
func (w *World) Quiet(read func(durable.Address) (proto.Message, error)) error {
	if len(w.pending) > 0 {
		return fmt.Errorf("%s never answers %T", w.pending[0].to, w.pending[0].body)
	}
	got := map[[32]byte]paid{}
	for n := range w.channels {
		if err := w.audit(n, read, got); err != nil {
			return err
		}
	}
	for _, r := range w.requests {
		state, err := read(r.address())
		if err != nil {
			return err
		}
		i, _ := state.(*invoicepb.Invoice)
		if err := r.audit(i, got[r.hash]); err != nil {
			return fmt.Errorf("%s: %w: {%v}", r.address(), err, i)
		}
	}
	return nil
}

// audit checks a channel and its monitor, and adds up what was fulfilled.
func (w *World) audit(n int, read func(durable.Address) (proto.Message, error), got map[[32]byte]paid) error {
	state, err := read(durable.Address(fmt.Sprintf("channel/%d", n)))
	if err != nil {
		return err
	}
	book, _ := state.(*Ledger)
	state, err = read(durable.Address(fmt.Sprintf("monitor/%d", n)))
	if err != nil {
		return err
	}
	claimable, _ := state.(*Preimages)
	for _, line := range book.GetLines() {
		if line.GetOutcome() == Outcome_OPEN {
			return fmt.Errorf("channel/%d: HTLC %d is left over", n, line.GetId())
		}
		fulfilled := line.GetOutcome() == Outcome_FULFILLED
		if fulfilled != slices.Contains(claimable.GetIds(), line.GetId()) {
			return fmt.Errorf("channel/%d: HTLC %d is %s, its monitor thinks otherwise", n, line.GetId(), line.GetOutcome())
		}
		if fulfilled {
			p := got[[32]byte(line.GetPaymentHash())]
			got[[32]byte(line.GetPaymentHash())] = paid{p.parts + 1, p.msat + line.GetAmountMsat()}
		}
	}
	return nil
}

// audit checks what an invoice says of itself against what came in.
func (r *request) audit(i *invoicepb.Invoice, got paid) error {
	var parts int
	var sum, total uint64
	for _, h := range i.GetHtlcs() {
		if h.GetState() == invoicepb.HTLCState_CLAIMED {
			parts, sum, total = parts+1, sum+h.GetAmountMsat(), h.GetTotalMsat()
		}
	}
	settled := i.GetStatus() == invoicepb.Status_SETTLED
	switch {
	case holds(i) || i.GetStatus() == invoicepb.Status_HELD:
		return fmt.Errorf("it still holds HTLCs")
	case got != paid{parts, sum} || i.GetPaidMsat() != sum:
		return fmt.Errorf("the channels have %d parts of %d msat", got.parts, got.msat)
	case settled != (parts > 0):
		return fmt.Errorf("settled with %d parts", parts)
	case settled && (sum < total || sum < i.GetAmountMsat()):
		return fmt.Errorf("claimed with %d msat of %d", sum, total)
	case settled && !bytes.Equal(i.GetPreimage(), r.preimage[:]):
		return fmt.Errorf("settled without the preimage")
	case r.told != invoicepb.Status_OPEN && i.GetStatus() != r.told:
		return fmt.Errorf("its owner was told %s", r.told)
	}
	return nil
}
