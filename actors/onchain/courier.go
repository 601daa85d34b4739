package onchain

import (
	"errors"
	"time"

	"stormcell/actors/durable"
)

// deliverAgain is how long an actor with a full mailbox is left alone.
const deliverAgain = 100 * time.Millisecond

// parcel is a message for an actor that had no room for it.
type parcel struct {
	session uint64
	body    any
}

// tell hands a message to an owner. A fact of the chain is told once, so it waits here while the owner's mailbox is full.
func (d *Desk) tell(to Owner, body any) {
	if waiting := d.undelivered[to.Address]; len(waiting) > 0 {
		d.undelivered[to.Address] = append(waiting, parcel{to.Session, body})
		return
	}
	if !d.deliver(to, body) {
		d.undelivered[to.Address] = []parcel{{to.Session, body}}
		d.deliverLater(to.Address)
	}
}

func (d *Desk) deliverLater(to durable.Address) {
	d.Runtime.AfterFunc(deliverAgain, func() { d.do(func() { d.empty(to) }) })
}

// empty delivers what waits for an actor, in order.
func (d *Desk) empty(to durable.Address) {
	waiting := d.undelivered[to]
	for len(waiting) > 0 && d.deliver(Owner{to, waiting[0].session}, waiting[0].body) {
		waiting = waiting[1:]
	}
	if len(waiting) == 0 {
		delete(d.undelivered, to)
		return
	}
	d.undelivered[to] = waiting
	d.deliverLater(to)
}

// deliver is false when the actor has no room. An incarnation that has ended needs nothing more: the next asks again.
func (d *Desk) deliver(to Owner, body any) bool {
	err := d.Kernel.Tell(to.Address, to.Session, body)
	switch {
	case err == nil, errors.Is(err, durable.ErrStopping):
	case errors.Is(err, durable.ErrBusy):
		return false
	case errors.Is(err, durable.ErrRestarted):
		d.dropAll(to)
	default:
		d.Log.Warn("an actor was not told what the chain did", "actor", to.Address, "error", err)
	}
	return true
}
