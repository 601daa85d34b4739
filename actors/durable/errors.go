package durable

import (
	"errors"
	"fmt"
)

// Errors of the kernel's doors. They arrive wrapped with the actor they are about.
var (
	// ErrAbsent: nothing is stored at the address, and the message does not create anything.
	ErrAbsent = errors.New("no such actor")
	// ErrBusy: the actor's mailbox is full of messages from outside. Try again later.
	ErrBusy = errors.New("actor is busy")
	// ErrOverloaded: so much promised work waits in the actor's inbox that new work is refused. Try again later.
	ErrOverloaded = errors.New("actor is overloaded")
	// ErrHalted: the actor failed repeatedly and takes no messages until an operator decides.
	ErrHalted = errors.New("actor is halted")
	// ErrRestarted: the actor restarted before it answered. Whether the request took effect is not known: ask.
	ErrRestarted = errors.New("actor restarted before it answered")
	// ErrStopping: the kernel is stopping, or has stopped because the journal failed.
	ErrStopping = errors.New("stopping")
	// ErrUnknownKind: no core is registered for the address.
	ErrUnknownKind = errors.New("unknown kind of actor")
	// ErrBreach: a core broke the contract of Outcome. It is a bug in the core.
	ErrBreach = errors.New("actor broke the kernel's contract")
)

// breach is what the kernel panics with inside an actor's turn, so that supervision deals with it as with any other bug.
func breach(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBreach, fmt.Sprintf(format, args...))
}
