package durable_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	"stormcell/actors/durable/internal/testpb"
	"stormcell/persistence"
)

// TestStopUnderLoad stops a kernel in the middle of its work: every question is answered, what was acknowledged is there,
// what left the actors is there too, and the next process does the rest.
func TestStopUnderLoad(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		const actors = 8
		p := boot(t, d.open(t), durable.Options{}, pad0)
		var acknowledged [actors]uint64
		var asked sync.WaitGroup
		var busy sync.WaitGroup
		busy.Add(actors)
		for i := range actors {
			asked.Go(func() {
				addr := durable.Address(fmt.Sprintf("pad/%d", i))
				ready := sync.OnceFunc(busy.Done)
				defer ready()
				for n := uint64(1); ; n++ {
					_, err := p.Ask(p.ctx(), addr, sending("pad/to", n))
					if errors.Is(err, durable.ErrStopping) || errors.Is(err, durable.ErrRestarted) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					acknowledged[i] = n
					if n == 20 {
						ready()
					}
				}
			})
		}
		busy.Wait()
		require.NoError(t, p.Stop(p.ctx()))
		asked.Wait()
		require.Equal(t, p.journal.Last(), p.journal.Durable(), "the log is durable")
		shown := map[durable.Address]uint64{}
		p.world.mu.Lock()
		for _, r := range p.world.released {
			if s, ok := r.effect.(seen); ok {
				shown[s.from] = max(shown[s.from], s.number)
			}
		}
		ends := len(p.world.ended)
		p.world.mu.Unlock()
		require.ErrorIs(t, p.Tell("pad/1", 0, nil), durable.ErrStopping)
		require.ErrorIs(t, p.Stop(p.ctx()), durable.ErrStopping, "it has stopped already")
		require.NoError(t, p.journal.Close())
		require.GreaterOrEqual(t, ends, actors+1, "every incarnation has ended")

		next := boot(t, d.open(t), durable.Options{}, pad0)
		to := next.state("pad/to")
		require.Empty(t, to.Wrong)
		for i := range actors {
			addr := durable.Address(fmt.Sprintf("pad/%d", i))
			sent := next.state(addr).Count
			require.GreaterOrEqual(t, sent, acknowledged[i])
			require.GreaterOrEqual(t, sent, shown[addr])
			next.until("all notes arrive", func() bool { return next.state("pad/to").Newest[string(addr)] == sent })
		}
	})
}

// TestStopAnswersThoseWhoWait: whoever waits for an answer when the kernel stops gets one, wherever the question stands.
func TestStopAnswersThoseWhoWait(t *testing.T) {
	t.Parallel()
	timer := newClock()
	p := boot(t, persistence.NewMemory(), durable.Options{Runtime: timer})
	entered, resume := newSignal(), newSignal()
	var answers sync.WaitGroup
	ask := func(addr durable.Address, body any, want error) {
		answers.Add(1)
		require.NoError(t, p.AskFunc(addr, body, false, func(_ any, err error) {
			defer answers.Done()
			if !errors.Is(err, want) {
				t.Errorf("%s answers %v, not %v", addr, err, want)
			}
		}))
	}
	// One that is decided on and never answered, one behind a step under way, one at an actor that rests after failures.
	ask("pad/silent", do(func(*pad, durable.Message, durable.Env) durable.Outcome { return write("x") }), durable.ErrRestarted)
	ask("pad/busy", do(func(*pad, durable.Message, durable.Env) durable.Outcome {
		entered.fire()
		resume.wait(t)
		return write("x")
	}), durable.ErrRestarted)
	entered.wait(t)
	ask("pad/busy", writing("y"), durable.ErrStopping)
	for n := range 2 {
		ask("pad/resting", do(panicking), durable.ErrRestarted)
		p.world.gone(t, "pad/resting", n+1)
		p.until("it rests", func() bool { return len(timer.pending()) == 1 })
		if n == 0 {
			timer.advance(0)
		}
	}
	ask("pad/resting", writing("y"), durable.ErrStopping)

	stopped := make(chan error, 1)
	go func() { stopped <- p.Stop(p.ctx()) }()
	p.until("it stops", func() bool { return errors.Is(p.Tell("pad/a", 0, nil), durable.ErrStopping) })
	resume.fire()
	require.NoError(t, <-stopped)
	done := make(chan struct{})
	go func() { answers.Wait(); close(done) }()
	select {
	case <-done:
	case <-soon(t).Done():
		require.Fail(t, "somebody waits for ever")
	}
}

// TestStopGivesUpOnStepThatHangs: a step that does not end must not hold up the end of the process for ever.
func TestStopGivesUpOnStepThatHangs(t *testing.T) {
	t.Parallel()
	p := boot(t, persistence.NewMemory(), durable.Options{})
	entered, resume := newSignal(), newSignal()
	p.tell("pad/a", do(func(*pad, durable.Message, durable.Env) durable.Outcome {
		entered.fire()
		resume.wait(t)
		return write("late")
	}))
	entered.wait(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.Stop(ctx), context.Canceled)
	resume.fire()
}

// TestStopLeavesNothingBehind: when the kernel has stopped, its goroutines are gone. It does not run in parallel, so that
// those of other tests are not there.
func TestStopLeavesNothingBehind(t *testing.T) {
	p := boot(t, persistence.NewMemory(), durable.Options{})
	for i := range 50 {
		p.ask(durable.Address(fmt.Sprintf("pad/%d", i)), writing("x"))
	}
	p.shut()
	buf := make([]byte, 1<<20)
	p.until("its goroutines end", func() bool {
		stacks := string(buf[:runtime.Stack(buf, true)])
		return !strings.Contains(stacks, "stormcell/actors/durable.") && !strings.Contains(stacks, "protoactor")
	})
}

// TestJournalFails: when the log cannot go on, it says so once, everybody who waits hears of it, and nothing leaves that is
// not durable.
func TestJournalFails(t *testing.T) {
	t.Parallel()
	j := persistence.NewStepped()
	var calls atomic.Int64
	failed := make(chan error, 8)
	var p *process
	p = boot(t, j, durable.Options{Failed: func(err error) {
		calls.Add(1)
		failed <- err
		_ = p.Stop(p.ctx()) // what a daemon does
		failed <- nil
	}})
	answer := make(chan error, 1)
	p.tell("pad/a", writing("durable"))
	p.until("a begins", func() bool { return j.Last() == 1 })
	require.NoError(t, j.Advance(1))
	j.FailAt(2)
	p.tell("pad/a", do(func(*pad, durable.Message, durable.Env) durable.Outcome {
		out := write("lost")
		out.Release = []durable.Effect{seen{"lost", 1}}
		return out
	}))
	go func() {
		_, err := p.Ask(p.ctx(), "pad/a", writing("lost too"))
		answer <- err
	}()
	p.until("all is submitted", func() bool { return j.Last() == 3 })
	require.Error(t, j.Advance(3))
	<-p.Dead()
	require.ErrorContains(t, p.Err(), "write failed as the test asked")
	require.ErrorContains(t, <-failed, "write failed as the test asked")
	require.NoError(t, <-failed, "Stop returns within Failed")
	require.ErrorContains(t, <-answer, "write failed as the test asked")
	_, err := p.Ask(p.ctx(), "pad/a", writing("x"))
	require.ErrorContains(t, err, "write failed as the test asked")
	require.ErrorContains(t, p.Stop(p.ctx()), "write failed as the test asked")
	p.world.gone(t, "pad/a", 1)
	require.EqualValues(t, 1, calls.Load())
	require.Empty(t, p.world.released)

	// The next process finds what was durable.
	next := boot(t, j.Crash(1), durable.Options{})
	asked := make(chan *testpb.Pad, 1)
	go func() { asked <- next.state("pad/a") }()
	require.Equal(t, []string{"durable"}, (<-asked).Texts)
}

// TestJournalRefusesInAStep: a journal that is closed under the kernel ends it too.
func TestJournalRefusesInAStep(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 8)
	var p *process
	stop := func(err error) {
		failed <- err
		failed <- p.Stop(p.ctx())
	}
	p = boot(t, persistence.NewMemory(), durable.Options{Failed: stop})
	p.ask("pad/a", writing("x"))
	require.NoError(t, p.journal.Close())
	_, err := p.Ask(p.ctx(), "pad/a", writing("y"))
	require.ErrorIs(t, err, persistence.ErrClosed)
	require.ErrorIs(t, <-failed, persistence.ErrClosed)
	require.ErrorIs(t, <-failed, persistence.ErrClosed)
}
