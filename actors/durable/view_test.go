package durable_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/durable/internal/testpb"
	"stormcell/persistence"
)

// TestView: a view shows what has been answered, without waking anybody.
func TestView(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		p := boot(t, d.open(t), durable.Options{})
		for range 3 {
			p.insist("pad/a", do(func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
				return durable.Outcome{
					Events:  []proto.Message{&testpb.Noted{Number: 7}},
					Put:     []durable.Column{{Key: "note/", Value: &testpb.Note{Number: 7}, Numbered: true}},
					Release: []durable.Effect{durable.Reply{To: m.Asker}},
				}
			}))
		}
		want := p.state("pad/a")
		err := p.View(p.ctx(), func(v durable.View) error {
			columns, err := v.Columns(persistence.Page{Prefix: "note/", Limit: 10})
			require.NoError(t, err)
			require.Len(t, columns, 3)
			last := persistence.LSN(0)
			for _, c := range columns {
				lsn, ok := persistence.NumberOf("note/", c.Key)
				require.True(t, ok)
				require.Greater(t, lsn, last)
				last = lsn
			}
			state, err := v.State("pad/a")
			require.NoError(t, err)
			require.True(t, proto.Equal(want, state))
			nothing, err := v.State("pad/never")
			require.NoError(t, err)
			require.Nil(t, nothing)
			_, err = v.Columns(persistence.Page{})
			return err
		})
		require.Error(t, err, "what the reader says comes back: a page without a limit")
		p.shut()
		require.ErrorIs(t, p.View(p.ctx(), nil), durable.ErrStopping)
	})
}

// TestViewIsDurable: what a view may have seen is durable when it returns.
func TestViewIsDurable(t *testing.T) {
	t.Parallel()
	p, j := still(t, func(j *persistence.Memory) persistence.Journal { return eager{j} }, pad0)
	base := j.Last()
	p.tell("pad/a", do(func(*pad, durable.Message, durable.Env) durable.Outcome {
		return durable.Outcome{Put: []durable.Column{{Key: "k", Value: &testpb.Note{Number: 1}}}}
	}))
	p.until("it is submitted", func() bool { return j.Last() == base+1 })
	read := newSignal()
	viewed := make(chan error, 1)
	go func() {
		viewed <- p.View(p.ctx(), func(v durable.View) error {
			defer read.fire()
			_, err := v.Columns(persistence.Page{Prefix: "k", Limit: 1})
			return err
		})
	}()
	read.wait(t)
	p.nothingLeaves()
	require.Empty(t, viewed)
	require.NoError(t, j.Advance(base+1))
	require.NoError(t, <-viewed)

	gone, cancel := context.WithCancel(p.ctx())
	cancel()
	p.tell("pad/a", do(func(*pad, durable.Message, durable.Env) durable.Outcome {
		return durable.Outcome{Put: []durable.Column{{Key: "k", Value: &testpb.Note{Number: 2}}}}
	}))
	p.until("it is submitted", func() bool { return j.Last() == base+2 })
	require.ErrorIs(t, p.View(gone, func(durable.View) error { return nil }), context.Canceled)
}
