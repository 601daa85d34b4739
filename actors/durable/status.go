package durable

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// Status is what an operator sees of the kernel: every kind of actor, every actor in memory, and what failed lately. It is of no
// single moment: actors go on while it is put together.
type Status struct {
	Kinds  []KindStatus  // by name
	Actors []ActorStatus // by address: those awake, asked for, or halted
	Failed []Failed      // since the process started, the newest first
	// Undurable commits wait for the disk, and EffectsWaiting for them. Parked actors are held back until the disk has caught up.
	Undurable, EffectsWaiting, Parked int
}

// KindStatus describes the actors of one kind. What it counts, it counts since the process started.
type KindStatus struct {
	Name          string
	Awake, Halted int
	Mailbox       int // messages that wait in memory, of all together
	Steps         uint64
	Failures      uint64 // each was a restart or a halt
	Refused       uint64 // messages from outside, because too many waited
	Dropped       uint64 // durable messages after repeated failures
}

// ActorStatus describes an actor in memory.
type ActorStatus struct {
	Address Address
	// State is where it stands: asleep, waking, recovering, ready, leaving, failing, resting (until it is restarted), halting or
	// halted.
	State   string
	Parked  bool // held back until the disk has caught up
	Mailbox int  // messages that wait
	Inbox   int  // of them durable ones
	Kept    int  // durable messages that it has seen and keeps for a later commit
}

// Failed says that an actor has failed since the process started.
type Failed struct {
	Actor  Address
	Times  int
	Last   time.Time
	About  string // what it failed on the last time; empty for a message from outside
	Reason string // of the last time
}

// Status looks at every actor in memory: some microseconds for each ten of them.
func (k *Kernel) Status() Status {
	out := Status{Failed: k.failures.list(), EffectsWaiting: k.out.size()}
	out.Undurable, out.Parked = k.backlog.size()
	for _, name := range slices.Sorted(maps.Keys(k.kinds)) {
		f := &k.kinds[name].figures
		out.Kinds = append(out.Kinds, KindStatus{
			Name: name, Awake: int(f.awake.Load()), Halted: int(f.halted.Load()), Mailbox: int(f.mailbox.Load()),
			Steps: f.steps.Load(), Failures: f.failures.Load(), Refused: f.refused.Load(), Dropped: f.dropped.Load(),
		})
	}
	for _, c := range k.inMemory() {
		out.Actors = append(out.Actors, c.status())
	}
	slices.SortFunc(out.Actors, func(a, b ActorStatus) int { return cmp.Compare(a.Address, b.Address) })
	return out
}

// inMemory are the cells that there are.
func (k *Kernel) inMemory() []*cell {
	k.cellsMu.Lock()
	defer k.cellsMu.Unlock()
	return slices.Collect(maps.Values(k.cells))
}

func (c *cell) status() ActorStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ActorStatus{
		Address: c.addr, State: c.phase.String(), Parked: c.box != nil && c.box.parked, Mailbox: c.queue.len(), Inbox: c.letters,
		Kept: c.kept,
	}
}

// deepest is the most messages that wait for one actor of each kind.
func (k *Kernel) deepest() map[string]int {
	most := map[string]int{}
	for _, c := range k.inMemory() {
		c.mu.Lock()
		most[c.kind.Name] = max(most[c.kind.Name], c.queue.len())
		c.mu.Unlock()
	}
	return most
}

// maxFailed is how many actors that failed are remembered.
const maxFailed = 256

// failures remember which actors have failed, also those that are gone from memory: the newest of them.
type failures struct {
	mu sync.Mutex
	by map[Address]Failed
}

func (f *failures) add(actor Address, at time.Time, about, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = map[Address]Failed{}
	}
	f.by[actor] = Failed{Actor: actor, Times: f.by[actor].Times + 1, Last: at, About: about, Reason: reason}
	if len(f.by) > maxFailed {
		delete(f.by, f.newestFirst()[maxFailed].Actor)
	}
}

func (f *failures) list() []Failed {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.newestFirst()
}

func (f *failures) newestFirst() []Failed {
	return slices.SortedFunc(maps.Values(f.by), func(a, b Failed) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Actor, b.Actor))
	})
}
