package arch

import (
	"path"
	"slices"
	"strings"
)

// Rule names what a finding breaks.
type Rule string

// The rules.
const (
	Layout  Rule = "layout"    // which folders hold code
	Length  Rule = "length"    // how long a file may be
	Arrows  Rule = "arrows"    // which folder imports which
	Mutex   Rule = "mutex"     // no locks under actors/
	Clock   Rule = "clock"     // no wall clock under actors/
	Chance  Rule = "chance"    // no shared random source under actors/
	Runtime Rule = "runtime"   // parts of proto.actor that do not go with durable actors
	Stop    Rule = "stop"      // only the kernel stops actors and waits for it
	Pure    Rule = "pure"      // what a core may not import
	Threads Rule = "threads"   // no goroutines, channels and selects in a core
	Order   Rule = "map order" // no order of a map in a core's results
)

const (
	module     = "stormcell"
	protoActor = "github.com/asynkron/protoactor-go"
	maxLines   = 800
)

// generatedFolders are where generated code may lie; no rule looks into it.
var generatedFolders = []string{"messages", "tests", "actors/durable/internal"}

// codeFolders are the folders, and everything below them, that may hold Go code.
var codeFolders = []string{"actors", "chain", "cmd/node", "messages", "peer", "persistence", "tests"}

// arrows are the top-level folders that production code in a folder may import, besides its own. tests/ may import
// everything and is imported by nothing.
var arrows = map[string][]string{
	"cmd":         {"actors", "peer", "chain", "persistence", "messages"},
	"actors":      {"peer", "chain", "persistence", "messages"},
	"peer":        {"messages"},
	"chain":       {"messages"},
	"persistence": {"messages"},
	"messages":    {},
}

// withoutCore are the folders under actors/ which are not split into a pure core and a shell: the kernel, the root of the
// tree, and the door to the chain, which decides nothing.
var withoutCore = []string{"actors/durable", "actors/node", "actors/onchain"}

// isCore tells whether the file at p belongs to a pure core: every file of an actor's package but shell.go and shell_*.go.
func isCore(p string) bool {
	if !under(p, "actors") || underAny(p, withoutCore) {
		return false
	}
	name := path.Base(p)
	return name != "shell.go" && !strings.HasPrefix(name, "shell_")
}

// exceptions are the places where a rule does not hold, and why.
var exceptions = []struct {
	where string // a file, or a folder with everything below it
	rule  Rule
	why   string
}{
	{"actors/durable", Mutex, "proto.actor's goroutines and the journal's writer meet in the kernel"},
	{"actors/durable/wall.go", Clock, "the wall clock behind the kernel's clock, which simulation replaces"},
	{"actors/durable", Stop, "the kernel stops actors: ActorSystem.Shutdown stops none"},
}

func excepted(file string, rule Rule) bool {
	for _, e := range exceptions {
		if e.rule == rule && under(file, e.where) {
			return true
		}
	}
	return false
}

// ban forbids names of a package under actors/, wherever and under whatever alias they are used.
type ban struct {
	rule  Rule
	pkg   string   // import path; with the packages below it
	names []string // functions, types, methods or fields; a trailing * stands for any ending
	but   []string // names that are allowed all the same
	why   string
}

const (
	whyMutex  = "an actor's state has one owner; what others need to know goes in a message"
	whyClock  = "time comes from the kernel's clock (Env, timers), so that simulation can turn it"
	whyChance = "chance comes seeded from Env, so that a run can be repeated"
)

var bans = []ban{
	{Mutex, "sync", []string{"Mutex", "RWMutex"}, nil, whyMutex},
	{Clock, "time", []string{"Now", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep", "Since", "Until"}, nil,
		whyClock},
	{Clock, "context", []string{"WithTimeout*", "WithDeadline*"}, nil, whyClock},
	{Chance, "math/rand", []string{"*"}, []string{"New", "NewSource", "NewZipf", "NewPCG", "NewChaCha8",
		"Rand", "Source", "Source64", "Zipf", "PCG", "ChaCha8"}, whyChance},
	{Runtime, protoActor, []string{"RequestFuture", "NewFuture"}, nil,
		"a future runs on the wall clock and forgets the answer in a crash; send a durable message or use the kernel's queries"},
	{Runtime, protoActor, []string{"SetReceiveTimeout"}, nil,
		"a receive timeout runs on the wall clock; use the kernel's timers"},
	{Runtime, protoActor, []string{"Stash"}, nil,
		"stashed messages come back in reverse order; keep the message in the inbox"},
	{Runtime, protoActor, []string{"ReenterAfter"}, nil, "its continuation runs outside a step; answer with a message"},
	{Runtime, protoActor, []string{"Bounded*"}, nil, "an actor that sends to itself through a full bounded mailbox deadlocks"},
	{Runtime, protoActor, []string{"WithMetricProviders", "WithDefaultPrometheusProvider", "MetricsProvider", "NewMetrics"},
		nil, "the kernel counts for itself; proto.actor's own metrics are not used"},
	{Stop, protoActor, []string{"StopFuture", "PoisonFuture"}, nil,
		"only the kernel stops actors; others send it a message"},
}

func (b ban) forbids(name string) bool {
	return slices.ContainsFunc(b.names, func(pattern string) bool {
		prefix, wild := strings.CutSuffix(pattern, "*")
		return name == pattern || wild && strings.HasPrefix(name, prefix)
	}) && !slices.Contains(b.but, name)
}

// impure are the imports that a core does without, each with everything below it.
var impure = []struct{ path, why string }{
	{"net", "a core does no I/O: release an effect"},
	{"os", "a core does no I/O: release an effect"},
	{"syscall", "a core does no I/O: release an effect"},
	{"database/sql", "what a core keeps is its state, events and columns: the kernel stores them"},
	{"github.com/dgraph-io/badger", "what a core keeps is its state, events and columns: the kernel stores them"},
	{module + "/persistence", "what a core keeps is its state, events and columns: the kernel stores them"},
	{protoActor, "a core knows the kernel's Outcome, not the runtime below it"},
	{"crypto/rand", whyChance},
	{"sync", "a core is called by one goroutine at a time and starts none"},
}

// pureAfterAll are imports below an impure one that hold nothing but values.
var pureAfterAll = []string{"net/netip"}
