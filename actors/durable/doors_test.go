package durable_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	"stormcell/actors/durable/internal/testpb"
	messages "stormcell/messages/durable"
	"stormcell/persistence"
)

// hold lets an actor wait in a step until resume fires.
func (p *process) hold(addr durable.Address) (resume *signal) {
	p.t.Helper()
	entered, resume := newSignal(), newSignal()
	p.t.Cleanup(resume.fire)
	p.tell(addr, do(func(*pad, durable.Message, durable.Env) durable.Outcome {
		entered.fire()
		<-resume.c
		return durable.Outcome{}
	}))
	entered.wait(p.t)
	return resume
}

// TestBusy: outsiders fill a mailbox up to its bound; what is promised always gets in.
func TestBusy(t *testing.T) {
	t.Parallel()
	p := boot(t, persistence.NewMemory(), durable.Options{}, pad0, kind{Kind: durable.Kind{Name: "small", Mailbox: 3}})
	resume := p.hold("small/a")
	noting := do(func(*pad, durable.Message, durable.Env) durable.Outcome { return write("from outside") })
	for range 3 {
		require.NoError(t, p.Tell("small/a", 0, noting))
	}
	require.ErrorIs(t, p.Tell("small/a", 0, noting), durable.ErrBusy)
	_, err := p.Ask(p.ctx(), "small/a", do(reading))
	require.ErrorIs(t, err, durable.ErrBusy)
	p.ask("pad/from", sending("small/a", 1, 2, 3, 4, 5))
	resume.fire()
	p.world.seen(t, "small/a", 5)
	require.Len(t, p.state("small/a").Texts, 3)
	require.EqualValues(t, 8, p.state("small/a").Count)
}

// TestOverloaded: past the watermark new work is refused; promised work, questions and all else get in. Kept messages count.
func TestOverloaded(t *testing.T) {
	t.Parallel()
	slow := kind{Kind: durable.Kind{Name: "keep", Watermark: 4}, pads: keeper.pads}
	p := boot(t, persistence.NewMemory(), durable.Options{}, pad0, slow)
	propose := func() error {
		_, err := p.Propose(p.ctx(), "keep/a", do(reading))
		return err
	}
	p.ask("pad/from", sending("keep/a", 1, 2, 3))
	p.until("it keeps three", func() bool { return p.ask("keep/a", do(pending)) == 3 })
	require.NoError(t, propose())
	p.ask("pad/from", sending("keep/a", 4, 5))
	p.until("it keeps five", func() bool { return p.ask("keep/a", do(pending)) == 5 })
	require.ErrorIs(t, propose(), durable.ErrOverloaded)
	require.NoError(t, p.Tell("keep/a", 0, do(reading)))
	p.ask("keep/a", do(func(s *pad, m durable.Message, _ durable.Env) durable.Outcome {
		return with(m, nil, postKept(s, 5))
	}))
	require.NoError(t, propose())

	resume := p.hold("keep/a")
	p.ask("pad/from", sending("keep/a", 6, 7, 8, 9))
	require.ErrorIs(t, propose(), durable.ErrOverloaded, "those that wait for a first decision count as well")
	resume.fire()
}

// TestDoorsRefuse: addresses that lead nowhere.
func TestDoorsRefuse(t *testing.T) {
	t.Parallel()
	p := boot(t, persistence.NewMemory(), durable.Options{})
	for addr, want := range map[durable.Address]error{
		"nobody/a": durable.ErrUnknownKind,
		"pad":      persistence.ErrBadAddress,
		"pad/":     persistence.ErrBadAddress,
		"/a":       persistence.ErrBadAddress,
		"":         persistence.ErrBadAddress,
		"pad/a b":  persistence.ErrBadAddress,
		"pad/\x00": persistence.ErrBadAddress,
		durable.Address("pad/" + strings.Repeat("x", 600)): persistence.ErrBadAddress,
	} {
		require.ErrorIs(t, p.Tell(addr, 0, do(reading)), want)
		require.ErrorIs(t, p.Wake(addr), want)
		_, err := p.Ask(p.ctx(), addr, do(reading))
		require.ErrorIs(t, err, want)
		_, err = p.Propose(p.ctx(), addr, do(reading))
		require.ErrorIs(t, err, want)
	}
	require.NoError(t, p.Stop(p.ctx()))
	_, err := p.Propose(p.ctx(), "pad/a", do(reading))
	require.ErrorIs(t, err, durable.ErrStopping)
}

// TestAskGivesUp: the answer that comes later finds nobody, and nobody remembers who asked.
func TestAskGivesUp(t *testing.T) {
	t.Parallel()
	p := boot(t, persistence.NewMemory(), durable.Options{})
	entered, resume := newSignal(), newSignal()
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	go func() {
		_, err := p.Ask(ctx, "pad/a", do(func(s *pad, m durable.Message, env durable.Env) durable.Outcome {
			entered.fire()
			<-resume.c
			return reading(s, m, env)
		}))
		answer <- err
	}()
	entered.wait(t)
	cancel()
	err := <-answer
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "pad/a")
	resume.fire()
	p.ask("pad/a", writing("goes on"))
}

// TestUnansweredQuestions: an actor that never answers holds no memory for those who gave up, and answers the rest when it
// ends. It measures memory, so it does not run in parallel.
func TestUnansweredQuestions(t *testing.T) {
	system := durable.NewSystem(quietLog())
	p := boot(t, persistence.NewMemory(), durable.Options{System: system, Runtime: impatient{}})
	p.ask("pad/a", writing("here"))
	silent := do(func(*pad, durable.Message, durable.Env) durable.Outcome { return durable.Outcome{} })
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	before := heap()
	for range 20_000 {
		_, err := p.Ask(gone, "pad/a", silent)
		for errors.Is(err, durable.ErrBusy) {
			runtime.Gosched()
			_, err = p.Ask(gone, "pad/a", silent)
		}
		require.ErrorIs(t, err, context.Canceled)
	}
	p.until("all are decided on", func() bool {
		_, err := p.Ask(p.ctx(), "pad/a", do(reading))
		return err == nil
	})
	require.Less(t, heap()-before, 1<<20)
	runtime.KeepAlive(system)

	answers := make(chan error, 100)
	for range 100 {
		require.NoError(t, p.AskFunc("pad/a", silent, false, func(_ any, err error) { answers <- err }))
	}
	p.tell("pad/a", do(panicking))
	for range 100 {
		require.ErrorIs(t, <-answers, durable.ErrRestarted)
	}
}

// TestRefuse: a refusal is a typed answer; a message that nobody waits for is refused to the world.
func TestRefuse(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		p := boot(t, d.open(t), durable.Options{})
		reason := errors.New("not today")
		refusing := do(func(*pad, durable.Message, durable.Env) durable.Outcome {
			out := write("asked")
			out.Refuse = reason
			return out
		})
		_, err := p.Ask(p.ctx(), "pad/a", refusing)
		require.ErrorIs(t, err, reason)
		p.tell("pad/a", refusing)
		refused := p.world.seen(t, "pad/a", 1)[0].(durable.Refused)
		require.ErrorIs(t, refused.Err, reason)
		require.IsType(t, refusing, refused.Body)
		require.EqualValues(t, 2, p.state("pad/a").Count, "a refusal may change something")
	})
}

// TestAbsent: a message that finds nobody and creates nothing is answered, and stores nothing.
func TestAbsent(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		picky := kind{Kind: durable.Kind{Name: "picky", Creates: func(body any) bool {
			note, ok := body.(*testpb.Note)
			return ok && note.Text == "create"
		}}}
		asker := pad0
		answers := make(chan *messages.Absent, 4)
		asker.other = func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
			absent := m.Body.(*messages.Absent)
			answers <- absent
			return write("absent: " + absent.Address)
		}
		j := d.open(t)
		p := boot(t, j, durable.Options{}, asker, picky)
		_, err := p.Ask(p.ctx(), "picky/a", do(reading))
		require.ErrorIs(t, err, durable.ErrAbsent)
		p.tell("picky/a", do(reading)) // nobody hears of it

		p.ask("pad/from", sending("picky/a", 7))
		absent := <-answers
		require.Equal(t, "picky/a", absent.Address)
		require.EqualValues(t, 9101, absent.Kind)
		require.EqualValues(t, 1, absent.Version)
		require.NotEmpty(t, absent.Body)
		p.until("it notes that", func() bool { return p.state("pad/from").Count == 2 })
		require.Equal(t, []durable.Address{"pad/from"}, live(t, j))
		st, err := j.Read("picky/a")
		require.NoError(t, err)
		require.Nil(t, st.Head)
		require.Empty(t, st.Inbox)

		p.ask("pad/from", do(func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
			return with(m, nil, durable.Outcome{Send: []durable.Envelope{{To: "picky/a", Body: &testpb.Note{Number: 1, Text: "create"}}}})
		}))
		p.world.seen(t, "picky/a", 1)
		require.EqualValues(t, 1, p.state("picky/a").Count)
	})
}

// TestAbsentIsNotAnsweredByAbsent: two that are not there do not talk to each other for ever.
func TestAbsentIsNotAnsweredByAbsent(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		ghost := kind{
			Kind: durable.Kind{Name: "ghost", Creates: func(body any) bool { _, ok := body.(do); return ok }},
		}
		j := d.open(t)
		p := boot(t, j, durable.Options{}, ghost)
		// It sends without storing anything, so it is as absent as the other.
		p.ask("ghost/a", do(func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
			return with(m, nil, durable.Outcome{Send: []durable.Envelope{{To: "ghost/b", Body: &testpb.Note{}}}})
		}))
		p.world.gone(t, "ghost/b", 1)
		p.until("the live set is empty", func() bool { return len(live(t, j)) == 0 && j.Last() == j.Durable() })
		require.EqualValues(t, 3, j.Last(), "the note, the answer, and its end")
	})
}
