package durable

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// metric is one figure of each kind of actor.
type metric struct {
	desc  *prometheus.Desc
	typ   prometheus.ValueType
	value func(*figures) float64
}

func counter(name, help string, value func(*figures) uint64) metric {
	return metric{describe(name, help, "kind"), prometheus.CounterValue,
		func(f *figures) float64 { return float64(value(f)) }}
}

func gauge(name, help string, value func(*figures) int64) metric {
	return metric{describe(name, help, "kind"), prometheus.GaugeValue,
		func(f *figures) float64 { return float64(value(f)) }}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("stormcell_"+name, help, labels, nil)
}

var byKind = []metric{
	counter("actor_steps_total", "Messages decided on.", func(f *figures) uint64 { return f.steps.Load() }),
	counter("actor_commits_total", "Steps that changed something.", func(f *figures) uint64 { return f.commits.Load() }),
	counter("actor_events_total", "Events applied.", func(f *figures) uint64 { return f.events.Load() }),
	counter("actor_failures_total", "Failures of actors: each is a restart or a halt.",
		func(f *figures) uint64 { return f.failures.Load() }),
	counter("actor_refused_total", "Messages from outside refused because too many waited.",
		func(f *figures) uint64 { return f.refused.Load() }),
	counter("actor_dropped_total", "Durable messages dropped after repeated failures, by rule or by hand.",
		func(f *figures) uint64 { return f.dropped.Load() }),
	gauge("actors_awake", "Actors in memory.", func(f *figures) int64 { return f.awake.Load() }),
	gauge("actors_halted", "Actors that take no messages until an operator decides.",
		func(f *figures) int64 { return f.halted.Load() }),
	gauge("mailbox_depth", "Messages that wait in memory, for all actors of the kind together.", func(f *figures) int64 { return f.mailbox.Load() }),
	gauge("inbox_depth", "Durable messages that wait for a first decision, of actors awake.",
		func(f *figures) int64 { return f.inbox.Load() }),
	gauge("inbox_kept", "Durable messages kept for a later commit, of actors awake.",
		func(f *figures) int64 { return f.kept.Load() }),
}

var (
	mailboxMax     = describe("mailbox_depth_max", "Messages that wait in memory for the actor with the most of its kind.", "kind")
	effectsWaiting = describe("effects_waiting", "Effects that wait for the log to become durable, or to leave.")
	logBehind      = describe("log_undurable_commits", "Commits submitted and not durable yet.")
	turnsParked    = describe("turns_parked", "Actors held back because the disk is far behind.")
)

// Describe implements prometheus.Collector.
func (k *Kernel) Describe(out chan<- *prometheus.Desc) {
	for _, m := range byKind {
		out <- m.desc
	}
	out <- mailboxMax
	out <- effectsWaiting
	out <- logBehind
	out <- turnsParked
}

// Collect implements prometheus.Collector.
func (k *Kernel) Collect(out chan<- prometheus.Metric) {
	deepest := k.deepest()
	for _, name := range slices.Sorted(maps.Keys(k.kinds)) {
		for _, m := range byKind {
			out <- prometheus.MustNewConstMetric(m.desc, m.typ, m.value(&k.kinds[name].figures), name)
		}
		out <- prometheus.MustNewConstMetric(mailboxMax, prometheus.GaugeValue, float64(deepest[name]), name)
	}
	put := func(d *prometheus.Desc, n int) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n))
	}
	put(effectsWaiting, k.out.size())
	behind, parked := k.backlog.size()
	put(logBehind, behind)
	put(turnsParked, parked)
}
