package durable

import (
	"log/slog"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox is the proto.actor mailbox of one incarnation: system messages of its own, and the cell's queue, which stays
// when the incarnation ends. (With proto.actor's own mailboxes, what waits in a stopped actor's mailbox is lost.)
type mailbox struct {
	c *cell

	invoker    actor.MessageInvoker
	dispatcher actor.Dispatcher

	// Guarded by c.mu.
	system    queue[any]
	own       queue[any] // the kernel's messages to the shell, which go before the cell's queue
	running   bool
	suspended bool
	parked    bool // held back until the disk has caught up
}

var _ actor.Mailbox = (*mailbox)(nil)

// RegisterHandlers implements actor.Mailbox.
func (m *mailbox) RegisterHandlers(i actor.MessageInvoker, d actor.Dispatcher) {
	m.invoker, m.dispatcher = i, d
}

// Start implements actor.Mailbox.
func (m *mailbox) Start() {}

// UserMessageCount implements actor.Mailbox.
func (m *mailbox) UserMessageCount() int {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	return m.c.queue.len()
}

// PostUserMessage implements actor.Mailbox. Durable actors are reached through the kernel, never by PID.
func (m *mailbox) PostUserMessage(x any) {
	m.c.k.log.Error("message sent to the PID of a durable actor is dropped", "actor", m.c.addr, slog.Any("message", x))
}

// PostSystemMessage implements actor.Mailbox.
func (m *mailbox) PostSystemMessage(x any) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.system.push(x)
	m.schedule()
}

// tell hands the shell a message of the kernel's.
func (m *mailbox) tell(x any) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.own.push(x)
	m.schedule()
}

// schedule asks for a turn if there is something to do and none is under way. The caller holds c.mu.
func (m *mailbox) schedule() {
	if m.running || !m.wantsTurn() {
		return
	}
	m.running = true
	m.dispatcher.Schedule(m.turn)
}

func (m *mailbox) wantsTurn() bool {
	if m.system.len() > 0 {
		return true
	}
	return !m.suspended && (m.own.len() > 0 || m.served())
}

// served tells whether the cell has a message for this incarnation.
func (m *mailbox) served() bool {
	return m.c.box == m && m.c.phase == ready && !m.parked && m.c.queue.len() > 0
}

// turn handles some messages. It holds the kernel's gate: a stop waits for the step that runs, and none begins after.
func (m *mailbox) turn() {
	m.c.k.gate.RLock()
	defer m.c.k.gate.RUnlock()
	for range max(m.dispatcher.Throughput(), 1) {
		x, ok, system := m.take()
		if !ok {
			return
		}
		m.invoke(x, system)
	}
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.running = false
	m.schedule()
}

// take is the next message of the turn. When there is none the turn is over.
func (m *mailbox) take() (x any, ok, system bool) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	for {
		x, ok := m.system.pop()
		if !ok {
			break
		}
		switch x.(type) {
		case *actor.SuspendMailbox:
			m.suspended = true
		case *actor.ResumeMailbox:
			m.suspended = false
		default:
			return x, true, true
		}
	}
	if !m.suspended && !m.c.k.stopping.Load() {
		if x, ok := m.own.pop(); ok {
			return x, true, false
		}
		if m.served() && !m.c.k.backlog.park(m) {
			if it, ok := m.c.next(); ok {
				return it, true, false
			}
		}
	}
	m.running = false
	return nil, false, false
}

// invoke runs one message. A panic goes to supervision, with what the actor was doing.
func (m *mailbox) invoke(x any, system bool) {
	defer func() {
		if r := recover(); r != nil {
			it, _ := x.(*item)
			m.invoker.EscalateFailure(&crash{item: it, reason: r, stack: debug.Stack()}, x)
		}
	}()
	if system {
		m.invoker.InvokeSystemMessage(x)
	} else {
		m.invoker.InvokeUserMessage(x)
	}
}
