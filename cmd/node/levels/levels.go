// Package levels says how much each part of the daemon logs, and lets that be changed while it runs.
package levels

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"stormcell/actors/node"
)

// The parts of the daemon that log besides those of the node.
const (
	API     = "RPCS"
	Daemon  = "NODE"
	Journal = "JRNL"
)

// Levels that slog has no names for.
const (
	Trace    = slog.LevelDebug - 4
	Critical = slog.LevelError + 4
	Off      = slog.Level(1000)
)

// named are the levels by lnd's names, the loudest first.
var named = []struct {
	name  string
	level slog.Level
}{
	{"trace", Trace}, {"debug", slog.LevelDebug}, {"info", slog.LevelInfo}, {"warn", slog.LevelWarn},
	{"error", slog.LevelError}, {"critical", Critical}, {"off", Off},
}

// Subsystem is a part of the daemon that logs.
type Subsystem struct {
	Name  string
	About string // for people
}

// Subsystems are all of them, by name.
func Subsystems() []Subsystem {
	return []Subsystem{
		{node.LogActors, "what actors fail on, restarts; with trace all they do"},
		{node.LogChannels, "channels"},
		{node.LogInvoices, "incoming payments"},
		{Journal, "the journal, and the database below it"},
		{Daemon, "the process: start, stop, the connection to the chain"},
		{node.LogChain, "what is watched on the chain and published to it, fee rates"},
		{node.LogPeers, "connections, and which peers stay connected"},
		{node.LogPayments, "outgoing payments"},
		{API, "the calls of clients"},
		{node.LogWallet, "the wallet on the chain"},
	}
}

// Levels are how much each subsystem logs. They can be used from many goroutines.
type Levels struct {
	vars map[string]*slog.LevelVar
}

// New makes levels as Set has them.
func New(spec string) (*Levels, error) {
	l := &Levels{vars: map[string]*slog.LevelVar{}}
	for _, s := range Subsystems() {
		l.vars[s.Name] = &slog.LevelVar{}
	}
	return l, l.Set(spec)
}

// Set changes levels as lnd's --debuglevel does: one for all ("info"), some by name ("PEER=debug,CHAN=trace"), or one for all
// and some that differ ("warn,PEER=debug"). A specification with a mistake changes nothing.
func (l *Levels) Set(spec string) error {
	changes := map[string]slog.Level{}
	for i, part := range strings.Split(spec, ",") {
		name, level, one := strings.Cut(strings.TrimSpace(part), "=")
		if !one {
			level, name = name, ""
		}
		parsed, err := parse(level)
		switch {
		case err != nil:
			return err
		case !one && i > 0:
			return fmt.Errorf("level %q for all subsystems must stand first, before those for one: %q", level, spec)
		case !one:
			for name := range l.vars {
				changes[name] = parsed
			}
			continue
		}
		if l.vars[strings.ToUpper(name)] == nil {
			return fmt.Errorf("there is no subsystem %q: there are %s", name, strings.Join(l.Names(), ", "))
		}
		changes[strings.ToUpper(name)] = parsed
	}
	for name, level := range changes {
		l.vars[name].Set(level)
	}
	return nil
}

// Names are the subsystems' names, sorted.
func (l *Levels) Names() []string {
	names := make([]string, 0, len(l.vars))
	for name := range l.vars {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Of is the name of a subsystem's level, empty if there is no such subsystem.
func (l *Levels) Of(subsystem string) string {
	if v := l.vars[subsystem]; v != nil {
		return nameOf(v.Level())
	}
	return ""
}

func parse(level string) (slog.Level, error) {
	var all []string
	for _, n := range named {
		if n.name == strings.ToLower(level) {
			return n.level, nil
		}
		all = append(all, n.name)
	}
	return 0, fmt.Errorf("%q is none of %s", level, strings.Join(all, ", "))
}

func nameOf(level slog.Level) string {
	for _, n := range named {
		if level <= n.level {
			return n.name
		}
	}
	return named[len(named)-1].name
}

// Handler lets through to a handler what the levels want. What has no subsystem is the daemon's own. The handler below must
// want everything, and name levels with Rename.
func (l *Levels) Handler(below slog.Handler) slog.Handler {
	return handler{below, l.vars[Daemon], l}
}

// Rename is a slog.HandlerOptions.ReplaceAttr that gives each level its name.
func Rename(groups []string, a slog.Attr) slog.Attr {
	if level, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey && len(groups) == 0 {
		a.Value = slog.StringValue(strings.ToUpper(nameOf(level)))
	}
	return a
}
