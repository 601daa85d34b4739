// Package sim runs whole systems of durable actors in one thread, by seed: what happens next is picked among messages,
// timers, effects, the disk and faults. Equal seeds give equal runs.
package sim

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"stormcell/actors/durable"
)

// epoch is when every run begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// runtime is the kernel's runtime in one life of the simulated process. A crash ends it: what it still holds never runs.
type runtime struct {
	rng    *rand.Rand
	clock  *clock
	tasks  []func()
	timers []*timer
	serial int
	dead   bool
}

var _ durable.Runtime = (*runtime)(nil)

// clock is shared by all lives of a run.
type clock struct{ now time.Time }

type timer struct {
	at     time.Time
	serial int
	f      func()
}

// Schedule implements actor.Dispatcher.
func (r *runtime) Schedule(f func()) { r.Go(f) }

// Throughput implements actor.Dispatcher: one message a turn.
func (r *runtime) Throughput() int { return 1 }

// Yield implements durable.Runtime.
func (r *runtime) Yield() {}

// Go implements durable.Runtime.
func (r *runtime) Go(f func()) {
	if !r.dead {
		r.tasks = append(r.tasks, f)
	}
}

// Now implements durable.Runtime.
func (r *runtime) Now() time.Time { return r.clock.now }

// AfterFunc implements durable.Runtime.
func (r *runtime) AfterFunc(d time.Duration, f func()) func() {
	r.serial++
	t := &timer{at: r.clock.now.Add(d), serial: r.serial, f: f}
	at, _ := slices.BinarySearchFunc(r.timers, t, func(a, b *timer) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.serial, b.serial))
	})
	r.timers = slices.Insert(r.timers, at, t)
	return func() {
		if i := slices.Index(r.timers, t); i >= 0 {
			r.timers = slices.Delete(r.timers, i, i+1)
		}
	}
}

// Random implements durable.Runtime.
func (r *runtime) Random(p []byte) {
	var word [8]byte
	for len(p) > 0 {
		binary.LittleEndian.PutUint64(word[:], r.rng.Uint64())
		p = p[copy(p, word[:]):]
	}
}

// Parallel implements durable.Runtime.
func (r *runtime) Parallel(n int, f func(i int)) {
	for i := range n {
		f(i)
	}
}

// runOne runs one of the waiting tasks.
func (r *runtime) runOne() {
	i := r.rng.IntN(len(r.tasks))
	f := r.tasks[i]
	r.tasks = slices.Delete(r.tasks, i, i+1)
	f()
}

// tick lets the next timer fire.
func (r *runtime) tick() {
	t := r.timers[0]
	r.timers = r.timers[1:]
	if t.at.After(r.clock.now) {
		r.clock.now = t.at
	}
	t.f()
}

// end drops everything, as a crash does.
func (r *runtime) end() {
	r.dead, r.tasks, r.timers = true, nil, nil
}
