package payments

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	channelpb "stormcell/messages/channel"
	"stormcell/persistence"
)

// What the world tells a stub.
type (
	open    struct{ balance uint64 }
	closing struct{} // no new HTLCs; what was not signed is refused
	// verdict is what the peer says of an HTLC: a preimage, or a reason.
	verdict struct {
		id               uint64
		preimage, reason []byte
		malformed        bool
	}
)

// offered leaves a stub when a signed HTLC is on its way to the peer, again after a restart, and again when it is overdue.
type offered struct {
	*Offer
	overdue bool
}

// patience is how long an HTLC may take until it is overdue.
const patience = time.Minute

// Messages of a stub to itself.
type (
	signNow   struct{}
	nudge     struct{ id uint64 }
	revokeNow struct{ id uint64 }
	tellNow   struct {
		origin durable.Address
		end    *channelpb.HTLCSettled
	}
)

// stub is the state of a channel: what is stored, and the adds that wait for a signature.
type stub struct {
	*Stub
	waiting []*Waiting
}

// stubs is the core of channel/<n>: what a payment needs of a channel, and no commitments.
type stubs struct {
	// dropsPreimage forgets a preimage when the HTLC is gone, and tells the payer only then.
	dropsPreimage bool
}

func (stubs) Recover(_ durable.Address, snapshot proto.Message) (*stub, error) {
	if snapshot == nil {
		return &stub{Stub: &Stub{}}, nil
	}
	return &stub{Stub: snapshot.(*Stub)}, nil
}

func (stubs) Apply(s *stub, event proto.Message) {
	switch ev := event.(type) {
	case *Stub:
		s.Stub = ev
	case *Waiting:
		if ev.GetAdd() == nil { // signed, or refused
			s.waiting = nil
			return
		}
		s.waiting = append(s.waiting, ev)
	default:
		panic(fmt.Sprintf("stub: unknown event %T", event))
	}
}

func (stubs) Snapshot(s *stub) proto.Message { return s.Stub }

func (c stubs) Resume(s *stub, _ durable.Env) durable.Outcome {
	var out durable.Outcome
	for _, o := range s.GetOffers() {
		if o.GetPreimage() == nil {
			out.Release = append(out.Release, offer(o, false)...)
		} else {
			out.Next = append(out.Next, revokeNow{o.GetId()})
		}
	}
	return out
}

func (c stubs) Decide(s *stub, m durable.Message, env durable.Env) durable.Outcome {
	next := proto.CloneOf(s.Stub)
	switch body := m.Body.(type) {
	case open:
		if s.GetOpened() {
			return durable.Outcome{}
		}
		next.Opened, next.Balance = true, body.balance
		return durable.Outcome{Events: []proto.Message{next}}
	case *channelpb.AddHTLC:
		return s.add(m, body)
	case signNow:
		return s.sign(next)
	case closing:
		next.Closed = true
		return s.refuseAll(next)
	case verdict:
		return c.judged(s, next, body, env)
	case nudge:
		return s.nudged(body.id)
	case revokeNow:
		return c.revoked(next, body.id)
	case tellNow:
		return durable.Outcome{Send: []durable.Envelope{{To: body.origin, Body: body.end}}}
	case poison:
		panic("stub: poison")
	default:
		return durable.Outcome{} // the monitor or a shard is not there
	}
}

func refused(add *channelpb.AddHTLC, code channelpb.RefusalCode) *channelpb.HTLCRefused {
	return &channelpb.HTLCRefused{Tag: add.GetTag(), Code: code, Reason: code.String()}
}

// add leaves an add in the inbox until a signature carries it.
func (s *stub) add(m durable.Message, add *channelpb.AddHTLC) durable.Outcome {
	code := channelpb.RefusalCode_UNSPECIFIED
	switch {
	case s.GetClosed():
		code = channelpb.RefusalCode_NOT_OPEN
	case add.GetAmountMsat() > s.GetBalance():
		code = channelpb.RefusalCode_INSUFFICIENT_FUNDS
	}
	if code != channelpb.RefusalCode_UNSPECIFIED {
		return durable.Outcome{Send: []durable.Envelope{{To: m.From, Body: refused(add, code)}}}
	}
	raw, err := proto.Marshal(add)
	if err != nil {
		panic(err)
	}
	out := durable.Outcome{Keep: true, Stage: []proto.Message{&Waiting{
		Lsn: uint64(m.ID.LSN), N: m.ID.N, Origin: string(m.From), Add: raw,
	}}}
	if len(s.waiting) == 0 {
		out.Next = []any{signNow{}}
	}
	return out
}

func (w *Waiting) ref() durable.Ref {
	return durable.Ref{LSN: persistence.LSN(w.GetLsn()), N: w.GetN()}
}

func (w *Waiting) read() *channelpb.AddHTLC {
	add := &channelpb.AddHTLC{}
	if err := proto.Unmarshal(w.GetAdd(), add); err != nil {
		panic(err)
	}
	return add
}

// sign takes what waits into the channel, as far as the balance goes.
func (s *stub) sign(next *Stub) durable.Outcome {
	if len(s.waiting) == 0 {
		return durable.Outcome{}
	}
	out := durable.Outcome{Events: []proto.Message{next}, Stage: []proto.Message{&Waiting{}}}
	for _, w := range s.waiting {
		add := w.read()
		out.Also = append(out.Also, w.ref())
		if add.GetAmountMsat() > next.GetBalance() {
			out.Send = append(out.Send, durable.Envelope{
				To: durable.Address(w.GetOrigin()), Body: refused(add, channelpb.RefusalCode_INSUFFICIENT_FUNDS),
			})
			continue
		}
		o := &Offer{
			Id: next.GetNext(), Origin: w.GetOrigin(), Tag: add.GetTag(), Amount: add.GetAmountMsat(),
			Hash: add.GetPaymentHash(), Onion: add.GetOnion(), Expiry: add.GetExpiry(),
		}
		next.Balance -= o.GetAmount()
		next.Next++
		next.Offers = append(next.Offers, o)
		out.Release = append(out.Release, offer(o, false)...)
	}
	return out
}

// offer brings an HTLC to the peer, and sets the time after which it is brought again.
func offer(o *Offer, overdue bool) []durable.Effect {
	return []durable.Effect{
		offered{o, overdue},
		durable.SetTimer{Key: fmt.Sprint(o.GetId()), After: patience, Body: nudge{o.GetId()}},
	}
}

// nudged brings an HTLC to the peer again that is still there.
func (s *stub) nudged(id uint64) durable.Outcome {
	for _, o := range s.GetOffers() {
		if o.GetId() == id && o.GetPreimage() == nil {
			return durable.Outcome{Release: offer(o, true)}
		}
	}
	return durable.Outcome{}
}

// refuseAll closes the channel for what no commitment carries.
func (s *stub) refuseAll(next *Stub) durable.Outcome {
	out := durable.Outcome{Events: []proto.Message{next}, Stage: []proto.Message{&Waiting{}}}
	for _, w := range s.waiting {
		out.Also = append(out.Also, w.ref())
		out.Send = append(out.Send, durable.Envelope{
			To: durable.Address(w.GetOrigin()), Body: refused(w.read(), channelpb.RefusalCode_NOT_OPEN),
		})
	}
	return out
}

// judged takes what the peer says of an HTLC. A preimage goes to the payer and to the monitor in the same commit; a failure
// counts once the HTLC is gone.
func (c stubs) judged(s *stub, next *Stub, v verdict, env durable.Env) durable.Outcome {
	i := slices.IndexFunc(next.GetOffers(), func(o *Offer) bool { return o.GetId() == v.id })
	if i < 0 || next.GetOffers()[i].GetPreimage() != nil {
		return durable.Outcome{}
	}
	o := next.GetOffers()[i]
	if v.preimage != nil {
		o.Preimage = v.preimage
		out := durable.Outcome{Events: []proto.Message{next}, Next: []any{revokeNow{v.id}}}
		if !c.dropsPreimage {
			out.Send = []durable.Envelope{
				{To: durable.Address(o.GetOrigin()), Body: settled(o)},
				{To: channel.MonitorOf(env.Self()), Body: &channelpb.MonitorUpdate{Preimages: []*channelpb.Preimage{
					{By: channelpb.Side_LOCAL, Id: v.id, Preimage: v.preimage},
				}}},
			}
		}
		return out
	}
	next.Offers = slices.Delete(next.GetOffers(), i, i+1)
	next.Balance += o.GetAmount()
	failed := &channelpb.HTLCFailed{Tag: o.GetTag(), Id: o.GetId(), Failure: &channelpb.HTLCFailed_Reason{Reason: v.reason}}
	if v.malformed {
		failed.Failure = &channelpb.HTLCFailed_Malformed{Malformed: &channelpb.Malformed{Code: 0xc005}}
	}
	return durable.Outcome{
		Events: []proto.Message{next}, Send: []durable.Envelope{{To: durable.Address(o.GetOrigin()), Body: failed}},
	}
}

func settled(o *Offer) *channelpb.HTLCSettled {
	return &channelpb.HTLCSettled{Tag: o.GetTag(), Preimage: o.GetPreimage(), Id: o.GetId()}
}

// revoked makes the end of a fulfilled HTLC irrevocable.
func (c stubs) revoked(next *Stub, id uint64) durable.Outcome {
	i := slices.IndexFunc(next.GetOffers(), func(o *Offer) bool { return o.GetId() == id })
	if i < 0 {
		return durable.Outcome{}
	}
	o := next.GetOffers()[i]
	next.Offers = slices.Delete(next.GetOffers(), i, i+1)
	out := durable.Outcome{Events: []proto.Message{next}}
	if c.dropsPreimage {
		out.Next = []any{tellNow{durable.Address(o.GetOrigin()), settled(o)}}
	}
	return out
}

// guards is the core of monitor/<n>: it keeps preimages until they are recorded elsewhere.
type guards struct{}

func (guards) Recover(_ durable.Address, snapshot proto.Message) (*Guard, error) {
	if snapshot == nil {
		return &Guard{}, nil
	}
	return snapshot.(*Guard), nil
}

func (guards) Apply(g *Guard, event proto.Message) {
	proto.Reset(g)
	proto.Merge(g, event)
}

func (guards) Resume(*Guard, durable.Env) durable.Outcome { return durable.Outcome{} }
func (guards) Snapshot(g *Guard) proto.Message            { return proto.CloneOf(g) }

func (guards) Decide(g *Guard, m durable.Message, _ durable.Env) durable.Outcome {
	next := proto.CloneOf(g)
	switch body := m.Body.(type) {
	case *channelpb.MonitorUpdate:
		for _, p := range body.GetPreimages() {
			next.Kept = append(next.Kept, &Kept{Id: p.GetId(), Preimage: p.GetPreimage()})
		}
	case *channelpb.Recorded:
		next.Kept = slices.DeleteFunc(next.GetKept(), func(k *Kept) bool { return k.GetId() == body.GetId() })
	default:
		panic(fmt.Sprintf("guard: unknown message %T", m.Body))
	}
	return durable.Outcome{Events: []proto.Message{next}}
}
