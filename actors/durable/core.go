// Package durable is the kernel: it runs pure cores as durable, supervised actors on proto.actor.
//
// Every step of an actor is one commit of one log: the events that change it, the messages that those events cause, and
// the removal of the message that caused them, together or not at all. A message is handed on at once, in log order;
// what leaves the process waits until every commit it depends on is durable. docs/architecture.md shows how to write an
// actor.
package durable

import (
	"time"

	"google.golang.org/protobuf/proto"

	"stormcell/persistence"
)

// Address names a durable actor: "kind/id".
type Address = persistence.Address

// Ref names a durable message: its place in the inbox of its receiver.
type Ref = persistence.InboxID

// Core is the logic of one kind of durable actor: plain Go without goroutines, clocks or I/O. One value serves all actors
// of its kind, so it holds no state of its own. S is a pointer to an actor's state; nobody else holds it.
type Core[S any] interface {
	// Recover builds the state from the last snapshot; nil when nothing is stored at this address.
	Recover(addr Address, snapshot proto.Message) (S, error)
	// Apply folds one event into the state, live and in replay alike, before the commit is submitted. It cannot refuse: a
	// panic here discards the state and stores nothing.
	Apply(s S, event proto.Message)
	// Decide answers one message with what is to happen. It changes nothing.
	Decide(s S, m Message, env Env) Outcome
	// Resume lists what a freshly recovered actor must do again: timers, watches, rebroadcasts. Only Stage, Release and
	// Next may be set. It runs after the events and before the messages that are still in the inbox.
	Resume(s S, env Env) Outcome
	// Snapshot is the state as stored, without what is only staged.
	Snapshot(s S) proto.Message
}

// Message is what an actor is asked to decide on.
type Message struct {
	// ID is the message's place in the inbox; zero for a volatile message, which a crash forgets.
	ID Ref
	// From is the durable actor that sent it; empty for everyone else.
	From Address
	// Body is a proto.Message when the message is durable, and whatever the sender chose when it is volatile.
	Body any
	// Asker waits for a Reply or a refusal; its zero value says that nobody does.
	Asker Asker
}

// Durable tells whether the message is in the inbox, and so comes again after a crash until a commit consumes it.
func (m Message) Durable() bool { return !m.ID.IsZero() }

// Outcome is one step; everything but Stage, Release and Next is one commit. The zero value consumes the message and does
// nothing else.
type Outcome struct {
	Events  []proto.Message // appended to the actor's own log, and applied
	Put     []Column        // side columns, written once, not part of the snapshot
	Send    []Envelope      // durable messages: into other actors' inboxes (or its own)
	Keep    bool            // leave this message in the inbox for a later commit; forbids Events, Put, Send, Also and Done
	Also    []Ref           // earlier kept messages that this commit consumes
	Stage   []proto.Message // applied, not stored: gone after a restart, rebuilt for kept messages only
	Next    []any           // volatile messages to itself, behind all that already waits in its mailbox
	Release []Effect        // leave the actor, in order, once all they depend on is durable
	Done    bool            // leave the live set: passivate, do not wake at start
	Refuse  error           // a typed answer to whoever asked; a panic is a bug
}

// Envelope is a durable message to be sent.
type Envelope struct {
	To   Address
	Body proto.Message
}

// Column is a record beside the state, under a key of the core's choosing. A nil Value deletes it.
type Column struct {
	Key   string
	Value proto.Message
	// Numbered completes the key with the LSN of the commit (persistence.NumberOf). What many actors do comes into one order
	// that way, without an actor that counts.
	Numbered bool
}

// Env is what a core may know of the world while it decides.
type Env interface {
	// Self is the actor's address.
	Self() Address
	// Session numbers the incarnations of actors. Volatile messages that name an older session of theirs never arrive.
	Session() uint64
	// Now is the time on the runtime's clock.
	Now() time.Time
	// Random fills p: unpredictable in the node, seeded in simulation.
	Random(p []byte)
	// Parallel calls f(0) to f(n-1), on several cores where there are some, and returns when all have returned. It is for
	// heavy pure work: f(i) may write to the i-th element of a slice and to nothing else.
	Parallel(n int, f func(i int))
}
