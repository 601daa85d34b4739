package durable

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Runtime is where the kernel gets its turns, its time and its chance from. Wall is the real one; the simulation has one
// thread and a seed.
type Runtime interface {
	// Dispatcher runs the turns of actors. Throughput is how many messages an actor may take in one turn.
	actor.Dispatcher
	// Go runs f outside of the caller's turn, in any order.
	Go(f func())
	// Yield lets those go first to whom the caller has just given something to do.
	Yield()
	// Now is the time.
	Now() time.Time
	// AfterFunc runs f when d has passed, unless stop was called before.
	AfterFunc(d time.Duration, f func()) (stop func())
	// Random fills p.
	Random(p []byte)
	// Parallel calls f(0) to f(n-1) and returns when all have returned. A panic in f is a panic of Parallel.
	Parallel(n int, f func(i int))
}
