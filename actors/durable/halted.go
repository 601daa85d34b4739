package durable

import (
	"cmp"
	"fmt"
	"slices"

	"stormcell/messages/journal"
)

// Halt describes an actor that takes no messages because it failed too often on one.
type Halt struct {
	Actor Address
	// Message is the inbox entry it failed on; zero when it failed in recovery or on a message of the kernel's.
	Message  Ref
	About    string
	Failures int
	Reason   string
}

// Halted lists the halted actors by address.
func (k *Kernel) Halted() []Halt {
	k.cellsMu.Lock()
	defer k.cellsMu.Unlock()
	var out []Halt
	for addr, c := range k.cells {
		c.mu.Lock()
		if c.phase == halted {
			t := c.troubles
			out = append(out, Halt{Actor: addr, Message: t.on.id, About: t.on.String(), Failures: t.count, Reason: t.reason})
		}
		c.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b Halt) int { return cmp.Compare(a.Actor, b.Actor) })
	return out
}

// Retry lets a halted actor try again. ErrAbsent when it is not halted.
func (k *Kernel) Retry(addr Address) error { return k.unhalt(addr, false) }

// DropMessage removes the message that a halted actor failed on, and lets the actor go on without it. What the message
// promised is lost: this is for an operator who knows. ErrAbsent when the actor is not halted, or not on a message.
func (k *Kernel) DropMessage(addr Address) error { return k.unhalt(addr, true) }

func (k *Kernel) unhalt(addr Address, drop bool) error {
	k.gate.RLock()
	defer k.gate.RUnlock()
	if k.stopping.Load() {
		return ErrStopping
	}
	k.cellsMu.Lock()
	c := k.cells[addr]
	k.cellsMu.Unlock()
	if c == nil {
		return fmt.Errorf("%s is not halted: %w", addr, ErrAbsent)
	}
	on, ok := c.leaveHalt(drop)
	if !ok {
		return fmt.Errorf("%s is not halted, or not on a message: %w", addr, ErrAbsent)
	}
	if !on.id.IsZero() {
		var consume []Ref
		if drop {
			consume = []Ref{on.id}
			c.kind.figures.dropped.Add(1)
		}
		c.amend(consume, func(h *journal.Head) { h.Failure = nil })
	}
	k.log.Warn("halted actor continues", "actor", addr, "dropped", drop)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.troubles = troubles{}
	c.phase = asleep
	c.stir()
	return nil
}

// leaveHalt puts a halted cell where nobody else wakes it, and messages queue up again. It gives what the actor failed on;
// false when it is not halted, or not on a message although that is asked for.
func (c *cell) leaveHalt(onMessage bool) (subject, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != halted || onMessage && c.troubles.on.id.IsZero() {
		return subject{}, false
	}
	c.phase = resting
	c.kind.figures.halted.Add(-1)
	return c.troubles.on, true
}
