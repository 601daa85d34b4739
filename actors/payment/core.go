package payment

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	channelpb "stormcell/messages/channel"
	durablepb "stormcell/messages/durable"
	pb "stormcell/messages/payment"
)

// Core is the logic of payments.
type Core struct{}

var _ durable.Core[*State] = Core{}

// State is a payment. The stored part is replaced as a whole, and so can be shared.
type State struct {
	stored *pb.Payment
	// asked is the round in which routes were asked for, zero when none are awaited.
	asked uint64
	// until is the Unix time in ns until which peers may still be on their way back after a restart.
	until int64
}

// Kind is how the kernel runs payments.
func Kind() durable.Kind {
	return durable.Kind{Name: Name, SnapshotEvery: 1, Creates: func(body any) bool {
		_, begins := body.(Pay)
		return begins
	}}
}

// Recover implements durable.Core.
func (Core) Recover(_ durable.Address, snapshot proto.Message) (*State, error) {
	if snapshot == nil {
		return &State{}, nil
	}
	return &State{stored: snapshot.(*pb.Payment)}, nil
}

// Apply implements durable.Core.
func (Core) Apply(s *State, event proto.Message) {
	switch ev := event.(type) {
	case *pb.Payment:
		s.stored = ev
	case *pb.RoutesAsked:
		s.asked = ev.GetRound()
	case *pb.Resumed:
		s.until = ev.GetUntilNs()
	default:
		panic(fmt.Sprintf("payment: unknown event %T", event))
	}
}

// Snapshot implements durable.Core.
func (Core) Snapshot(s *State) proto.Message {
	if s.stored == nil {
		return &pb.Payment{}
	}
	return s.stored
}

// Resume goes on where the last incarnation stood, behind what is in the inbox and behind what its shards have to say.
func (Core) Resume(s *State, env durable.Env) durable.Outcome {
	t := newTurn(s, durable.Message{}, env)
	if t.ended() {
		return durable.Outcome{} // its shards, if there are any, will tell
	}
	t.setDeadline()
	t.out.Stage = append(t.out.Stage, &pb.Resumed{UntilNs: env.Now().Add(returnPatience).UnixNano()})
	if live := InFlightHTLCs(s.stored); len(live) > 0 {
		t.gather(live)
	} else {
		t.out.Next = []any{goOn{}}
	}
	return t.out
}

// Decide implements durable.Core.
func (Core) Decide(s *State, m durable.Message, env durable.Env) durable.Outcome {
	t := newTurn(s, m, env)
	switch body := m.Body.(type) {
	case Pay:
		return t.pay(body)
	case View:
		return t.view()
	case Abort:
		return t.abort()
	case Delete:
		return t.delete(body)
	case Found:
		return t.found(body)
	case goOn:
		t.proceed()
		return t.done()
	case *pb.ShardEnded:
		return t.shardEnded(body)
	case *durablepb.Absent:
		return durable.Outcome{} // the monitor that we told of a preimage has nothing to forget
	default:
		panic(fmt.Sprintf("payment: unknown message %T", m.Body))
	}
}

// turn is one decision on its way.
type turn struct {
	p       *pb.Payment // a copy, once it has changed
	changed bool
	begun   bool // a try begins
	live    bool // it was in flight before
	asked   uint64
	until   int64
	later   bool // routes are asked for when a timer says so
	m       durable.Message
	env     durable.Env
	out     durable.Outcome
}

func newTurn(s *State, m durable.Message, env durable.Env) *turn {
	return &turn{p: s.stored, live: StatusOf(s.stored) == pb.Status_IN_FLIGHT, asked: s.asked, until: s.until, m: m, env: env}
}

// change gives the payment to be changed.
func (t *turn) change() *pb.Payment {
	if !t.changed {
		next := &pb.Payment{}
		if t.p != nil {
			next = proto.CloneOf(t.p)
		}
		next.Revision++
		t.p, t.changed = next, true
	}
	return t.p
}

// done is the outcome, with the payment as it has become.
func (t *turn) done() durable.Outcome {
	if !t.changed {
		return t.out
	}
	t.out.Events = []proto.Message{t.p}
	t.out.Done = StatusOf(t.p) != pb.Status_IN_FLIGHT
	t.out.Release = append(t.out.Release, Changed{Payment: t.p, Ended: t.out.Done && (t.begun || t.live)})
	if (t.out.Done || t.begun) && !t.p.GetDeleted() {
		t.out.Put = append(t.out.Put, listed(t.env.Self(), t.p))
	}
	return t.out
}

func (t *turn) send(to durable.Address, body proto.Message) {
	t.out.Send = append(t.out.Send, durable.Envelope{To: to, Body: body})
}

func (t *turn) reply(body any) {
	t.out.Release = append(t.out.Release, durable.Reply{To: t.m.Asker, Body: body})
}

func (t *turn) nowNs() int64 { return t.env.Now().UnixNano() }

// pay begins a try.
func (t *turn) pay(want Pay) durable.Outcome {
	if err := t.refuses(want); err != nil {
		return durable.Outcome{Refuse: err}
	}
	number := want.Number
	if t.p != nil && !t.p.GetDeleted() {
		number = t.p.GetNumber()
	}
	now := t.nowNs()
	p := t.change()
	p.Hash, p.Number, p.Request, p.Deleted = want.Hash[:], number, want.Request, false
	p.CreatedNs, p.DeadlineNs = now, now+want.Request.GetTimeoutNs()
	p.First, p.Failure = p.GetLaunched()+1, pb.FailureReason_NONE
	t.setDeadline()
	t.begun = true
	t.out.Put = append(t.out.Put, filed(t.env.Self(), p))
	if t.stage(0); want.Found != nil {
		t.launch(want.Found)
	}
	t.proceed()
	out := t.done()
	out.Release = append(out.Release, durable.Reply{To: t.m.Asker, Body: t.p})
	if len(out.Send) > 0 {
		out.Release = lazily(out.Release)
	}
	return out
}

// lazily lets effects leave with the HTLCs that have been launched: what carries these to the peer needs a sync as well, and
// soon.
func lazily(effects []durable.Effect) []durable.Effect {
	lazy := make([]durable.Effect, len(effects))
	for i, e := range effects {
		lazy[i] = durable.Lazy{Effect: e}
	}
	return lazy
}

// refuses says why a payment cannot begin.
func (t *turn) refuses(want Pay) error {
	switch {
	case len(t.p.GetPreimage()) > 0 && len(InFlightHTLCs(t.p)) == 0:
		return ErrPaid
	case t.p != nil && StatusOf(t.p) == pb.Status_IN_FLIGHT:
		return ErrInFlight
	case len(t.p.GetAttempts()) >= maxHistory || t.p.GetLaunched() > maxLaunched-mostInTry:
		return ErrTooManyAttempts
	case want.Number == 0 || want.Number > maxNumber:
		return fmt.Errorf("%w: number %d", ErrBadRequest, want.Number)
	}
	return check(want.Request)
}

func (t *turn) view() durable.Outcome {
	if t.p.GetDeleted() {
		return durable.Outcome{Refuse: ErrNotFound}
	}
	t.reply(t.p)
	return t.out
}

// abort fails the payment as a whole; live shards go on.
func (t *turn) abort() durable.Outcome {
	if StatusOf(t.p) != pb.Status_IN_FLIGHT {
		return durable.Outcome{Refuse: ErrEnded}
	}
	t.fail(pb.FailureReason_CANCELED)
	t.reply(nil)
	return t.done()
}

// fail fails the payment as a whole. The first reason counts: failing it again changes nothing.
func (t *turn) fail(why pb.FailureReason) {
	if t.p.GetFailure() == pb.FailureReason_NONE {
		t.change().Failure = why
	}
}

// shardEnded records what came of an attempt, whatever the payment's status is: a settle counts even after a failure.
func (t *turn) shardEnded(end *pb.ShardEnded) durable.Outcome {
	a := attempt(t.p, end.GetN())
	switch {
	case len(end.GetPreimage()) > 0:
		t.settled(end, a)
	case a != nil && isLive(a):
		a = attempt(t.change(), end.GetN())
		a.FailedNs, a.Failure = end.GetAtNs(), end.GetFailure()
		if why := verdict(a); why != pb.FailureReason_NONE {
			t.fail(why)
		} else if isFull(a.GetFailure()) {
			t.askLater()
		}
	}
	t.proceed()
	return t.done()
}

// settled records a preimage, and tells the monitor that it is safe here.
func (t *turn) settled(end *pb.ShardEnded, a *pb.Attempt) {
	if hash := sha256.Sum256(end.GetPreimage()); !slices.Equal(hash[:], t.p.GetHash()) {
		panic("payment: a shard settled with something that is not the preimage")
	}
	if len(t.p.GetPreimage()) == 0 {
		t.change().Preimage = end.GetPreimage()
	}
	if a == nil {
		return // its history was deleted
	}
	if a.GetSettledNs() == 0 {
		a = attempt(t.change(), end.GetN())
		a.SettledNs = end.GetAtNs()
	}
	t.send(channel.MonitorOf(durable.Address(a.GetRoute().GetChannel())),
		&channelpb.Recorded{By: channelpb.Side_LOCAL, Id: end.GetHtlc()})
}

func (t *turn) setDeadline() {
	after := time.Duration(max(t.p.GetDeadlineNs()-t.nowNs(), 0))
	t.out.Release = append(t.out.Release, durable.SetTimer{Key: deadlineTimer, After: after, Body: goOn{}})
}
