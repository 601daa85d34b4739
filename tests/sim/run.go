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

// Domain is a system to simulate: what the world around its processes does, and the rules that must hold. It lives as long
// as the run: a crash takes a kernel away and brings another, the world stays. It is a Process itself, or Several.
type Domain interface {
	// Ops is how many things the world will do unasked; Do does the i-th. Each is done once, in order, at some moment.
	Ops() int
	Do(i int)
	// Err is the first rule that was broken so far.
	Err() error
}

// Process is one kernel of the system: its actors, and their world.
type Process interface {
	durable.World
	// Register adds the process's kinds to the kernel of a new life.
	Register(*durable.Kernel) error
	// Started follows the start of each life's kernel.
	Started()
	// Victims are actors that a fault may kill at any moment, and Poison is the message that does it.
	Victims() []durable.Address
	Poison() any
	// Observe sees each step's state, as it would be stored.
	Observe(addr durable.Address, snapshot proto.Message)
	// Quiet checks the books when nothing moves any more; read gives the state stored at an address. Of several processes the
	// first comes first.
	Quiet(read func(durable.Address) (proto.Message, error)) error
}

// Several is a Domain of several processes, each with a log of its own: one crashes while the others live on.
type Several interface {
	Processes() []Process
}

// Idler is a Domain whose world goes on by itself when nothing else moves: blocks are found, say. Idle is false when there is
// nothing to do for it either.
type Idler interface {
	Idle() bool
}

// Crasher is a Domain that wants its first process to die in certain situations, besides where the plan says.
type Crasher interface {
	CrashNow() bool
}

// Auditor is a Process that looks into its log after each step.
type Auditor interface {
	Audit(stepped durable.Address, log Log) error
}

// Log is what an Auditor sees of its log.
type Log interface {
	// ReadAhead reads an actor as if all that was submitted were durable.
	ReadAhead(durable.Address) (*persistence.Stored, error)
	// Column reads a column that is durable, nil when there is none.
	Column(key string) (*record.Record, error)
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
const maxMoves = 50_000

// run is one run under way.
type run struct {
	plan      Plan
	rng       *rand.Rand
	domain    Domain
	processes []*process
	clock     *clock
	trace     trace
	ops       []int
	crashes   []int
	lag       int
	moves     int
	lives     int
	atStake   int
	err       error
}

// process is a Process in its present life, and its disk.
type process struct {
	Process
	*run
	name   string // before what it does in the trace; empty when there is but one
	rt     *runtime
	disk   *persistence.Memory
	kernel *durable.Kernel
}

// Run simulates a plan. newDomain gets a stream of chance of its own.
func Run(p Plan, newDomain func(*rand.Rand) Domain) Result {
	// The domain draws first and from a stream of its own, so that a plan's faults do not change what users do.
	rng := rand.New(rand.NewPCG(p.Seed, scheduleStream))
	r := &run{
		plan: p, rng: rng, clock: &clock{now: epoch}, domain: newDomain(rand.New(rand.NewPCG(p.Seed, domainStream))),
		crashes: p.CrashAt, lag: []int{2, 10, 40}[rng.IntN(3)],
	}
	for i := range r.domain.Ops() {
		if !slices.Contains(p.Drop, i) {
			r.ops = append(r.ops, i)
		}
	}
	r.addProcesses()
	for _, p := range r.processes {
		p.live()
	}
	for r.err == nil && r.move() {
		if r.moves++; r.moves > maxMoves {
			r.err = fmt.Errorf("the run does not come to rest within %d moves", maxMoves)
		}
		if err := r.domain.Err(); err != nil {
			r.fail(err)
		}
	}
	result := Result{Moves: r.moves, Lives: r.lives, AtStake: r.atStake, Hash: r.trace.hash(), Trace: r.trace.lines}
	for _, p := range r.processes {
		p.finish()
		result.Commits += p.disk.Last()
	}
	result.Err = r.err
	return result
}

func (r *run) addProcesses() {
	if one, ok := r.domain.(Process); ok {
		r.processes = []*process{{Process: one, run: r, disk: persistence.NewStepped()}}
		return
	}
	for i, one := range r.domain.(Several).Processes() {
		p := &process{Process: one, run: r, disk: persistence.NewStepped(), name: fmt.Sprintf("%c: ", 'A'+i)}
		r.processes = append(r.processes, p)
	}
}

// finish ends a process that has come to rest, and looks at its books.
func (p *process) finish() {
	if halted := p.kernel.Halted(); p.err == nil && len(halted) > 0 {
		p.fail(fmt.Errorf("halted: %+v", halted))
	}
	if p.err == nil {
		if err := p.Quiet(p.read); err != nil {
			p.fail(err)
		}
	}
	p.rt.end()
	p.kernel.Abandon()
}

// live starts the process.
func (p *process) live() {
	p.lives++
	p.rt = &runtime{rng: p.rng, clock: p.clock}
	p.kernel = durable.New(durable.Options{
		Journal: p.plan.Sabotage.journal(p.disk, p.rt), World: p, Runtime: p.rt, System: system,
		Log: slog.New(slog.DiscardHandler), Probe: p,
	})
	if err := p.Register(p.kernel); err != nil {
		p.err = err
		return
	}
	if p.plan.FailWrite && p.rng.IntN(3) == 0 {
		p.disk.FailAt(p.disk.Last() + 1 + persistence.LSN(p.rng.IntN(60)))
	}
	if err := p.kernel.Start(); err != nil {
		p.err = fmt.Errorf("start: %w", err)
		return
	}
	p.Started()
}

// crash kills the process and starts the next.
func (p *process) crash() {
	durable, last := p.disk.Durable(), p.disk.Last()
	keep := durable
	switch {
	case p.plan.Keep == KeepAll:
		keep = last
	case p.plan.Keep == KeepSome && last > durable:
		keep += persistence.LSN(p.rng.IntN(int(last-durable) + 1))
	case p.plan.Keep > KeepNothing:
		keep = min(last, durable+persistence.LSN(p.plan.Keep-KeepNothing))
	}
	p.atStake = max(p.atStake, int(last-durable))
	p.add("crash: %d of %d durable, %d kept", durable, last, keep)
	p.rt.end()
	p.kernel.Abandon()
	p.disk = p.disk.Crash(keep)
	p.live()
}

func (p *process) add(format string, args ...any) { p.trace.add(p.name+format, args...) }

// move does one thing. False when nothing is left to do.
func (r *run) move() bool {
	one := r.rng.IntN
	if len(r.processes) == 1 {
		one = func(int) int { return 0 }
	}
	if crasher, ok := r.domain.(Crasher); ok && crasher.CrashNow() {
		r.processes[0].crash()
		return true
	}
	if len(r.crashes) > 0 && r.moves >= r.crashes[0] {
		r.crashes = r.crashes[1:]
		r.processes[one(len(r.processes))].crash()
		return true
	}
	first := one(len(r.processes))
	for i := range r.processes {
		if r.processes[(first+i)%len(r.processes)].move() {
			return true
		}
	}
	idler, ok := r.domain.(Idler)
	return ok && idler.Idle()
}

// busy tells whether anything waits to run now, in any process.
func (r *run) busy() bool {
	return slices.ContainsFunc(r.processes, func(p *process) bool { return len(p.rt.tasks) > 0 })
}

// move lets the process do one thing, or the world. False when neither has anything to do.
func (p *process) move() bool {
	if p.kernel.Err() != nil { // the write failed: the daemon would end
		p.add("journal failed")
		p.crash()
		return true
	}
	pending := p.disk.Last() - p.disk.Durable()
	dice := p.rng.IntN(100)
	switch {
	case pending > 0 && (dice < p.lag || len(p.rt.tasks) == 0):
		to := p.disk.Durable() + 1 + persistence.LSN(p.rng.IntN(int(pending)))
		p.add("durable up to %d", to)
		_ = p.disk.Advance(to) // a failure reaches the kernel as the journal's listener
	case len(p.ops) > 0 && (dice >= 90 || !p.busy()):
		op := p.ops[0]
		p.ops = p.ops[1:]
		p.trace.add("op %d", op)
		p.domain.Do(op)
	case p.plan.Kills && dice == 89:
		p.kill()
	case len(p.rt.timers) > 0 && (dice == 88 || !p.busy()):
		p.add("timer")
		p.rt.tick()
	case len(p.rt.tasks) > 0:
		p.rt.runOne()
	default:
		return false
	}
	return true
}

// kill lets one actor panic.
func (p *process) kill() {
	victims := p.Victims()
	if len(victims) == 0 {
		return
	}
	victim := victims[p.rng.IntN(len(victims))]
	p.add("kill %s", victim)
	_ = p.kernel.Tell(victim, 0, p.Poison()) // refused when it is halted or busy: nothing to kill
}

// read is the stored state of an actor.
func (p *process) read(addr durable.Address) (proto.Message, error) {
	st, err := p.disk.Read(addr)
	if err != nil || st.Head == nil {
		return nil, err
	}
	return p.kernel.Rebuild(addr, st)
}

// Release implements durable.World.
func (p *process) Release(from durable.Address, session uint64, e durable.Effect) {
	p.add("%s releases %T", from, e)
	p.Process.Release(from, session, e)
}

// Stepped implements durable.Probe: what the log gives must be what lives.
func (p *process) Stepped(addr durable.Address, m durable.Message, snapshot func() proto.Message) {
	p.add("%s: %T", addr, m.Body)
	live := snapshot()
	p.Observe(addr, live)
	if p.kernel.Err() != nil {
		return
	}
	st, err := p.disk.ReadAhead(addr)
	if err != nil {
		p.fail(err)
		return
	}
	rebuilt, err := p.kernel.Rebuild(addr, st)
	if err != nil {
		p.fail(err)
		return
	}
	if a, b := encoded(live), encoded(rebuilt); !bytes.Equal(a, b) {
		p.fail(fmt.Errorf("%s after %T: lives as {%v}, would be recovered as {%v}", addr, m.Body, live, rebuilt))
	}
	if auditor, ok := p.Process.(Auditor); ok {
		if err := auditor.Audit(addr, p.disk); err != nil {
			p.fail(fmt.Errorf("%s%s after %T: %w", p.name, addr, m.Body, err))
		}
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
