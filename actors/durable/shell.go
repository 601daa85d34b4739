package durable

import (
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	durablepb "stormcell/messages/durable"
	"stormcell/messages/journal"
	"stormcell/messages/record"
	"stormcell/persistence"
)

// shell is one incarnation of one durable actor: the proto.actor actor around a core.
type shell struct {
	c       *cell
	k       *Kernel
	kind    *kind
	session uint64
	state   any

	head       *journal.Head // as of the newest submitted commit; nil while nothing is stored
	seen       Ref           // newest inbox entry decided on
	kept       []Ref         // inbox entries left for a later commit, in order
	horizon    persistence.LSN
	eventBytes int     // stored since the snapshot
	snapBytes  int     // of the last snapshot
	open       []Asker // who waits, and some who no longer do
	sweepAt    int     // the length of open at which those are removed
}

// recoverNow tells a shell that the log is durable as far as it must be for recovery.
type recoverNow struct{}

// Receive implements actor.Actor.
func (a *shell) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		a.begin()
	case recoverNow:
		a.recover(ctx)
	case *item:
		a.handle(ctx, m)
	case *actor.Stopped:
		a.end()
	}
}

// begin waits for the barrier: inside a living process, what earlier incarnations submitted may not be readable yet.
func (a *shell) begin() {
	session, need := a.c.begin()
	a.session = session
	box := a.c.box
	a.k.out.add(need, parcel{then: func() { box.tell(recoverNow{}) }})
}

// end answers those that nobody will answer any more. What has been decided leaves first.
func (a *shell) end() {
	for _, asker := range a.open {
		a.k.out.add(a.horizon, parcel{c: a.c, effect: refusal{asker, fmt.Errorf("%s: %w", a.c.addr, ErrRestarted)}})
	}
	a.c.end()
}

// recover loads the actor and lets its messages through.
func (a *shell) recover(ctx actor.Context) {
	st, err := a.k.journal.Read(a.c.addr)
	if err != nil {
		panic(err)
	}
	a.head, a.c.head, a.horizon = st.Head, st.Head, st.AsOf
	if f := st.Head.GetFailure(); f.GetCount() >= maxFailures && !a.kind.SkipPoison {
		a.c.haltAsStored(f)
		ctx.Stop(ctx.Self())
		return
	}
	if a.state, err = a.kind.rebuild(a.c.addr, st); err != nil {
		panic(err)
	}
	for _, r := range st.Events {
		a.eventBytes += len(r.Body)
	}
	if st.Snapshot != nil {
		a.snapBytes = len(st.Snapshot.Body)
	}
	inbox := make([]*item, len(st.Inbox))
	for i, l := range st.Inbox {
		inbox[i] = &item{msg: Message{ID: l.ID, From: l.From}, rec: l.Body}
	}
	if a.exists() {
		a.resume()
	}
	a.c.troubles.passed(nil)
	a.c.open(inbox, st.AsOf)
	a.leaveIfIdle(ctx)
}

func (a *shell) resume() {
	out := a.kind.core.resume(a.state, a)
	if len(out.Events)+len(out.Put)+len(out.Send)+len(out.Also) > 0 || out.Keep || out.Done || out.Refuse != nil {
		panic(breach("%s: Resume may only stage and release", a.c.addr))
	}
	a.checkEffects(out)
	a.apply(out.Stage)
	a.act(Message{}, out)
}

// handle takes one message from the queue.
func (a *shell) handle(ctx actor.Context, it *item) {
	m := it.msg
	if m.Asker.Waits() {
		a.remember(m.Asker)
	}
	if m.Durable() {
		body, err := record.Decode(it.rec)
		if err != nil {
			panic(fmt.Errorf("inbox entry %s of %s: %w", m.ID, a.c.addr, err))
		}
		m.Body = body
	}
	a.horizon = max(a.horizon, it.depends)
	a.kind.figures.steps.Add(1)
	if a.exists() || it.internal || a.kind.Creates == nil || a.kind.Creates(m.Body) {
		a.step(m)
	} else {
		a.absent(it, m)
	}
	a.c.troubles.passed(it)
	if p := a.k.probe; p != nil {
		p.Stepped(a.c.addr, m, func() proto.Message { return a.kind.core.snapshot(a.state) })
	}
	a.leaveIfIdle(ctx)
}

// exists tells whether anything is stored. A head may also hold nothing but a count of failures.
func (a *shell) exists() bool { return a.head.GetLastEvent() > 0 || a.head.GetHasSnapshot() }

// absent answers a message that found nobody. It stores nothing here.
func (a *shell) absent(it *item, m Message) {
	if !m.Durable() {
		m.Asker.settle(nil, fmt.Errorf("%s: %w", a.c.addr, ErrAbsent))
		return
	}
	var out Outcome
	if _, answer := m.Body.(*durablepb.Absent); !answer && m.From != "" {
		out.Send = []Envelope{{To: m.From, Body: &durablepb.Absent{
			Address: string(a.c.addr), Kind: it.rec.Kind, Version: it.rec.Version, Body: it.rec.Body,
		}}}
	}
	a.seen = m.ID
	a.commit(m, out)
}

// step decides, applies, submits, and lets the rest go.
func (a *shell) step(m Message) {
	out := a.kind.core.decide(a.state, m, a)
	a.check(m, out)
	a.trace(m, out)
	if m.Durable() {
		a.seen = m.ID
		a.horizon = max(a.horizon, m.ID.LSN)
	}
	switch {
	case out.Keep:
		a.apply(out.Stage)
		a.setKept(append(a.kept, m.ID))
	case m.Durable() || len(out.Events)+len(out.Put)+len(out.Send)+len(out.Also) > 0 || out.Done && !a.head.GetDone():
		if !a.commit(m, out) {
			return
		}
	default:
		a.apply(out.Stage)
	}
	a.act(m, out)
	if len(out.Send) > 0 && a.c.isAlmostIdle() {
		a.k.rt.Yield()
	}
}

func (a *shell) setKept(kept []Ref) {
	if len(kept) != len(a.kept) {
		a.c.countKept(len(kept))
	}
	a.kept = kept
}

// apply folds events into the state.
func (a *shell) apply(events []proto.Message) {
	for _, ev := range events {
		a.kind.core.apply(a.state, ev)
	}
}

// check refuses an outcome that breaks the contract.
func (a *shell) check(m Message, out Outcome) {
	if out.Keep {
		if !m.Durable() {
			panic(breach("%s keeps a volatile %T", a.c.addr, m.Body))
		}
		if len(out.Events)+len(out.Put)+len(out.Send)+len(out.Also) > 0 || out.Done {
			panic(breach("%s keeps a %T and changes something with it", a.c.addr, m.Body))
		}
	}
	if out.Refuse != nil && m.Durable() {
		panic(breach("%s refuses a durable %T: answer with Send", a.c.addr, m.Body))
	}
	for i, ref := range out.Also {
		if !slices.Contains(a.kept, ref) || slices.Contains(out.Also[:i], ref) {
			panic(breach("%s consumes %s, which it does not keep", a.c.addr, ref))
		}
	}
	for _, e := range out.Send {
		if e.Body == nil {
			panic(breach("%s sends %s a message without a body", a.c.addr, e.To))
		}
		if _, err := a.k.kindOf(e.To); err != nil {
			panic(breach("%s sends %T: %v", a.c.addr, e.Body, err))
		}
	}
	a.checkEffects(out)
}

func (a *shell) checkEffects(out Outcome) {
	for _, e := range out.Release {
		if lazy, ok := e.(Lazy); e == nil || ok && lazy.Effect == nil {
			panic(breach("%s releases a nil effect", a.c.addr))
		}
	}
}

// act does what is not part of the commit. It cannot fail: what it follows is in the log.
func (a *shell) act(m Message, out Outcome) {
	for _, body := range out.Next {
		a.c.post(&item{msg: Message{Body: body}, session: a.session, internal: true})
	}
	if out.Refuse != nil {
		a.release(a.refusal(m, out.Refuse))
	}
	for _, e := range out.Release {
		a.release(e)
	}
}

func (a *shell) refusal(m Message, err error) Effect {
	if m.Asker.Waits() {
		return refusal{m.Asker, err}
	}
	return Refused{Body: m.Body, Err: err}
}

func (a *shell) release(e Effect) {
	p := parcel{c: a.c, session: a.session, effect: e}
	if lazy, ok := e.(Lazy); ok {
		p.effect, p.lazy = lazy.Effect, true
	}
	a.k.out.add(a.horizon, p)
}

// remember notes who waits, so that somebody answers if this incarnation ends before it does.
func (a *shell) remember(asker Asker) {
	if len(a.open) >= a.sweepAt {
		a.open = slices.DeleteFunc(a.open, func(o Asker) bool { return o.q.done.Load() })
		a.sweepAt = max(32, 2*len(a.open))
	}
	a.open = append(a.open, asker)
}

// leaveIfIdle passivates an actor that is done, or was never there, when nothing waits for it.
func (a *shell) leaveIfIdle(ctx actor.Context) {
	if a.exists() && !a.head.GetDone() || len(a.kept) > 0 || !a.c.idle() {
		return
	}
	a.k.leaveLive(a.c)
	if a.c.tryLeave() {
		ctx.Stop(ctx.Self())
	}
}

// Self implements Env.
func (a *shell) Self() Address { return a.c.addr }

// Session implements Env.
func (a *shell) Session() uint64 { return a.session }

// Now implements Env.
func (a *shell) Now() time.Time { return a.k.rt.Now() }

// Random implements Env.
func (a *shell) Random(p []byte) { a.k.rt.Random(p) }

// Parallel implements Env.
func (a *shell) Parallel(n int, f func(i int)) { a.k.rt.Parallel(n, f) }
