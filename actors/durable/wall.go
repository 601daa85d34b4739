package durable

import (
	"crypto/rand"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Wall is the runtime of the node: goroutines, the wall clock and the system's randomness.
type Wall struct{}

// turnLength is how many messages an actor takes before others get their turn.
const turnLength = 128

// workers hands turns to goroutines that wait for one. A new goroutine for each turn would spend a third of its time on
// growing its stack to what a step needs.
var workers = make(chan func())

// idleFor is how long a worker waits for another turn.
const idleFor = 100 * time.Millisecond

// Schedule implements Runtime.
func (Wall) Schedule(f func()) {
	select {
	case workers <- f:
	default:
		go work(f)
	}
}

func work(f func()) {
	idle := time.NewTimer(idleFor)
	for {
		f()
		idle.Reset(idleFor)
		select {
		case f = <-workers:
		case <-idle.C:
			return
		}
	}
}

// Throughput implements Runtime.
func (Wall) Throughput() int { return turnLength }

// Go implements Runtime.
func (w Wall) Go(f func()) { w.Schedule(f) }

// Yield implements Runtime.
func (Wall) Yield() { runtime.Gosched() }

// Now implements Runtime.
func (Wall) Now() time.Time { return time.Now() }

// AfterFunc implements Runtime.
func (Wall) AfterFunc(d time.Duration, f func()) func() {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

// Random implements Runtime. It does not fail: the system ends the process when it has no randomness.
func (Wall) Random(p []byte) { _, _ = rand.Read(p) }

// Parallel implements Runtime.
func (Wall) Parallel(n int, f func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		first atomic.Pointer[any]
	)
	share := func() {
		defer wg.Done()
		defer func() {
			if r := recover(); r != nil {
				first.CompareAndSwap(nil, &r)
			}
		}()
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			f(i)
		}
	}
	wg.Add(workers)
	for range workers - 1 {
		go share()
	}
	share()
	wg.Wait()
	if r := first.Load(); r != nil {
		panic(*r)
	}
}
