package durable_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/durable/internal/testpb"
	"stormcell/messages/journal"
	"stormcell/messages/record"
	"stormcell/persistence"
)

// allergic is a kind whose actors panic at note 2 as long as sick says so.
func allergic(sick *atomic.Bool) kind {
	return kind{
		Kind: durable.Kind{Name: "to"},
		pads: pads{note: func(_ *pad, m durable.Message, n *testpb.Note, _ durable.Env) durable.Outcome {
			if n.Number == 2 && sick.Load() {
				panic("allergic to number 2")
			}
			return noteIt(m, n)
		}},
	}
}

func newSick() *atomic.Bool {
	var sick atomic.Bool
	sick.Store(true)
	return &sick
}

// TestHalt: an actor backs off between restarts and halts after three failures on one message, with its inbox intact. When
// an operator lets it try again it finds everything, also what came while it was halted.
func TestHalt(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		sick, timer := newSick(), newClock()
		j := d.open(t)
		p := boot(t, j, durable.Options{Runtime: timer}, pad0, allergic(sick))
		p.ask("pad/from", sending("to/a", 1, 2, 3))
		for _, pause := range []time.Duration{0, 100 * time.Millisecond} {
			p.until("it rests", func() bool { return len(timer.pending()) == 1 })
			require.Equal(t, []time.Duration{pause}, timer.pending())
			require.Empty(t, p.Halted())
			timer.advance(pause)
		}
		halt := p.halted("to/a")
		require.Equal(t, durable.Halt{
			Actor: "to/a", Message: halt.Message, About: "inbox " + halt.Message.String(), Failures: 3, Reason: "allergic to number 2",
		}, halt)
		require.False(t, halt.Message.IsZero())
		require.Len(t, p.Halted(), 1)

		require.ErrorIs(t, p.Tell("to/a", 0, do(reading)), durable.ErrHalted)
		_, err := p.Ask(p.ctx(), "to/a", do(reading))
		require.ErrorIs(t, err, durable.ErrHalted)
		p.ask("pad/from", sending("to/a", 4))
		p.ask("pad/from", sending("to/b", 1))
		p.world.seen(t, "to/b", 1)

		sick.Store(false)
		require.NoError(t, p.Retry("to/a"))
		p.world.seen(t, "to/a", 4)
		s := p.state("to/a")
		require.EqualValues(t, 4, s.Count)
		require.Empty(t, s.Wrong)
		require.Empty(t, p.Halted())
		require.ErrorIs(t, p.Retry("to/a"), durable.ErrAbsent)
		require.ErrorIs(t, p.Retry("to/nobody"), durable.ErrAbsent)
		st, err := j.Read("to/a")
		require.NoError(t, err)
		require.Nil(t, st.Head.Failure)
		require.Empty(t, st.Inbox)
	})
}

// TestHaltedQuestions: who waits for an actor that halts hears of it.
func TestHaltedQuestions(t *testing.T) {
	t.Parallel()
	sick, timer := newSick(), newClock()
	p := boot(t, persistence.NewMemory(), durable.Options{Runtime: timer}, pad0, allergic(sick))
	p.ask("pad/from", sending("to/a", 1, 2))
	for range 2 {
		p.until("it rests", func() bool { return len(timer.pending()) == 1 })
		if timer.pending()[0] > 0 {
			break
		}
		timer.advance(0)
	}
	answer := make(chan error, 1)
	require.NoError(t, p.AskFunc("to/a", do(reading), false, func(_ any, err error) { answer <- err }))
	timer.advance(time.Minute)
	err := <-answer
	require.ErrorIs(t, err, durable.ErrHalted)
	require.ErrorContains(t, err, "allergic")
}

// TestHaltSurvivesRestart: the count of failures is durable from the second on, and so is the halt.
func TestHaltSurvivesRestart(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		sick, timer := newSick(), newClock()
		p := boot(t, d.open(t), durable.Options{Runtime: timer}, pad0, allergic(sick))
		p.ask("pad/from", sending("to/a", 1, 2, 3))
		p.until("it rests", func() bool { return len(timer.pending()) == 1 })
		timer.advance(0)
		p.until("it rests longer", func() bool { return len(timer.pending()) == 1 && timer.pending()[0] > 0 })
		p.shut()

		next := boot(t, d.open(t), durable.Options{}, pad0, allergic(sick))
		require.Equal(t, 3, next.halted("to/a").Failures, "one more is enough")
		next.shut()

		third := boot(t, d.open(t), durable.Options{}, pad0, allergic(sick))
		require.Equal(t, 3, third.halted("to/a").Failures, "it does not try again by itself")
		require.Equal(t, "allergic to number 2", third.halted("to/a").Reason)
		sick.Store(false)
		require.NoError(t, third.Retry("to/a"))
		third.world.seen(t, "to/a", 2)
		s := third.state("to/a")
		require.EqualValues(t, 3, s.Count)
		require.Empty(t, s.Wrong)
	})
}

// TestDropMessage: an operator may give up the message that an actor cannot get past.
func TestDropMessage(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		sick := newSick()
		j := d.open(t)
		p := boot(t, j, durable.Options{Runtime: impatient{}}, pad0, allergic(sick))
		p.ask("pad/from", sending("to/a", 1, 2, 3))
		halt := p.halted("to/a")
		require.NoError(t, p.DropMessage("to/a"))
		p.world.seen(t, "to/a", 2)
		s := p.state("to/a")
		require.EqualValues(t, 2, s.Count)
		require.EqualValues(t, 3, s.Newest["pad/from"])
		require.Empty(t, p.Halted())
		require.ErrorIs(t, p.DropMessage("to/a"), durable.ErrAbsent)
		p.shut()
		st := boot(t, d.open(t), durable.Options{}, pad0, allergic(sick)).state("to/a")
		require.EqualValues(t, 2, st.Count)
		require.NotZero(t, halt.Message)
	})
}

// TestSkipPoison: a kind that says so drops the message by itself.
func TestSkipPoison(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		k := allergic(newSick())
		k.SkipPoison = true
		p := boot(t, d.open(t), durable.Options{Runtime: impatient{}}, pad0, k)
		p.ask("pad/from", sending("to/a", 1, 2, 3))
		p.world.seen(t, "to/a", 2)
		s := p.state("to/a")
		require.EqualValues(t, 2, s.Count)
		require.EqualValues(t, 3, s.Newest["pad/from"])
		require.Empty(t, p.Halted())
	})
}

// TestDroppedMessageOfActorThatIsDone: an actor that is done and lost its last message by the drop leaves the live set all
// the same, and so does an address where nothing was ever stored.
func TestDroppedMessageOfActorThatIsDone(t *testing.T) {
	for _, by := range []string{"hand", "rule"} {
		t.Run(by, func(t *testing.T) {
			onBoth(t, func(t *testing.T, d disk) {
				k := kind{
					Kind: durable.Kind{Name: "to", SkipPoison: by == "rule"},
					pads: pads{note: func(*pad, durable.Message, *testpb.Note, durable.Env) durable.Outcome { panic("no notes") }},
				}
				j := d.open(t)
				p := boot(t, j, durable.Options{Runtime: impatient{}}, pad0, k)
				p.ask("to/done", do(func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
					out := write("all")
					out.Done = true
					return with(m, nil, out)
				}))
				p.world.gone(t, "to/done", 1)
				p.ask("pad/from", sending("to/done", 1))
				p.ask("pad/from", sending("to/nobody", 1))
				for _, addr := range []durable.Address{"to/done", "to/nobody"} {
					if by == "hand" {
						p.halted(addr)
						require.Contains(t, live(t, j), addr, "what is halted is not forgotten")
						require.NoError(t, p.DropMessage(addr))
					}
				}
				p.until("they leave the live set", func() bool {
					return len(live(t, j)) == 1 && live(t, j)[0] == "pad/from"
				})
			})
		})
	}
}

// TestCorruptRecordHaltsAtOnce: trying again cannot help, and others are not affected.
func TestCorruptRecordHaltsAtOnce(t *testing.T) {
	t.Parallel()
	j := &hooked{Journal: persistence.NewMemory()}
	var reads atomic.Int64
	j.read = func(addr durable.Address) error {
		if addr == "pad/broken" {
			reads.Add(1)
			return fmt.Errorf("%w: key %q: checksum", persistence.ErrCorrupt, "e/pad/broken\x00\x01")
		}
		return nil
	}
	p := boot(t, j, durable.Options{Runtime: impatient{}})
	_, err := p.Ask(p.ctx(), "pad/broken", do(reading))
	require.ErrorIs(t, err, durable.ErrHalted)
	halt := p.halted("pad/broken")
	require.Contains(t, halt.Reason, "e/pad/broken")
	require.Equal(t, "recovery", halt.About)
	require.EqualValues(t, 1, reads.Load())
	p.ask("pad/from", sending("pad/to", 1))
	p.world.seen(t, "pad/to", 1)
	require.ErrorIs(t, p.DropMessage("pad/broken"), durable.ErrAbsent, "there is no message to drop")
	j.read = nil
	require.NoError(t, p.Retry("pad/broken"))
	require.Zero(t, p.state("pad/broken").Count)
}

// TestRecordOfAnUnknownKind: what this program cannot read halts the actor and says where it is.
func TestRecordOfAnUnknownKind(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		j := d.open(t)
		strange := record.Record{Kind: 9999, Version: 1, Body: []byte("?")}
		_, err := j.Submit(&persistence.Commit{
			Actor: "pad/event", Head: &journal.Head{LastEvent: 1}, Events: []record.Record{strange}, Wake: []durable.Address{"pad/event"},
		})
		require.NoError(t, err)
		_, err = j.Submit(&persistence.Commit{
			Actor: "pad/sender", Send: []persistence.Letter{{To: "pad/letter", Body: strange}}, Wake: []durable.Address{"pad/letter"},
		})
		require.NoError(t, err)
		require.NoError(t, j.Close())
		p := boot(t, d.open(t), durable.Options{Runtime: impatient{}})
		require.Contains(t, p.halted("pad/event").Reason, "pad/event: event 1: unknown record kind: 9999")
		require.Contains(t, p.halted("pad/letter").Reason, "inbox entry 2.0 of pad/letter: unknown record kind: 9999")
	})
}

// TestFailuresOfRecoveryInSuccession: only those count that follow one another.
func TestFailuresOfRecoveryInSuccession(t *testing.T) {
	t.Parallel()
	j := &hooked{Journal: persistence.NewMemory()}
	var failing atomic.Bool
	j.read = func(durable.Address) error {
		if failing.CompareAndSwap(true, false) {
			return errors.New("a read that failed once")
		}
		return nil
	}
	p := boot(t, j, durable.Options{Runtime: impatient{}})
	p.ask("pad/a", writing("x"))
	for range 5 {
		failing.Store(true)
		p.tell("pad/a", do(panicking))
		p.until("it recovers", func() bool { return !failing.Load() })
		require.EqualValues(t, 1, p.state("pad/a").Count)
	}
	require.Empty(t, p.Halted())
}

// TestFailuresOfOtherMessagesBetween do not make an actor forget what is stored of the failures on one.
func TestFailuresOfOtherMessagesBetween(t *testing.T) {
	t.Parallel()
	var failed atomic.Int64
	p := boot(t, persistence.NewMemory(), durable.Options{Runtime: impatient{}}, pad0, kind{
		Kind: durable.Kind{Name: "to"},
		pads: pads{note: func(_ *pad, m durable.Message, n *testpb.Note, _ durable.Env) durable.Outcome {
			// Number 1 fails twice, then number 2 once, then number 1 again.
			if fails := failed.Load(); n.Number == 1 && fails != 2 || n.Number == 2 && fails == 2 {
				failed.Add(1)
				panic("a fault")
			}
			return keepIt(m, n)
		}},
	})
	p.ask("pad/from", sending("to/a", 1, 2))
	halt := p.halted("to/a")
	require.Equal(t, 3, halt.Failures)
	require.EqualValues(t, 4, failed.Load())
	require.EqualValues(t, 0, halt.Message.N)
}

// TestFailingTimerHalts: a message of the actor's own counts too.
func TestFailingTimerHalts(t *testing.T) {
	t.Parallel()
	p := boot(t, persistence.NewMemory(), durable.Options{Runtime: impatient{}}, kind{
		Kind: durable.Kind{Name: "pad"},
		pads: pads{resume: func(*pad, durable.Env) durable.Outcome {
			return durable.Outcome{Release: []durable.Effect{durable.SetTimer{Key: "k", Body: do(panicking)}}}
		}},
	})
	p.ask("pad/a", writing("x"))
	p.tell("pad/a", do(panicking))
	halt := p.halted("pad/a")
	require.True(t, halt.Message.IsZero())
	require.Equal(t, "durable_test.do", halt.About)
	require.Equal(t, 3, halt.Failures)
}

// TestOperatorsAreCareful: asking for halted actors, and retrying those that are not, goes well with actors at work.
func TestOperatorsAreCareful(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	p := boot(t, persistence.NewMemory(), durable.Options{Runtime: impatient{}}, pad0, kind{
		Kind: durable.Kind{Name: "to"},
		pads: pads{
			note: func(_ *pad, m durable.Message, note *testpb.Note, _ durable.Env) durable.Outcome {
				if n.Add(1)%3 == 0 {
					panic("a fault")
				}
				return noteIt(m, note)
			},
			apply: func(proto.Message) {},
		},
	})
	stop := make(chan struct{})
	var operator sync.WaitGroup
	operator.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = p.Retry("to/a")
				_ = p.DropMessage("to/b")
				p.Halted()
			}
		}
	})
	for i := range uint64(100) {
		p.ask("pad/from", sending("to/a", i+1))
	}
	p.world.seen(t, "to/a", 100)
	close(stop)
	operator.Wait()
	require.Empty(t, p.state("to/a").Wrong)
}
