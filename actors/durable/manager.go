package durable

import (
	"strings"

	"github.com/asynkron/protoactor-go/actor"
)

// manager is the proto.actor parent of all actors of one kind: it spawns them on demand and supervises them. It has no
// state, so nothing in it can fail: a parent that restarts stops its children.
type manager struct {
	k    *Kernel
	kind *kind
}

// spawn asks the manager for an incarnation.
type spawn struct{ c *cell }

// Receive implements actor.Actor.
func (m *manager) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *spawn:
		m.spawn(ctx, msg.c)
	case *actor.Terminated:
		m.k.cellOfChild(ctx.Self(), msg.Who).terminated()
	case *actor.Stopped:
		m.k.managers.Done()
	}
}

func (m *manager) spawn(ctx actor.Context, c *cell) {
	if m.k.stopping.Load() {
		return
	}
	box := &mailbox{c: c}
	props := actor.PropsFromProducer(
		func() actor.Actor { return &shell{c: c, k: m.k, kind: m.kind} },
		actor.WithMailbox(func() actor.Mailbox { return box }),
		actor.WithDispatcher(m.k.rt),
	)
	c.mu.Lock()
	c.box = box
	c.mu.Unlock()
	if _, err := ctx.SpawnNamed(props, string(c.addr)); err != nil {
		// The name is free: a cell is spawned again only when its process has terminated.
		m.k.log.Error("cannot spawn actor", "actor", c.addr, "error", err)
	}
}

// HandleFailure implements actor.SupervisorStrategy: what failed is stopped, and spawned again by its cell.
func (m *manager) HandleFailure(_ *actor.ActorSystem, s actor.Supervisor, child *actor.PID,
	_ *actor.RestartStatistics, reason, _ any) {
	m.k.cellOfChild(m.kind.manager, child).failed(reason)
	s.StopChildren(child)
}

// cellOfChild finds the cell of a spawned actor by its process id: the manager's id, a slash, and the address.
func (k *Kernel) cellOfChild(manager, child *actor.PID) *cell {
	addr := Address(strings.TrimPrefix(child.Id, manager.Id+"/"))
	k.cellsMu.Lock()
	defer k.cellsMu.Unlock()
	return k.cells[addr]
}
