package durable_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	"stormcell/actors/durable/internal/testpb"
	"stormcell/persistence"
)

// TestDurableBeforeSubmitReturns: the disk may be done with a commit before Submit has returned. No actor may be held back
// for that, with nobody left to let it go on.
func TestDurableBeforeSubmitReturns(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		j := &hooked{Journal: d.open(t)}
		p := boot(t, j, durable.Options{})
		p.ask("pad/other", writing("here"))
		var answer any
		j.submitted = func(_ *persistence.Commit, lsn persistence.LSN) {
			p.until("the commit is durable", func() bool { return j.Durable() >= lsn })
			var asked sync.WaitGroup
			asked.Go(func() { answer = p.ask("pad/other", do(reading)) })
			asked.Wait()
		}
		p.ask("pad/a", writing("here"))
		require.EqualValues(t, 1, answer.(*testpb.Pad).Count)
	})
}

// TestBacklog: actors that only talk to each other are held back while the disk is behind, and go on when it is not; what is
// kept for the disk is bounded, and those that are held back find everything that came meanwhile.
func TestBacklog(t *testing.T) {
	t.Parallel()
	j := persistence.NewStepped()
	var decided atomic.Int64
	p := boot(t, j, durable.Options{}, kind{
		Kind: durable.Kind{Name: "pad"},
		pads: pads{note: func(s *pad, m durable.Message, n *testpb.Note, _ durable.Env) durable.Outcome {
			decided.Add(1)
			out := noteIt(m, n)
			out.Send = []durable.Envelope{{To: m.From, Body: &testpb.Note{Number: s.stored.Newest["own"] + n.Number}}}
			return out
		}},
	})
	const pairs = 8
	for i := range pairs {
		a, b := durable.Address("pad/"+string(rune('a'+i))), durable.Address("pad/"+string(rune('A'+i)))
		p.tell(a, do(func(*pad, durable.Message, durable.Env) durable.Outcome {
			return durable.Outcome{Send: []durable.Envelope{{To: b, Body: &testpb.Note{Number: 1}}}}
		}))
	}
	// Recovery waits for the disk: each actor begins only behind what was submitted before.
	for decided.Load() < 100 {
		require.NoError(t, j.Advance(j.Last()))
	}
	durable0 := j.Durable()
	held := func() bool { return j.Last()-durable0 >= 8192 }
	p.until("the actors are far ahead", held)
	require.Less(t, uint64(j.Last()-durable0), uint64(8192+2*pairs+1), "each turn that ran may add one")

	// What comes for an actor that is held back is there when it goes on.
	var answered sync.WaitGroup
	for i := range pairs {
		for range 10 {
			answered.Go(func() { p.ask(durable.Address("pad/"+string(rune('a'+i))), do(reading)) })
		}
	}
	stop := make(chan struct{})
	var disk sync.WaitGroup
	disk.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = j.Advance(j.Durable() + 1000)
			}
		}
	})
	answered.Wait()
	before := decided.Load()
	p.until("the actors go on", func() bool { return decided.Load() > before+10_000 })
	close(stop)
	disk.Wait()
	require.NoError(t, j.Advance(j.Last()))
	var stopped sync.WaitGroup
	stopped.Go(func() { require.NoError(t, p.Stop(p.ctx())) })
	ended := make(chan struct{})
	go func() { stopped.Wait(); close(ended) }()
	for done := false; !done; {
		select {
		case <-ended:
			done = true
		default:
			require.NoError(t, j.Advance(j.Last()))
		}
	}
}
