package durable

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"stormcell/messages/journal"
	"stormcell/persistence"
)

// maxFailures is how often an actor may fail on one message before it halts.
const maxFailures = 3

// Restarts back off from the second on: firstRest, doubled each time up to maxRest. A quiet spell ends the series.
const (
	firstRest  = 100 * time.Millisecond
	maxRest    = 30 * time.Second
	quietSpell = 2 * time.Minute
)

// crash is why an incarnation failed: the panic, and the message it was about (nil for recovery itself).
type crash struct {
	item   *item
	reason any
	stack  []byte
}

// troubles is a cell's record of failures. It is used by the incarnation while that runs and by the manager when not.
type troubles struct {
	on     subject // what the last failure was about
	count  int     // how often in succession
	reason string
	series int // restarts without a quiet spell
	last   time.Time
}

// subject is what an actor failed on: an inbox entry, or the kind of a message of the kernel's, or "recovery". Messages
// from outside are gone after a failure and count as nothing.
type subject struct {
	id   Ref
	name string
}

func subjectOf(it *item) subject {
	switch {
	case it == nil:
		return subject{name: "recovery"}
	case it.msg.Durable():
		return subject{id: it.msg.ID}
	case it.internal:
		return subject{name: fmt.Sprintf("%T", it.msg.Body)}
	default:
		return subject{}
	}
}

// passed forgets the failures on what has now succeeded.
func (t *troubles) passed(it *item) {
	if t.count > 0 && t.on == subjectOf(it) {
		t.on, t.count = subject{}, 0
	}
}

// failed records a failure and decides what becomes of the actor when its process has ended. It runs in the manager's
// turn, while the mailbox is suspended.
func (c *cell) failed(reason any) {
	cr, ok := reason.(*crash)
	if !ok {
		cr = &crash{reason: reason}
	}
	on, t := subjectOf(cr.item), &c.troubles
	now := c.k.rt.Now()
	if now.Sub(t.last) > quietSpell {
		t.series = 0
	}
	t.series++
	t.last = now
	t.reason = fmt.Sprint(cr.reason)
	if on != (subject{}) {
		if on != t.on {
			t.on, t.count = on, c.storedFailures(on)
		}
		t.count++
	}
	c.k.failures.add(c.addr, now, on.String(), t.reason)
	c.kind.figures.failures.Add(1)
	c.k.log.Error("actor failed", "actor", c.addr, "message", on.String(), "failures", t.count,
		"reason", t.reason, "stack", string(cr.stack))
	next := failing
	hopeless := isCorrupt(cr.reason)
	if on != (subject{}) && t.count >= maxFailures || hopeless {
		next = halting
		if c.kind.SkipPoison && !on.id.IsZero() {
			c.skip(on.id)
			next = failing
		}
	}
	if !on.id.IsZero() && t.count >= 2 && t.on == on {
		c.storeFailure(on.id, uint32(t.count), t.reason)
	}
	c.mu.Lock()
	c.phase = next
	c.mu.Unlock()
}

// storedFailures is how often the journal says that the actor failed on something.
func (c *cell) storedFailures(on subject) int {
	if f := c.head.GetFailure(); f != nil && !on.id.IsZero() && on.id == failureRef(f) {
		return int(f.Count)
	}
	return 0
}

// isCorrupt tells whether trying again cannot help: the disk holds something else than was written.
func isCorrupt(reason any) bool {
	err, ok := reason.(error)
	return ok && errors.Is(err, persistence.ErrCorrupt)
}

func (s subject) String() string {
	if s.id.IsZero() {
		return s.name
	}
	return "inbox " + s.id.String()
}

func failureRef(f *journal.Failure) Ref { return Ref{LSN: persistence.LSN(f.Lsn), N: f.N} }

// storeFailure keeps the count where a restart of the process finds it.
func (c *cell) storeFailure(id Ref, count uint32, reason string) {
	const longest = 1024
	if len(reason) > longest {
		reason = reason[:longest]
	}
	c.amend(nil, func(h *journal.Head) {
		h.Failure = &journal.Failure{Lsn: uint64(id.LSN), N: id.N, Count: count, Reason: reason}
	})
}

// skip consumes a message that the actor cannot get past.
func (c *cell) skip(id Ref) {
	c.k.log.Error("message dropped after repeated failures", "actor", c.addr, "message", id)
	c.kind.figures.dropped.Add(1)
	c.troubles = troubles{series: c.troubles.series, last: c.troubles.last, reason: c.troubles.reason}
	c.amend([]Ref{id}, func(h *journal.Head) { h.Failure = nil })
}

// amend changes the head record of an actor that has no incarnation. An address where nothing is stored has none, unless
// it holds a count of failures.
func (c *cell) amend(consume []Ref, change func(*journal.Head)) {
	h := &journal.Head{}
	if c.head != nil {
		h = proto.CloneOf(c.head)
	}
	change(h)
	commit := &persistence.Commit{Actor: c.addr, Head: h, Before: c.head, Consume: consume}
	if _, err := c.k.submit(c, commit, !h.Done, false); err != nil {
		if !errors.Is(err, persistence.ErrClosed) {
			err = fmt.Errorf("head record of %s: %w", c.addr, err)
		}
		c.k.fail(err)
		return
	}
	c.head = h
}

// rest restarts the actor when its back-off has passed. The caller holds c.mu.
func (c *cell) rest() {
	var pause time.Duration
	if n := c.troubles.series - 2; n >= 0 {
		pause = min(firstRest<<min(n, 20), maxRest)
	}
	c.k.rt.AfterFunc(pause, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.phase == resting {
			c.phase = asleep
			c.stir()
		}
	})
}

// haltAsStored halts an actor that had halted before the process restarted.
func (c *cell) haltAsStored(f *journal.Failure) {
	c.troubles.on, c.troubles.count, c.troubles.reason = subject{id: failureRef(f)}, int(f.Count), f.Reason
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = halting
}

// halt leaves the actor alone, its inbox intact. The caller holds c.mu.
func (c *cell) halt() {
	c.phase = halted
	c.kind.figures.halted.Add(1)
	c.dismiss(fmt.Errorf("%w: %s", ErrHalted, c.troubles.reason))
	c.k.log.Error("actor halted", "actor", c.addr, "message", c.troubles.on.String(), "reason", c.troubles.reason)
}
