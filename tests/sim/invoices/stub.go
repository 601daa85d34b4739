package invoices

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/invoice"
	channelpb "stormcell/messages/channel"
)

// poison makes any actor of this domain panic.
type poison struct{}

// offer asks a stub channel to take an HTLC from its peer, once.
type offer struct{ htlc *channelpb.IncomingHTLC }

// channels is the core of channel/<n>: the peer's HTLCs are irrevocable at once, and what it is told first counts.
type channels struct{ w *World }

type ledger struct{ *Ledger }

func (channels) Recover(_ durable.Address, snapshot proto.Message) (*ledger, error) {
	if snapshot == nil {
		return &ledger{&Ledger{}}, nil
	}
	return &ledger{snapshot.(*Ledger)}, nil
}

func (channels) Apply(l *ledger, event proto.Message)        { l.Ledger = event.(*Ledger) }
func (channels) Snapshot(l *ledger) proto.Message            { return l.Ledger }
func (channels) Resume(*ledger, durable.Env) durable.Outcome { return durable.Outcome{} }

func (c channels) Decide(l *ledger, m durable.Message, env durable.Env) durable.Outcome {
	switch body := m.Body.(type) {
	case offer:
		return l.take(m, body.htlc)
	case *channelpb.FulfillHTLC:
		return c.end(l, env.Self(), body.GetId(), Outcome_FULFILLED)
	case *channelpb.FailHTLC:
		return c.end(l, env.Self(), body.GetId(), Outcome_FAILED)
	case *channelpb.FailMalformedHTLC:
		return c.end(l, env.Self(), body.GetId(), Outcome_FAILED)
	default:
		panic(fmt.Sprintf("%T", m.Body))
	}
}

func (l *ledger) line(id uint64) int {
	return slices.IndexFunc(l.GetLines(), func(line *Line) bool { return line.GetId() == id })
}

func (l *ledger) take(m durable.Message, in *channelpb.IncomingHTLC) durable.Outcome {
	out := durable.Outcome{Release: []durable.Effect{durable.Reply{To: m.Asker}}}
	if l.line(in.GetId()) >= 0 {
		return out
	}
	next := proto.CloneOf(l.Ledger)
	next.Lines = append(next.Lines, &Line{Id: in.GetId(), PaymentHash: in.GetPaymentHash(), AmountMsat: in.GetAmountMsat()})
	out.Events = []proto.Message{next}
	out.Send = []durable.Envelope{{To: invoice.Address([32]byte(in.GetPaymentHash())), Body: in}}
	return out
}

// end notes how an HTLC ends. A second end of another kind would have been the peer's to choose from.
func (c channels) end(l *ledger, self durable.Address, id uint64, how Outcome) durable.Outcome {
	n := l.line(id)
	if n < 0 {
		c.w.fail("%s is told of an HTLC %d that it never had", self, id)
		return durable.Outcome{}
	}
	switch was := l.GetLines()[n].GetOutcome(); was {
	case how:
		return durable.Outcome{}
	case Outcome_OPEN:
		next := proto.CloneOf(l.Ledger)
		next.Lines[n].Outcome = how
		return durable.Outcome{Events: []proto.Message{next}}
	default:
		c.w.fail("%s: HTLC %d was %s, and now is to be %s", self, id, was, how)
		return durable.Outcome{}
	}
}

// monitors is the core of monitor/<n>.
type monitors struct{}

type safe struct{ *Preimages }

func (monitors) Recover(_ durable.Address, snapshot proto.Message) (*safe, error) {
	if snapshot == nil {
		return &safe{&Preimages{}}, nil
	}
	return &safe{snapshot.(*Preimages)}, nil
}

func (monitors) Apply(s *safe, event proto.Message)        { s.Preimages = event.(*Preimages) }
func (monitors) Snapshot(s *safe) proto.Message            { return s.Preimages }
func (monitors) Resume(*safe, durable.Env) durable.Outcome { return durable.Outcome{} }

func (monitors) Decide(s *safe, m durable.Message, _ durable.Env) durable.Outcome {
	next := proto.CloneOf(s.Preimages)
	for _, p := range m.Body.(*channelpb.MonitorUpdate).GetPreimages() {
		if !slices.Contains(next.Ids, p.GetId()) {
			next.Ids = append(next.Ids, p.GetId())
		}
	}
	return durable.Outcome{Events: []proto.Message{next}}
}
