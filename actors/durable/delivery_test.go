package durable_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/durable/internal/testpb"
	"stormcell/persistence"
)

// TestDelivery lets many senders send to few receivers at once, with panics in Decide and in Apply and with receivers that
// passivate now and then: each note is noted exactly once, and in the order of the log.
func TestDelivery(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		const senders, receivers, rounds = 16, 3, 60
		var tried sync.Map // each message fails once at most: three times would halt its receiver
		receiver := kind{
			Kind: durable.Kind{Name: "to", SnapshotEvery: 10},
			pads: pads{
				note: func(s *pad, m durable.Message, n *testpb.Note, _ durable.Env) durable.Outcome {
					number := uint64(m.ID.LSN) + uint64(m.ID.N)
					_, again := tried.LoadOrStore(m.ID, true)
					out := noteIt(m, n)
					out.Done = number%7 == 0
					switch {
					case !again && number%50 == 0:
						panic("a fault in Decide")
					case !again && number%50 == 1:
						out.Events = append(out.Events, &testpb.Noted{Text: "fault"})
					}
					return out
				},
				apply: func(ev proto.Message) {
					if n, ok := ev.(*testpb.Noted); ok && n.Text == "fault" {
						panic("a fault in Apply") // once the note itself is applied
					}
				},
			},
		}
		p := boot(t, d.open(t), durable.Options{Runtime: impatient{}}, pad0, receiver)
		var wg sync.WaitGroup
		for i := range senders {
			wg.Go(func() {
				from := durable.Address(fmt.Sprintf("pad/%d", i))
				for round := range uint64(rounds) {
					_, err := p.Ask(p.ctx(), from, do(func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
						out := write("")
						for r := range receivers {
							out.Send = append(out.Send, durable.Envelope{
								To: durable.Address(fmt.Sprintf("to/%d", r)), Body: &testpb.Note{Number: round + 1},
							})
						}
						return with(m, nil, out)
					}))
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		for r := range receivers {
			addr := durable.Address(fmt.Sprintf("to/%d", r))
			p.until("every note arrives", func() bool { return p.state(addr).Count >= senders*rounds })
			s := p.state(addr)
			require.EqualValues(t, senders*rounds, s.Count)
			require.Empty(t, s.Wrong)
			require.Len(t, s.Newest, senders)
		}
		require.Empty(t, p.Halted())
		p.shut()

		next := boot(t, d.open(t), durable.Options{Runtime: impatient{}}, pad0, receiver)
		for r := range receivers {
			s := next.state(durable.Address(fmt.Sprintf("to/%d", r)))
			require.EqualValues(t, senders*rounds, s.Count)
			require.Empty(t, s.Wrong)
		}
	})
}

// TestEffectsLeaveInOrder: however often an actor restarts, what it releases leaves in the order of its steps.
func TestEffectsLeaveInOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		const notes = 300
		var steps atomic.Int64
		p := boot(t, d.open(t), durable.Options{Runtime: impatient{}}, pad0, kind{
			Kind: durable.Kind{Name: "to"},
			pads: pads{note: func(_ *pad, m durable.Message, n *testpb.Note, _ durable.Env) durable.Outcome {
				if steps.Add(1)%20 == 0 {
					panic("a fault")
				}
				return noteIt(m, n)
			}},
		})
		for n := range uint64(notes) {
			p.ask("pad/from", sending("to/a", n+1))
		}
		var last uint64
		for _, e := range p.world.seen(t, "to/a", notes) {
			require.Equal(t, last+1, e.(seen).number)
			last++
		}
	})
}

// TestMessageReadBeforeItIsHandedOn: an actor that recovers finds a message in its inbox that its sender has submitted and
// not yet handed on. It must not get it twice.
func TestMessageReadBeforeItIsHandedOn(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		var decided atomic.Int64
		first := newSignal()
		j := &hooked{Journal: d.open(t)}
		p := boot(t, j, durable.Options{}, pad0, kind{
			Kind: durable.Kind{Name: "to"},
			pads: pads{note: func(_ *pad, m durable.Message, n *testpb.Note, _ durable.Env) durable.Outcome {
				decided.Add(1)
				first.fire()
				return noteIt(m, n)
			}},
		})
		p.ask("pad/from", writing("here"))
		j.submitted = func(c *persistence.Commit, lsn persistence.LSN) {
			if len(c.Send) > 0 {
				j.Hurry(lsn)
				require.Eventually(t, func() bool { return j.Durable() >= lsn }, time.Minute, time.Millisecond)
				_ = p.Wake("to/a")
				first.wait(t)
			}
		}
		p.ask("pad/from", sending("to/a", 1))
		require.EqualValues(t, 1, p.state("to/a").Count)
		require.EqualValues(t, 1, decided.Load(), "it was decided on again")
		require.Empty(t, p.Halted())
	})
}

// TestFreshActorsDoNotWaitForTheDisk: an actor whose earlier steps are durable, or that took none, takes what is sent to it
// before that is durable. One that took steps which are not waits until it can read them.
func TestFreshActorsDoNotWaitForTheDisk(t *testing.T) {
	t.Parallel()
	journal := persistence.NewStepped()
	p := boot(t, journal, durable.Options{}, pad0, kind{
		Kind: durable.Kind{Name: "to"},
		pads: pads{note: func(_ *pad, m durable.Message, n *testpb.Note, _ durable.Env) durable.Outcome {
			out := noteIt(m, n)
			out.Done = true
			return out
		}},
	})
	p.tell("pad/from", sending("to/a", 1))
	p.until("the first note is taken", func() bool {
		ahead, err := journal.ReadAhead("to/a")
		return err == nil && ahead.Head.GetLastEvent() == 1
	})
	require.Zero(t, journal.Durable())
	p.tell("pad/from", sending("to/a", 2))
	p.until("both notes are taken", func() bool {
		journal.Advance(journal.Last())
		stored, err := journal.Read("to/a")
		return err == nil && stored.Head.GetLastEvent() == 2
	})
	p.world.seen(t, "to/a", 2)
}

// TestSelfSend: what an actor sends to itself arrives, behind what came before.
func TestSelfSend(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		p := boot(t, d.open(t), durable.Options{})
		p.ask("pad/a", sending("pad/a", 1, 2, 3))
		p.world.seen(t, "pad/a", 3)
		s := p.state("pad/a")
		require.EqualValues(t, 4, s.Count)
		require.Empty(t, s.Wrong)
	})
}

// TestNextComesBehindWhatWaits: a message to itself stands behind all that waits already.
func TestNextComesBehindWhatWaits(t *testing.T) {
	t.Parallel()
	p := boot(t, persistence.NewMemory(), durable.Options{})
	entered, resume := newSignal(), newSignal()
	var order []string
	p.tell("pad/a", do(func(*pad, durable.Message, durable.Env) durable.Outcome {
		entered.fire()
		resume.wait(t)
		order = append(order, "first")
		return durable.Outcome{Next: []any{do(func(*pad, durable.Message, durable.Env) durable.Outcome {
			order = append(order, "next")
			return durable.Outcome{}
		})}}
	}))
	entered.wait(t)
	p.tell("pad/a", do(func(*pad, durable.Message, durable.Env) durable.Outcome {
		order = append(order, "second")
		return durable.Outcome{}
	}))
	resume.fire()
	p.ask("pad/a", writing("third"))
	p.ask("pad/a", writing("fourth"))
	require.Equal(t, []string{"first", "second", "next"}, order)
}
