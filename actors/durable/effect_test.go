package durable_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	"stormcell/actors/durable/internal/testpb"
	"stormcell/messages/record"
	"stormcell/persistence"
)

// still starts pad/a, pad/b and pad/c and then lets the disk stand still until the test says otherwise.
func still(t *testing.T, wrap func(*persistence.Memory) persistence.Journal, kinds ...kind) (*process, *persistence.Memory) {
	t.Helper()
	j := persistence.NewStepped()
	p := boot(t, wrap(j), durable.Options{}, kinds...)
	t.Cleanup(func() { _ = j.Close() }) // before the kernel stops: it waits for the disk
	for _, addr := range []durable.Address{"pad/a", "pad/b", "pad/c"} {
		there, last := newSignal(), j.Last()
		require.NoError(t, p.AskFunc(addr, writing("here"), false, func(any, error) { there.fire() }))
		p.until("it writes", func() bool { return j.Last() > last })
		require.NoError(t, j.Advance(j.Last()))
		there.wait(t)
	}
	return p, j
}

func plain(j *persistence.Memory) persistence.Journal { return j }

// nothingLeaves checks that pad/b has released nothing by now, although its steps are over.
func (p *process) nothingLeaves() {
	p.t.Helper()
	over := newSignal()
	p.tell("pad/b", do(func(*pad, durable.Message, durable.Env) durable.Outcome {
		over.fire()
		return durable.Outcome{}
	}))
	over.wait(p.t)
	p.ask("pad/c", do(reading)) // it depends on nothing that waits, and leaves behind what does not wait either
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	require.Empty(p.t, p.world.released)
}

// TestNothingLeavesBeforeItIsDurable: effects and replies wait for every commit they depend on, also when the step that
// releases them commits nothing itself; what depends on nothing new does not wait.
func TestNothingLeavesBeforeItIsDurable(t *testing.T) {
	t.Parallel()
	p, j := still(t, plain)
	answers := make(chan string, 8)
	ask := func(name string, body any) {
		require.NoError(t, p.AskFunc("pad/a", body, false, func(_ any, err error) { answers <- fmt.Sprint(name, err) }))
	}
	releasing := func(n uint64, out durable.Outcome) do {
		return func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
			out.Release = []durable.Effect{seen{"", n}}
			return with(m, nil, out)
		}
	}
	base := j.Last()
	ask("first", releasing(1, write("x")))
	ask("second", releasing(2, durable.Outcome{}))
	ask("third", releasing(3, write("y")))
	ask("fourth", do(func(*pad, durable.Message, durable.Env) durable.Outcome {
		return durable.Outcome{Refuse: errors.New(": refused")}
	}))
	p.until("all is submitted", func() bool { return j.Last() == base+2 })
	p.nothingLeaves()
	require.Empty(t, answers)

	require.NoError(t, j.Advance(base+1))
	require.Equal(t, "first<nil>", <-answers)
	require.Equal(t, "second<nil>", <-answers)
	p.ask("pad/c", do(reading))
	require.Empty(t, answers)
	require.Equal(t, []durable.Effect{seen{"", 1}, seen{"", 2}}, p.world.seen(t, "pad/a", 2))
	require.NoError(t, j.Advance(base+2))
	require.Equal(t, "third<nil>", <-answers)
	require.Equal(t, "fourth: refused", <-answers)
	require.Equal(t, []durable.Effect{seen{"", 1}, seen{"", 2}, seen{"", 3}}, p.world.seen(t, "pad/a", 3))
}

// hurries is a journal that notes what it was asked to hurry for.
type hurries struct {
	*persistence.Memory
	lsn atomic.Uint64
}

func (j *hurries) Hurry(lsn persistence.LSN) { j.lsn.Store(uint64(lsn)) }

// TestLazyEffects: a lazy effect asks for no sync, and still leaves before all that its actor releases after it.
func TestLazyEffects(t *testing.T) {
	t.Parallel()
	var asked *hurries
	p, j := still(t, func(j *persistence.Memory) persistence.Journal {
		asked = &hurries{Memory: j}
		return asked
	})
	step := func(e durable.Effect) {
		base := j.Last()
		p.tell("pad/a", do(func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
			out := with(m, nil, write("x"))
			out.Release = []durable.Effect{e}
			return out
		}))
		p.until("it is submitted", func() bool { return j.Last() == base+1 })
	}
	before := asked.lsn.Load()
	step(durable.Lazy{Effect: seen{"", 1}})
	p.nothingLeaves()
	require.Equal(t, before, asked.lsn.Load(), "nobody asks for a sync")
	step(seen{"", 2})
	p.until("a sync is asked for", func() bool { return asked.lsn.Load() == uint64(j.Last()) })
	require.NoError(t, j.Advance(j.Last()))
	require.Equal(t, []durable.Effect{seen{"", 1}, seen{"", 2}}, p.world.seen(t, "pad/a", 2))
}

// TestMessageThatIsNotDurable: what a message from another actor causes waits for that actor's commit, also when it is kept.
func TestMessageThatIsNotDurable(t *testing.T) {
	t.Parallel()
	decided := newSignal()
	p, j := still(t, plain, kind{
		Kind: durable.Kind{Name: "pad"},
		pads: pads{note: func(_ *pad, m durable.Message, n *testpb.Note, _ durable.Env) durable.Outcome {
			defer decided.fire()
			out := keepIt(m, n)
			out.Release = []durable.Effect{seen{m.From, n.Number}}
			return out
		}},
	})
	p.tell("pad/a", sending("pad/b", 1))
	decided.wait(t)
	p.nothingLeaves()
	require.NoError(t, j.Advance(j.Last()))
	require.Equal(t, []durable.Effect{seen{"pad/a", 1}}, p.world.seen(t, "pad/b", 1))
}

// TestLoad: an actor reads its columns page by page, in either direction.
func TestLoad(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		pages := make(chan durable.Loaded, 1)
		p := boot(t, d.open(t), durable.Options{}, kind{
			Kind: durable.Kind{Name: "pad"},
			pads: pads{other: func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
				pages <- m.Body.(durable.Loaded)
				return durable.Outcome{}
			}},
		})
		p.ask("pad/a", do(func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
			var out durable.Outcome
			for i := range uint64(5) {
				out.Put = append(out.Put, durable.Column{Key: fmt.Sprintf("note/%d", i), Value: &testpb.Note{Number: i}})
			}
			return with(m, nil, out)
		}))
		p.ask("pad/a", do(func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
			out := write("here")
			out.Put = []durable.Column{{Key: "note/3"}}
			return with(m, nil, out)
		}))
		load := func(page persistence.Page) []uint64 {
			p.tell("pad/a", do(func(*pad, durable.Message, durable.Env) durable.Outcome {
				return durable.Outcome{Release: []durable.Effect{durable.Load{Tag: page, Page: page}}}
			}))
			got := <-pages
			require.Equal(t, page, got.Tag)
			require.NoError(t, got.Err)
			var numbers []uint64
			for _, c := range got.Columns {
				n := c.Value.(*testpb.Note).Number
				require.Equal(t, fmt.Sprintf("note/%d", n), c.Key)
				numbers = append(numbers, n)
			}
			return numbers
		}
		require.Equal(t, []uint64{0, 1}, load(persistence.Page{Prefix: "note/", Limit: 2}))
		require.Equal(t, []uint64{2, 4}, load(persistence.Page{Prefix: "note/", After: "note/1", Limit: 5}))
		require.Equal(t, []uint64{4, 2}, load(persistence.Page{Prefix: "note/", Reverse: true, Limit: 2}))
		require.Empty(t, load(persistence.Page{Prefix: "other/", Limit: 2}))
		p.tell("pad/a", do(func(*pad, durable.Message, durable.Env) durable.Outcome {
			return durable.Outcome{Release: []durable.Effect{durable.Load{Page: persistence.Page{Prefix: "note/"}}}}
		}))
		got := <-pages
		require.Error(t, got.Err, "a page without a limit")
		require.Empty(t, got.Columns)
	})
}

// eager is a journal whose reads of columns show what is not durable yet, as those of Badger may.
type eager struct{ *persistence.Memory }

func (j eager) Columns(persistence.Page) ([]persistence.Column, error) {
	r, err := record.Encode(&testpb.Note{Number: 1})
	return []persistence.Column{{Key: "k", Value: &r}}, err
}

// TestLoadedIsNotDurable: what an actor does with columns that are not durable yet waits for them.
func TestLoadedIsNotDurable(t *testing.T) {
	t.Parallel()
	loaded := newSignal()
	wrap := func(j *persistence.Memory) persistence.Journal { return eager{j} }
	p, j := still(t, wrap, kind{
		Kind: durable.Kind{Name: "pad"},
		pads: pads{other: func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
			defer loaded.fire()
			n := m.Body.(durable.Loaded).Columns[0].Value.(*testpb.Note).Number
			return durable.Outcome{Release: []durable.Effect{seen{"", n}}}
		}},
	})
	base := j.Last()
	p.tell("pad/a", do(func(*pad, durable.Message, durable.Env) durable.Outcome {
		return durable.Outcome{Put: []durable.Column{{Key: "k", Value: &testpb.Note{Number: 1}}}}
	}))
	p.until("it is submitted", func() bool { return j.Last() == base+1 })
	p.tell("pad/b", do(func(*pad, durable.Message, durable.Env) durable.Outcome {
		return durable.Outcome{Release: []durable.Effect{durable.Load{Page: persistence.Page{Prefix: "k", Limit: 1}}}}
	}))
	loaded.wait(t)
	p.nothingLeaves()
	require.NoError(t, j.Advance(base+1))
	require.Equal(t, []durable.Effect{seen{"", 1}}, p.world.seen(t, "pad/b", 1))
}

// TestTimers: they fire once, are replaced by key, can be stopped, and die with the incarnation.
func TestTimers(t *testing.T) {
	t.Parallel()
	timer := newClock()
	fired := make(chan string, 8)
	p := boot(t, persistence.NewMemory(), durable.Options{Runtime: timer}, kind{
		Kind: durable.Kind{Name: "pad"},
		pads: pads{
			other: func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
				fired <- m.Body.(string)
				return durable.Outcome{}
			},
			resume: func(s *pad, _ durable.Env) durable.Outcome {
				return durable.Outcome{Release: []durable.Effect{
					durable.SetTimer{Key: "again", After: time.Hour, Body: fmt.Sprint("again, ", s.stored.Count)},
				}}
			},
		},
	})
	effects := func(es ...durable.Effect) {
		p.insist("pad/a", do(func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
			return with(m, nil, durable.Outcome{Release: es})
		}))
	}
	p.ask("pad/a", writing("here"))
	effects(durable.SetTimer{Key: "a", After: time.Second, Body: "a"}, durable.SetTimer{Key: "b", After: time.Second, Body: "b"},
		durable.SetTimer{Key: "c", After: time.Second, Body: "c"}, durable.StopTimer{Key: "b"}, durable.StopTimer{Key: "nothing"},
		durable.SetTimer{Key: "c", After: time.Minute, Body: "c later"})
	timer.advance(time.Second)
	require.Equal(t, "a", <-fired)
	require.Equal(t, []time.Duration{time.Minute - time.Second}, timer.pending())
	timer.advance(time.Minute)
	require.Equal(t, "c later", <-fired)
	require.Empty(t, timer.pending())

	effects(durable.SetTimer{Key: "a", After: time.Second, Body: "of the old incarnation"})
	p.tell("pad/a", do(panicking))
	p.world.gone(t, "pad/a", 1)
	p.until("only the back-off is left", func() bool { return len(timer.pending()) == 1 && timer.pending()[0] == 0 })
	timer.advance(0)
	p.until("it is set again", func() bool { return len(timer.pending()) == 1 && timer.pending()[0] == time.Hour })
	timer.advance(time.Hour)
	require.Equal(t, "again, 1", <-fired)
	require.Empty(t, fired)
}

// TestTimerAfterDone: a timer does not wake an actor that has left.
func TestTimerAfterDone(t *testing.T) {
	t.Parallel()
	timer := newClock()
	p := boot(t, persistence.NewMemory(), durable.Options{Runtime: timer})
	p.ask("pad/a", do(func(s *pad, m durable.Message, env durable.Env) durable.Outcome {
		out := finishing(s, m, env)
		out.Release = append(out.Release, durable.SetTimer{Key: "k", After: time.Second, Body: do(panicking)})
		return out
	}))
	p.world.gone(t, "pad/a", 1)
	timer.advance(time.Hour)
	require.EqualValues(t, 1, p.state("pad/a").Count)
	p.world.gone(t, "pad/a", 2)
}
