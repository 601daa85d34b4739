package durable_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	"stormcell/actors/durable/internal/testpb"
	"stormcell/persistence"
)

// TestVolatileMessagePanics: whoever asked hears of it, the world hears that the incarnation is gone, messages for it no
// longer arrive, and however often that happens the actor does not halt.
func TestVolatileMessagePanics(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		p := boot(t, d.open(t), durable.Options{Runtime: impatient{}})
		p.ask("pad/a", writing("kept"))
		current := p.ask("pad/a", do(session)).(uint64)
		for i := range 6 {
			_, err := p.Ask(p.ctx(), "pad/a", do(panicking))
			require.ErrorIs(t, err, durable.ErrRestarted)
			require.Equal(t, current, p.world.gone(t, "pad/a", i+1)[i])
			require.ErrorIs(t, p.Tell("pad/a", current, do(panicking)), durable.ErrRestarted)
			next := p.insist("pad/a", do(session)).(uint64)
			require.Greater(t, next, current)
			current = next
		}
		require.NoError(t, p.Tell("pad/a", current, do(func(*pad, durable.Message, durable.Env) durable.Outcome {
			return write("now")
		})))
		require.Equal(t, []string{"kept", "now"}, p.state("pad/a").Texts)
		require.Empty(t, p.Halted())
	})
}

// TestMessagesOfAnOldSessionAreDropped: what waited for an incarnation that failed does not reach the next; what is for
// whoever runs does. And an actor that is done leaves although such a message was in its mailbox.
func TestMessagesOfAnOldSessionAreDropped(t *testing.T) {
	t.Parallel()
	p := boot(t, persistence.NewMemory(), durable.Options{Runtime: impatient{}})
	entered, resume := newSignal(), newSignal()
	var current uint64
	p.tell("pad/a", do(func(_ *pad, _ durable.Message, env durable.Env) durable.Outcome {
		current = env.Session()
		entered.fire()
		resume.wait(t)
		out := write("done")
		out.Done = true
		return out
	}))
	entered.wait(t)
	p.tell("pad/a", do(panicking))
	require.NoError(t, p.Tell("pad/a", current, do(func(*pad, durable.Message, durable.Env) durable.Outcome {
		return write("of the old session")
	})))
	resume.fire()
	p.world.gone(t, "pad/a", 2)
	require.Equal(t, []string{"done"}, p.state("pad/a").Texts)
}

// TestRestartReadsAllThatWasSubmitted: in a living process an actor that restarts waits for the disk, and finds what it did.
func TestRestartReadsAllThatWasSubmitted(t *testing.T) {
	t.Parallel()
	j := persistence.NewStepped()
	p := boot(t, j, durable.Options{Runtime: impatient{}})
	t.Cleanup(func() { _ = j.Close() }) // before the kernel stops: it waits for the disk
	there := newSignal()
	require.NoError(t, p.AskFunc("pad/b", writing("x"), false, func(any, error) { there.fire() }))
	p.until("b writes", func() bool { return j.Last() == 1 })
	require.NoError(t, j.Advance(1))
	there.wait(t)
	decided := make(chan uint64, 8)
	note := do(func(s *pad, _ durable.Message, _ durable.Env) durable.Outcome {
		decided <- s.stored.Count
		return write("x")
	})
	for n := range uint64(3) {
		p.tell("pad/a", note)
		require.Equal(t, n, <-decided)
	}
	p.tell("pad/a", do(panicking))
	p.world.gone(t, "pad/a", 1)
	p.tell("pad/a", note)
	p.ask("pad/b", do(reading)) // others are not held up
	select {
	case n := <-decided:
		require.Fail(t, "it began before the log was durable", "with %d notes", n)
	default:
	}
	require.NoError(t, j.Advance(j.Last()))
	require.EqualValues(t, 3, <-decided)
}

// TestPanicAmongKeptMessages: a panic between kept messages loses none and doubles none, and those behind it go on.
func TestPanicAmongKeptMessages(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		p := boot(t, d.open(t), durable.Options{Runtime: impatient{}}, pad0, keeper)
		p.ask("pad/from", sending("keep/a", 1, 2, 3))
		p.until("it keeps three", func() bool { return p.insist("keep/a", do(pending)) == 3 })
		p.tell("keep/a", do(panicking))
		p.ask("pad/from", sending("keep/a", 4, 5))
		p.until("it keeps five", func() bool { return p.insist("keep/a", do(pending)) == 5 })
		p.insist("keep/a", do(func(s *pad, m durable.Message, _ durable.Env) durable.Outcome {
			return with(m, nil, postKept(s, 2))
		}))
		p.tell("keep/a", do(panicking))
		p.until("it keeps three again", func() bool { return p.insist("keep/a", do(pending)) == 3 })
		p.insist("keep/a", do(func(s *pad, m durable.Message, _ durable.Env) durable.Outcome {
			return with(m, nil, postKept(s, 3))
		}))
		s := p.state("keep/a")
		require.EqualValues(t, 5, s.Count)
		require.Empty(t, s.Wrong)
	})
}

// session answers with the number of the incarnation.
func session(_ *pad, m durable.Message, env durable.Env) durable.Outcome {
	return with(m, env.Session(), durable.Outcome{})
}

// pending answers with how many notes are kept.
func pending(s *pad, m durable.Message, _ durable.Env) durable.Outcome {
	return with(m, len(s.kept), durable.Outcome{})
}

// keeper is a kind that leaves its notes in the inbox until it is told to post them.
var keeper = kind{
	Kind: durable.Kind{Name: "keep"},
	pads: pads{note: func(_ *pad, m durable.Message, n *testpb.Note, _ durable.Env) durable.Outcome { return keepIt(m, n) }},
}
