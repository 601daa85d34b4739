package sim

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/messages/record"
	"stormcell/persistence"
)

// Domain is a system to simulate: its actors, the world around them, and the rules that must hold. It lives as long as the
// run: a crash takes the kernel away and brings another, the world stays.
type Domain interface {
	durable.World
	// Register adds the domain's kinds to the kernel of a new life.
	Register(*durable.Kernel) error
	// Started follows the start of each life's kernel.
	Started()
	// Ops is how many things the world will do unasked; Do does the i-th. Each is done once, in order, at some moment.
	Ops() int
	Do(i int)
	// Victims are actors that a fault may kill at any moment, and Poison is the message that does it.
	Victims() []durable.Address
	Poison() any
	// Observe sees each step's state, as it would be stored.
	Observe(addr durable.Address, snapshot proto.Message)
	// Err is the first rule that was broken so far.
	Err() error
	// Quiet checks the books when nothing moves any more; read gives the state stored at an address.
	Quiet(read func(durable.Address) (proto.Message, error)) error
}

// Plan says what happens in one run beside the domain's own doings. The zero Plan of a seed has no faults.
type Plan struct {
	Seed uint64
	// CrashAt lists the moves before which the process dies, in ascending order.
	CrashAt []int
	// Keep chooses what of the undurable log survives each crash.
	Keep Keep
	// Kills, FailWrite: faults inside a living process, by chance.
	Kills     bool
	FailWrite bool
	// Drop lists operations of the domain that are left out, for shrinking a failure.
	Drop []int
	// Sabotage breaks the kernel, to show that a run finds it.
	Sabotage Sabotage
}

// Keep says how much of the log that was submitted but not durable survives a crash.
type Keep int

// What a crash keeps. KeepNothing+n keeps n commits more than what was durable.
const (
	KeepSome    Keep = iota // by chance
	KeepAll                 // everything submitted
	KeepNothing             // only what was durable
)

// Result is what a run came to.
type Result struct {
	Moves   int
	Commits persistence.LSN
	Lives   int
	// AtStake is the most that a crash found submitted and not durable.
	AtStake int
	Hash    uint64
	Trace   []string
	Err     error
}

// system is shared by all runs of a process: making one costs more than a run.
var system = durable.NewSystem(slog.New(slog.DiscardHandler))

// The streams of chance that a seed gives.
const (
	scheduleStream = 0x5707c311
	domainStream   = 0xd0a1
)

// maxMoves ends a run that does not come to rest.
const maxMoves = 200_000

// run is one run under way.
type run struct {
	plan    Plan
	rng     *rand.Rand
	domain  Domain
	clock   *clock
	rt      *runtime
	disk    *persistence.Memory
	kernel  *durable.Kernel
	trace   trace
	ops     []int
	crashes []int
	lag     int
	moves   int
	lives   int
	atStake int
	err     error
}

// Run simulates a plan. newDomain gets a stream of chance of its own.
func Run(p Plan, newDomain func(*rand.Rand) Domain) Result {
	// The domain draws first and from a stream of its own, so that a plan's faults do not change what users do.
	rng := rand.New(rand.NewPCG(p.Seed, scheduleStream))
	r := &run{
		plan: p, rng: rng, clock: &clock{now: epoch}, disk: persistence.NewStepped(),
		domain: newDomain(rand.New(rand.NewPCG(p.Seed, domainStream))), crashes: p.CrashAt, lag: []int{2, 10, 40}[rng.IntN(3)],
	}
	for i := range r.domain.Ops() {
		if !slices.Contains(p.Drop, i) {
			r.ops = append(r.ops, i)
		}
	}
	r.live()
	for r.err == nil && r.move() {
		if r.moves++; r.moves > maxMoves {
			r.err = fmt.Errorf("the run does not come to rest within %d moves", maxMoves)
		}
		if err := r.domain.Err(); err != nil {
			r.fail(err)
		}
	}
	if halted := r.kernel.Halted(); r.err == nil && len(halted) > 0 {
		r.err = fmt.Errorf("halted: %+v", halted)
	}
	if r.err == nil {
		r.err = r.domain.Quiet(r.read)
	}
	r.rt.end()
	r.kernel.Abandon()
	return Result{
		Moves: r.moves, Commits: r.disk.Last(), Lives: r.lives, AtStake: r.atStake,
		Hash: r.trace.hash(), Trace: r.trace.lines, Err: r.err,
	}
}

// live starts the process.
func (r *run) live() {
	r.lives++
	r.rt = &runtime{rng: r.rng, clock: r.clock}
	r.kernel = durable.New(durable.Options{
		Journal: r.plan.Sabotage.journal(r.disk, r.rt), World: r, Runtime: r.rt, System: system,
		Log: slog.New(slog.DiscardHandler), Probe: r,
	})
	if err := r.domain.Register(r.kernel); err != nil {
		r.err = err
		return
	}
	if r.plan.FailWrite && r.rng.IntN(3) == 0 {
		r.disk.FailAt(r.disk.Last() + 1 + persistence.LSN(r.rng.IntN(60)))
	}
	if err := r.kernel.Start(); err != nil {
		r.err = fmt.Errorf("start: %w", err)
		return
	}
	r.domain.Started()
}

// crash kills the process and starts the next.
func (r *run) crash() {
	durable, last := r.disk.Durable(), r.disk.Last()
	keep := durable
	switch {
	case r.plan.Keep == KeepAll:
		keep = last
	case r.plan.Keep == KeepSome && last > durable:
		keep += persistence.LSN(r.rng.IntN(int(last-durable) + 1))
	case r.plan.Keep > KeepNothing:
		keep = min(last, durable+persistence.LSN(r.plan.Keep-KeepNothing))
	}
	r.atStake = max(r.atStake, int(last-durable))
	r.trace.add("crash: %d of %d durable, %d kept", durable, last, keep)
	r.rt.end()
	r.kernel.Abandon()
	r.disk = r.disk.Crash(keep)
	r.live()
}

// move does one thing. False when nothing is left to do.
func (r *run) move() bool {
	if len(r.crashes) > 0 && r.moves >= r.crashes[0] {
		r.crashes = r.crashes[1:]
		r.crash()
		return true
	}
	if r.kernel.Err() != nil { // the write failed: the daemon would end
		r.trace.add("journal failed")
		r.crash()
		return true
	}
	pending := r.disk.Last() - r.disk.Durable()
	dice := r.rng.IntN(100)
	switch {
	case pending > 0 && (dice < r.lag || len(r.rt.tasks) == 0):
		to := r.disk.Durable() + 1 + persistence.LSN(r.rng.IntN(int(pending)))
		r.trace.add("durable up to %d", to)
		_ = r.disk.Advance(to) // a failure reaches the kernel as the journal's listener
	case len(r.ops) > 0 && (dice >= 90 || len(r.rt.tasks) == 0):
		op := r.ops[0]
		r.ops = r.ops[1:]
		r.trace.add("op %d", op)
		r.domain.Do(op)
	case r.plan.Kills && dice == 89:
		r.kill()
	case len(r.rt.timers) > 0 && (dice == 88 || len(r.rt.tasks) == 0):
		r.trace.add("timer")
		r.rt.tick()
	case len(r.rt.tasks) > 0:
		r.rt.runOne()
	default:
		return false
	}
	return true
}

// kill lets one actor panic.
func (r *run) kill() {
	victims := r.domain.Victims()
	if len(victims) == 0 {
		return
	}
	victim := victims[r.rng.IntN(len(victims))]
	r.trace.add("kill %s", victim)
	_ = r.kernel.Tell(victim, 0, r.domain.Poison()) // refused when it is halted or busy: nothing to kill
}

// read is the stored state of an actor.
func (r *run) read(addr durable.Address) (proto.Message, error) {
	st, err := r.disk.Read(addr)
	if err != nil || st.Head == nil {
		return nil, err
	}
	return r.kernel.Rebuild(addr, st)
}

// Release implements durable.World.
func (r *run) Release(from durable.Address, session uint64, e durable.Effect) {
	r.trace.add("%s releases %T", from, e)
	r.domain.Release(from, session, e)
}

// Ended implements durable.World.
func (r *run) Ended(addr durable.Address, session uint64) { r.domain.Ended(addr, session) }

// Stepped implements durable.Probe: what the log gives must be what lives.
func (r *run) Stepped(addr durable.Address, m durable.Message, snapshot func() proto.Message) {
	r.trace.add("%s: %T", addr, m.Body)
	live := snapshot()
	r.domain.Observe(addr, live)
	if r.kernel.Err() != nil {
		return
	}
	st, err := r.disk.ReadAhead(addr)
	if err != nil {
		r.fail(err)
		return
	}
	rebuilt, err := r.kernel.Rebuild(addr, st)
	if err != nil {
		r.fail(err)
		return
	}
	if a, b := encoded(live), encoded(rebuilt); !bytes.Equal(a, b) {
		r.fail(fmt.Errorf("%s after %T: lives as {%v}, would be recovered as {%v}", addr, m.Body, live, rebuilt))
	}
}

func (r *run) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func encoded(m proto.Message) []byte {
	rec, err := record.Encode(m)
	if err != nil {
		panic(err)
	}
	return rec.Body
}
