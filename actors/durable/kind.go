package durable

import (
	"fmt"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"stormcell/messages/record"
	"stormcell/persistence"
)

// Kind describes one kind of actor to the kernel. Its zero values are the defaults.
type Kind struct {
	// Name is the part of the address before the slash.
	Name string
	// SnapshotEvery is how many events may follow a snapshot before the next is taken; the next one also waits until the
	// events have as many bytes as the snapshot, so that writing snapshots costs at most as much as writing events.
	// 1 is for actors of few steps: they store their state each step, and no events. 0 means 64.
	SnapshotEvery int
	// Creates tells whether a message may create an actor where nothing is stored; nil means that each does.
	Creates func(body any) bool
	// Mailbox bounds the messages from outside that wait; 0 means 1,024.
	Mailbox int
	// Watermark is how many durable messages may wait before new work from outside is refused; 0 means 10,000.
	Watermark int
	// SkipPoison drops a message that failed three times instead of halting the actor.
	SkipPoison bool
}

// Defaults and bounds of Kind.
const (
	defaultSnapshotEvery = 64
	maxEventsToReplay    = 4096
	defaultMailbox       = 1024
	defaultWatermark     = 10_000
)

// kind is a registered Kind: its core with the type of its state erased, its manager, and its figures.
type kind struct {
	Kind
	core    anyCore
	manager *actor.PID
	figures figures
}

// figures are one kind's metrics.
type figures struct {
	steps, commits, events, failures, refused, dropped atomic.Uint64
	awake, halted, mailbox, inbox, kept                atomic.Int64
}

// anyCore is a Core without its type parameter.
type anyCore interface {
	recover(Address, proto.Message) (any, error)
	apply(any, proto.Message)
	decide(any, Message, Env) Outcome
	resume(any, Env) Outcome
	snapshot(any) proto.Message
}

type erased[S any] struct{ core Core[S] }

func (e erased[S]) recover(a Address, m proto.Message) (any, error) { return e.core.Recover(a, m) }
func (e erased[S]) apply(s any, ev proto.Message)                   { e.core.Apply(s.(S), ev) }
func (e erased[S]) decide(s any, m Message, env Env) Outcome        { return e.core.Decide(s.(S), m, env) }
func (e erased[S]) resume(s any, env Env) Outcome                   { return e.core.Resume(s.(S), env) }
func (e erased[S]) snapshot(s any) proto.Message                    { return e.core.Snapshot(s.(S)) }

// Register adds a kind of actor. It is called before Start.
func Register[S any](k *Kernel, d Kind, core Core[S]) error {
	if err := Address(d.Name + "/id").Validate(); err != nil {
		return fmt.Errorf("register kind: %w", err)
	}
	if _, taken := k.kinds[d.Name]; taken {
		return fmt.Errorf("register kind %q: it is registered already", d.Name)
	}
	if d.SnapshotEvery == 0 {
		d.SnapshotEvery = defaultSnapshotEvery
	}
	if d.Mailbox == 0 {
		d.Mailbox = defaultMailbox
	}
	if d.Watermark == 0 {
		d.Watermark = defaultWatermark
	}
	k.kinds[d.Name] = &kind{Kind: d, core: erased[S]{core}}
	return nil
}

// storesState tells whether the kind writes its state each step instead of events.
func (kd *kind) storesState() bool { return kd.SnapshotEvery == 1 }

// rebuild is the state that a recovered actor starts from: snapshot and events, before Resume and inbox.
func (kd *kind) rebuild(addr Address, st *persistence.Stored) (any, error) {
	var snap proto.Message
	if st.Snapshot != nil {
		var err error
		if snap, err = record.Decode(*st.Snapshot); err != nil {
			return nil, fmt.Errorf("recover %s: snapshot: %w", addr, err)
		}
	}
	state, err := kd.core.recover(addr, snap)
	if err != nil {
		return nil, fmt.Errorf("recover %s: %w", addr, err)
	}
	for i, r := range st.Events {
		ev, err := record.Decode(r)
		if err != nil {
			return nil, fmt.Errorf("recover %s: event %d: %w", addr, st.Head.GetSnapshotEvent()+uint64(i)+1, err)
		}
		kd.core.apply(state, ev)
	}
	return state, nil
}

// Rebuild gives the snapshot of the actor that stored describes, as a restart would build it. It changes nothing.
func (k *Kernel) Rebuild(addr Address, stored *persistence.Stored) (proto.Message, error) {
	kd, err := k.kindOf(addr)
	if err != nil {
		return nil, err
	}
	state, err := kd.rebuild(addr, stored)
	if err != nil {
		return nil, err
	}
	return kd.core.snapshot(state), nil
}

func (k *Kernel) kindOf(addr Address) (*kind, error) {
	if err := addr.Validate(); err != nil {
		return nil, err
	}
	kd := k.kinds[addr.Kind()]
	if kd == nil {
		return nil, fmt.Errorf("%w: %s", ErrUnknownKind, addr)
	}
	return kd, nil
}
