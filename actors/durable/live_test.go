package durable_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	"stormcell/messages/journal"
	"stormcell/messages/record"
	"stormcell/persistence"

	"stormcell/actors/durable/internal/testpb"
)

// finishing asks an actor to note that it is done.
func finishing(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
	out := write("done")
	out.Done = true
	return with(m, nil, out)
}

// TestDone: an actor that is done leaves the live set and memory. A late message wakes it, and it leaves again. The next
// process does not wake it.
func TestDone(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		late := kind{
			Kind: durable.Kind{Name: "pad"},
			pads: pads{note: func(*pad, durable.Message, *testpb.Note, durable.Env) durable.Outcome {
				return durable.Outcome{Release: []durable.Effect{seen{"late", 0}}}
			}},
		}
		j := d.open(t)
		p := boot(t, j, durable.Options{}, late)
		p.ask("pad/from", writing("here"))
		p.ask("pad/a", writing("here"))
		require.Equal(t, []durable.Address{"pad/a", "pad/from"}, live(t, j))
		p.ask("pad/a", do(finishing))
		p.world.gone(t, "pad/a", 1)
		require.Equal(t, []durable.Address{"pad/from"}, live(t, j))

		p.ask("pad/from", sending("pad/a", 1))
		p.world.seen(t, "pad/a", 1)
		p.world.gone(t, "pad/a", 2)
		p.until("it leaves again", func() bool { return len(live(t, j)) == 1 })
		require.EqualValues(t, 2, p.state("pad/a").Count, "it can be asked, and leaves again")
		p.world.gone(t, "pad/a", 3)
		p.shut()

		again := &hooked{Journal: d.open(t)}
		next := boot(t, again, durable.Options{}, late)
		next.ask("pad/from", do(reading))
		require.EqualValues(t, 1, again.reads.Load(), "only one actor is live")
	})
}

// TestDoneWhileMessagesWait: the live set keeps an actor until its inbox is empty; else a crash would leave its messages
// asleep.
func TestDoneWhileMessagesWait(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var leaves []bool
	j := &hooked{Journal: persistence.NewMemory(), submitted: func(c *persistence.Commit, _ persistence.LSN) {
		mu.Lock()
		defer mu.Unlock()
		if c.Actor == "pad/a" {
			leaves = append(leaves, c.Leave)
		}
	}}
	p := boot(t, j, durable.Options{})
	entered, resume := newSignal(), newSignal()
	p.ask("pad/a", writing("here"))
	p.tell("pad/a", do(func(s *pad, m durable.Message, env durable.Env) durable.Outcome {
		entered.fire()
		resume.wait(t)
		return finishing(s, m, env)
	}))
	entered.wait(t)
	p.ask("pad/from", do(func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
		return with(m, nil, durable.Outcome{Send: []durable.Envelope{
			{To: "pad/a", Body: &testpb.Note{Number: 1}}, {To: "pad/a", Body: &testpb.Note{Number: 2}},
		}})
	}))
	resume.fire()
	p.world.seen(t, "pad/a", 2)
	// Notes are events, so they bring the actor back to life: it says that it is done once more.
	require.NotContains(t, live(t, j), durable.Address("pad/nobody"))
	p.ask("pad/a", do(finishing))
	p.world.gone(t, "pad/a", 1)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, []bool{false, false, false, false, true}, leaves)
}

// TestDoneWhileMessagesAreKept: what is kept in the inbox keeps the actor awake.
func TestDoneWhileMessagesAreKept(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		j := d.open(t)
		p := boot(t, j, durable.Options{}, pad0, keeper)
		p.ask("pad/from", sending("keep/a", 1))
		p.until("it keeps", func() bool { return p.ask("keep/a", do(pending)) == 1 })
		p.ask("keep/a", do(finishing))
		require.Contains(t, live(t, j), durable.Address("keep/a"))
		p.ask("keep/a", do(func(s *pad, m durable.Message, _ durable.Env) durable.Outcome {
			out := with(m, nil, postKept(s, 1))
			out.Done = true
			return out
		}))
		p.world.gone(t, "keep/a", 1)
		require.NotContains(t, live(t, j), durable.Address("keep/a"))
	})
}

// TestPassiveActorsCostNothing: starting beside 100,000 actors that are done reads none of them and takes no memory for
// them, nor do those that were woken and left again, nor addresses that were asked for in vain. It measures memory, so it
// does not run in parallel.
func TestPassiveActorsCostNothing(t *testing.T) {
	const passive, asked = 100_000, 3_000
	m := persistence.NewMemory()
	snap, err := record.Encode(&testpb.Pad{Count: 1})
	require.NoError(t, err)
	for i := range passive {
		_, err := m.Submit(&persistence.Commit{
			Actor: durable.Address(fmt.Sprintf("pad/%d", i)), Head: &journal.Head{HasSnapshot: true, Done: true}, Snapshot: &snap,
		})
		require.NoError(t, err)
	}
	j, system := &hooked{Journal: m}, durable.NewSystem(quietLog())
	before := heap()
	p := boot(t, j, durable.Options{System: system})
	require.Zero(t, j.reads.Load())
	const most = 1 << 20 // ten bytes for each would be too many
	require.Less(t, heap()-before, most, "started")

	for i := range asked {
		addr := durable.Address(fmt.Sprintf("pad/%d", i))
		require.EqualValues(t, 1, p.ask(addr, do(reading)).(*testpb.Pad).Count)
	}
	p.until("they leave", func() bool {
		p.world.mu.Lock()
		defer p.world.mu.Unlock()
		return len(p.world.ended) == asked
	})
	p.world.mu.Lock()
	p.world.ended = nil
	p.world.mu.Unlock()
	require.EqualValues(t, asked, j.reads.Load())
	require.Less(t, heap()-before, most, "asked")

	for i := range passive {
		addr := durable.Address(fmt.Sprintf("pad/nobody%d", i))
		require.ErrorIs(t, p.Tell(addr, 7, "for a session that is over"), durable.ErrRestarted)
	}
	require.Less(t, heap()-before, most, "refused")
	runtime.KeepAlive(m)
	runtime.KeepAlive(system)
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int(s.HeapAlloc)
}
