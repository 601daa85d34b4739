package durable

import (
	"time"

	"stormcell/persistence"
)

// Effect is something that leaves an actor once all it depends on is durable. The kernel carries out Reply, SetTimer,
// StopTimer and Load itself; every other effect goes to the World.
type Effect any

// Lazy is an effect that is of no use before another one, which its actor releases soon: it asks for no sync of its own, and
// leaves with what does. Alone it waits some milliseconds.
type Lazy struct {
	Effect Effect
}

// World carries out effects. Calls for one actor come in the order of its steps; they must not block for long.
type World interface {
	// Release carries out one effect of an actor's incarnation.
	Release(from Address, session uint64, e Effect)
	// Ended says that an incarnation is gone, and with it all volatile messages on their way to it: connections that feed
	// it must be closed, so that the other side sends again. Effects of its last steps may still follow.
	Ended(addr Address, session uint64)
}

// Reply answers a question.
type Reply struct {
	To   Asker
	Body any
}

// Refused goes to the World when a volatile message that nobody waits for was refused: a wire message, as a rule.
type Refused struct {
	Body any
	Err  error
}

// SetTimer sends Body to the actor, volatile, when After has passed. It replaces a running timer with the same key. Timers
// die with the incarnation: Resume sets them again.
type SetTimer struct {
	Key   string
	After time.Duration
	Body  any
}

// StopTimer ends a timer; one that has fired already may still have its message in the mailbox.
type StopTimer struct {
	Key string
}

// Page says which columns to read.
type Page = persistence.Page

// Load reads a page of columns and sends it to the actor as Loaded.
type Load struct {
	Tag  any
	Page Page
}

// Loaded answers Load. Err is set when the columns could not be read; Columns is then empty.
type Loaded struct {
	Tag     any
	Columns []Column
	Err     error
}

// Asker is someone outside who waits for an answer. Its zero value is nobody.
type Asker struct {
	q *question
}

// Waits tells whether there is somebody to answer.
func (a Asker) Waits() bool { return a.q != nil }

// settle answers the question once; later answers find nobody.
func (a Asker) settle(body any, err error) {
	if a.q != nil && a.q.done.CompareAndSwap(false, true) {
		a.q.answer(body, err)
	}
}

// ended tells the world of the end of an incarnation.
type ended struct{}

// refusal is a Reply with an error.
type refusal struct {
	to  Asker
	err error
}
