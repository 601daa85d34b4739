package durable_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	"stormcell/actors/durable/internal/testpb"
	"stormcell/persistence"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// disk is where a test's journal lies: what one process wrote, the next one finds.
type disk interface {
	// open gives the journal to the next process. The one before must be closed.
	open(t *testing.T) persistence.Journal
}

// inMemory is a disk whose journal outlives its Close.
type inMemory struct{ journal *persistence.Memory }

func (d *inMemory) open(*testing.T) persistence.Journal {
	if d.journal == nil {
		d.journal = persistence.NewMemory()
	} else {
		d.journal = d.journal.Crash(d.journal.Last())
	}
	return d.journal
}

type onDisk struct{ dir string }

func (d *onDisk) open(t *testing.T) persistence.Journal {
	j, err := persistence.Open(persistence.Options{Dir: d.dir, Logger: quietLog()})
	require.NoError(t, err)
	return j
}

// onBoth runs a test on either journal.
func onBoth(t *testing.T, test func(t *testing.T, d disk)) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, &inMemory{})
	})
	t.Run("badger", func(t *testing.T) {
		t.Parallel()
		test(t, &onDisk{t.TempDir()})
	})
}

// kind is a kind of actor with its core.
type kind struct {
	durable.Kind
	pads
}

// pad0 is the kind that most tests use: pad/<id>, with the default core.
var pad0 = kind{Kind: durable.Kind{Name: "pad"}}

// process is one life of a kernel.
type process struct {
	*durable.Kernel
	t       *testing.T
	journal persistence.Journal
	world   *world
	ends    context.Context
}

// boot starts a kernel on a journal. Without kinds it has pad0.
func boot(t *testing.T, j persistence.Journal, o durable.Options, kinds ...kind) *process {
	t.Helper()
	p := prepare(t, j, o, kinds...)
	require.NoError(t, p.Start())
	return p
}

// prepare is boot without Start.
func prepare(t *testing.T, j persistence.Journal, o durable.Options, kinds ...kind) *process {
	t.Helper()
	w := &world{changed: make(chan struct{})}
	o.Journal, o.World = j, w
	if o.Log == nil {
		o.Log = quietLog()
	}
	p := &process{Kernel: durable.New(o), t: t, journal: j, world: w}
	if len(kinds) == 0 {
		kinds = []kind{pad0}
	}
	for _, k := range kinds {
		require.NoError(t, durable.Register(p.Kernel, k.Kind, k.pads))
	}
	var cancel context.CancelFunc
	p.ends, cancel = context.WithTimeout(context.Background(), 3*patience)
	t.Cleanup(cancel)
	t.Cleanup(p.end)
	return p
}

// end stops the kernel if the test has not, and closes its journal.
func (p *process) end() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = p.Stop(ctx)
	_ = p.journal.Close()
}

// shut stops the kernel and closes its journal, and both must succeed.
func (p *process) shut() {
	p.t.Helper()
	require.NoError(p.t, p.Stop(p.ctx()))
	require.NoError(p.t, p.journal.Close())
}

// ctx ends when the test has taken long enough.
func (p *process) ctx() context.Context { return p.ends }

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// ask asks an actor, and it must answer.
func (p *process) ask(addr durable.Address, body any) any {
	p.t.Helper()
	answer, err := p.Ask(p.ctx(), addr, body)
	require.NoError(p.t, err)
	return answer
}

// insist asks an actor, again when it restarts meanwhile.
func (p *process) insist(addr durable.Address, body any) any {
	p.t.Helper()
	for {
		answer, err := p.Ask(p.ctx(), addr, body)
		if err != nil && isRestart(err) {
			continue
		}
		require.NoError(p.t, err)
		return answer
	}
}

// tell sends an actor a volatile message.
func (p *process) tell(addr durable.Address, body any) {
	p.t.Helper()
	require.NoError(p.t, p.Tell(addr, 0, body))
}

// state is an actor's state.
func (p *process) state(addr durable.Address) *testpb.Pad {
	p.t.Helper()
	return p.insist(addr, do(reading)).(*testpb.Pad)
}

// until waits for something that no channel tells.
func (p *process) until(what string, holds func() bool) {
	p.t.Helper()
	require.Eventually(p.t, holds, patience, time.Millisecond, what)
}

// halted waits until an actor has halted.
func (p *process) halted(addr durable.Address) durable.Halt {
	p.t.Helper()
	var found durable.Halt
	p.until(string(addr)+" halts", func() bool {
		for _, h := range p.Halted() {
			if h.Actor == addr {
				found = h
				return true
			}
		}
		return false
	})
	return found
}

// world writes down what leaves the actors.
type world struct {
	mu       sync.Mutex
	changed  chan struct{} // closed, and replaced, at each change
	released []released
	ended    []ended
}

type released struct {
	from    durable.Address
	session uint64
	effect  durable.Effect
}

type ended struct {
	addr    durable.Address
	session uint64
}

// Release implements durable.World.
func (w *world) Release(from durable.Address, session uint64, e durable.Effect) {
	w.change(func() { w.released = append(w.released, released{from, session, e}) })
}

// Ended implements durable.World.
func (w *world) Ended(addr durable.Address, session uint64) {
	w.change(func() { w.ended = append(w.ended, ended{addr, session}) })
}

func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.changed)
	w.changed = make(chan struct{})
}

// await waits until something holds of the world. holds runs under its lock.
func (w *world) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx := soon(t)
	for {
		w.mu.Lock()
		ok, changed := holds(), w.changed
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			require.FailNow(t, "waited in vain", what)
		}
	}
}

// seen waits for n effects of an actor and gives them.
func (w *world) seen(t *testing.T, from durable.Address, n int) []durable.Effect {
	t.Helper()
	var found []durable.Effect
	w.await(t, "effects", func() bool {
		found = nil
		for _, r := range w.released {
			if r.from == from {
				found = append(found, r.effect)
			}
		}
		return len(found) >= n
	})
	return found
}

// gone waits until n incarnations of an actor have ended, and gives their sessions.
func (w *world) gone(t *testing.T, addr durable.Address, n int) []uint64 {
	t.Helper()
	var found []uint64
	w.await(t, "ends", func() bool {
		found = nil
		for _, e := range w.ended {
			if e.addr == addr {
				found = append(found, e.session)
			}
		}
		return len(found) >= n
	})
	return found
}

// live lists the journal's live set.
func live(t *testing.T, j persistence.Journal) []durable.Address {
	t.Helper()
	var out []durable.Address
	require.NoError(t, j.Live(func(a durable.Address) bool {
		out = append(out, a)
		return true
	}))
	return out
}

// signal is a channel that may be closed many times.
type signal struct {
	once sync.Once
	c    chan struct{}
}

func newSignal() *signal { return &signal{c: make(chan struct{})} }

func (s *signal) fire() { s.once.Do(func() { close(s.c) }) }

func (s *signal) wait(t *testing.T) {
	t.Helper()
	select {
	case <-s.c:
	case <-soon(t).Done():
		require.FailNow(t, "waited in vain for a signal")
	}
}

func isRestart(err error) bool { return errors.Is(err, durable.ErrRestarted) }
