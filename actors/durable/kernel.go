package durable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"stormcell/persistence"
)

// Options of a kernel. Journal and World must be set.
type Options struct {
	Journal persistence.Journal
	World   World
	// Runtime is Wall{} when nil.
	Runtime Runtime
	// System is the actor system to live in; nil makes one.
	System *actor.ActorSystem
	// Log is slog.Default() when nil.
	Log *slog.Logger
	// Probe, when set, sees every step.
	Probe Probe
	// Failed is called once, in a goroutine of its own, when the journal has failed and nothing can go on.
	Failed func(error)
}

// Probe sees each step of each actor, in the actor's turn. The simulation checks its rules there.
type Probe interface {
	// Stepped follows a step that was submitted. snapshot gives the actor's state as it would be stored now.
	Stepped(addr Address, m Message, snapshot func() proto.Message)
}

// Kernel runs durable actors. Its methods are safe for concurrent use once it has started.
type Kernel struct {
	journal persistence.Journal
	world   World
	rt      Runtime
	sys     *actor.ActorSystem
	log     *slog.Logger
	probe   Probe
	onFail  func(error)

	kinds    map[string]*kind
	managers sync.WaitGroup
	sessions atomic.Uint64

	// gate is held for reading during each turn; Stop takes it for writing once.
	gate     sync.RWMutex
	stopping atomic.Bool
	dead     chan struct{} // closed when the journal has failed
	deadOnce sync.Once
	err      error

	// seq puts all submits, and the delivery of what they send, into one order. It guards live.
	seq  sync.Mutex
	live map[Address]bool

	cellsMu sync.Mutex
	cells   map[Address]*cell
	gone    departed // guarded by cellsMu too

	out      outbox
	backlog  backlog
	failures failures
}

// kernels numbers the kernels of a process, so that many can live in one actor system.
var kernels atomic.Uint64

// New prepares a kernel. Register its kinds, then Start it.
func New(o Options) *Kernel {
	if o.Runtime == nil {
		o.Runtime = Wall{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.System == nil {
		o.System = NewSystem(o.Log)
	}
	k := &Kernel{
		journal: o.Journal, world: o.World, rt: o.Runtime, sys: o.System, log: o.Log, probe: o.Probe, onFail: o.Failed,
		kinds: map[string]*kind{}, live: map[Address]bool{}, cells: map[Address]*cell{}, dead: make(chan struct{}),
		gone: departed{at: map[Address]persistence.LSN{}},
	}
	k.out = outbox{k: k, waiting: map[persistence.LSN][]parcel{}, durable: o.Journal.Durable()}
	k.backlog.last, k.backlog.durable = o.Journal.Last(), o.Journal.Durable()
	return k
}

// NewSystem makes an actor system that logs to log and measures nothing by itself.
func NewSystem(log *slog.Logger) *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(quiet{log.Handler()})
	}))
}

// Start wakes every actor in the live set. Others wake when a message comes for them.
func (k *Kernel) Start() error {
	k.journal.Start((*listener)(k))
	id := kernels.Add(1)
	for _, name := range slices.Sorted(maps.Keys(k.kinds)) {
		kd := k.kinds[name]
		m := &manager{k: k, kind: kd}
		props := actor.PropsFromProducer(func() actor.Actor { return m }, actor.WithDispatcher(k.rt))
		pid, err := k.sys.Root.SpawnNamed(props, fmt.Sprintf("kernel%d/%s", id, name))
		if err != nil {
			return fmt.Errorf("start manager of %q: %w", name, err)
		}
		k.managers.Add(1)
		kd.manager = pid
	}
	var live []Address
	err := k.journal.Live(func(a Address) bool {
		live = append(live, a)
		return true
	})
	if err != nil {
		return fmt.Errorf("read the live set: %w", err)
	}
	for _, a := range live {
		if _, err := k.kindOf(a); err != nil {
			return fmt.Errorf("live set: %w", err)
		}
		k.live[a] = true
	}
	for _, a := range live {
		if err := k.Wake(a); err != nil {
			return fmt.Errorf("live set: %w", err)
		}
	}
	return nil
}

// Wake makes sure that an actor runs.
func (k *Kernel) Wake(addr Address) error {
	return k.cellOf(addr, func(c *cell) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.stir()
	})
}

// Stop ends the kernel: every actor finishes the step it is in, the log becomes durable, effects leave, and the processes
// end. What waits in inboxes is found there by the next start; questions that wait are refused. The journal stays open.
// When ctx ends first, or the journal has failed, the processes end all the same and the error says so.
func (k *Kernel) Stop(ctx context.Context) error {
	if k.stopping.Swap(true) && k.failure() == nil {
		return ErrStopping
	}
	err := within(ctx, k.lastTurns)
	if err != nil {
		err = fmt.Errorf("stop: a step does not end: %w", err)
	} else {
		err = k.drained(ctx)
	}
	for _, kd := range k.kinds {
		if kd.manager != nil {
			k.sys.Root.Stop(kd.manager)
		}
	}
	if e := within(ctx, k.managers.Wait); e != nil {
		return errors.Join(err, fmt.Errorf("stop: actors have not ended: %w", e))
	}
	k.dismiss()
	if err == nil {
		err = k.drained(ctx) // what the ends of actors left behind
	}
	return err
}

// lastTurns returns when the turns that were running have ended.
func (k *Kernel) lastTurns() {
	k.gate.Lock()
	defer k.gate.Unlock()
}

// drained waits until all that was submitted is durable, and what waited for that has left.
func (k *Kernel) drained(ctx context.Context) error {
	gone := make(chan struct{})
	k.out.add(k.journal.Last(), parcel{then: func() { close(gone) }})
	select {
	case <-gone:
		return nil
	case <-k.dead:
		return k.failure()
	case <-ctx.Done():
		return fmt.Errorf("stop: effects have not left: %w", ctx.Err())
	}
}

// dismiss refuses the questions that wait when no actor is left to answer them.
func (k *Kernel) dismiss() {
	k.cellsMu.Lock()
	defer k.cellsMu.Unlock()
	for _, c := range k.cells {
		c.mu.Lock()
		c.dismiss(ErrStopping)
		c.mu.Unlock()
	}
}

// within returns when f has, or with the error of ctx.
func within(ctx context.Context, f func()) error {
	done := make(chan struct{})
	go func() {
		f()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Abandon takes the kernel's processes out of the actor system without another turn: what a crash of the process does. Only
// a simulation, which runs many kernels in one system, has a use for it.
func (k *Kernel) Abandon() {
	k.stopping.Store(true)
	k.cellsMu.Lock()
	defer k.cellsMu.Unlock()
	for addr, c := range k.cells {
		k.sys.ProcessRegistry.Remove(k.sys.NewLocalPID(c.kind.manager.Id + "/" + string(addr)))
	}
	for _, kd := range k.kinds {
		k.sys.ProcessRegistry.Remove(kd.manager)
	}
}

// closed is why nothing is accepted any more, nil while the kernel runs.
func (k *Kernel) closed() error {
	if err := k.failure(); err != nil {
		return err
	}
	if k.stopping.Load() {
		return ErrStopping
	}
	return nil
}

// Dead is closed when the journal has failed; Err then says why.
func (k *Kernel) Dead() <-chan struct{} { return k.dead }

// Err is why the kernel is dead, nil while it is not.
func (k *Kernel) Err() error { return k.failure() }

func (k *Kernel) failure() error {
	select {
	case <-k.dead:
		return k.err
	default:
		return nil
	}
}

// fail ends everything because the log cannot go on: no step begins, and nothing leaves that is not durable.
func (k *Kernel) fail(err error) {
	k.deadOnce.Do(func() {
		k.err = fmt.Errorf("the journal has failed: %w", err)
		close(k.dead)
		k.stopping.Store(true)
		k.log.Error("stopping: the journal has failed", "error", err)
		if k.onFail != nil {
			k.rt.Go(func() { k.onFail(k.err) }) // it may well call Stop, which waits for the turn that got here
		}
	})
}

// listener hears the journal.
type listener Kernel

// Durable implements persistence.Listener.
func (l *listener) Durable(lsn persistence.LSN) {
	l.out.advance(lsn)
	l.backlog.advance(lsn)
}

// Failed implements persistence.Listener.
func (l *listener) Failed(err error) { (*Kernel)(l).fail(err) }
