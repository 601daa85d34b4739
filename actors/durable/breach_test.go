package durable_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/durable/internal/testpb"
	"stormcell/persistence"
)

// breaches are outcomes that no correct core gives.
var breaches = []struct {
	name string
	what func(s *pad, m durable.Message, env durable.Env) durable.Outcome
	only string // "note" when it is only wrong for a durable message, "do" for a volatile one
}{
	{"keep a volatile message", func(*pad, durable.Message, durable.Env) durable.Outcome {
		return durable.Outcome{Keep: true}
	}, "do"},
	{"keep with events", func(*pad, durable.Message, durable.Env) durable.Outcome {
		out := write("x")
		out.Keep = true
		return out
	}, ""},
	{"keep with a column", func(*pad, durable.Message, durable.Env) durable.Outcome {
		return durable.Outcome{Keep: true, Put: []durable.Column{{Key: "k", Value: &testpb.Note{}}}}
	}, ""},
	{"keep with a message", func(*pad, durable.Message, durable.Env) durable.Outcome {
		return durable.Outcome{Keep: true, Send: []durable.Envelope{{To: "other/a", Body: &testpb.Note{}}}}
	}, ""},
	{"keep and be done", func(*pad, durable.Message, durable.Env) durable.Outcome {
		return durable.Outcome{Keep: true, Done: true}
	}, ""},
	{"refuse a durable message", func(*pad, durable.Message, durable.Env) durable.Outcome {
		return durable.Outcome{Refuse: fmt.Errorf("no")}
	}, "note"},
	{"consume what is not kept", func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
		out := write("x")
		out.Also = []durable.Ref{{LSN: 1, N: 77}}
		return out
	}, ""},
	{"consume the message itself", func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
		out := write("x")
		out.Also = []durable.Ref{m.ID}
		return out
	}, ""},
	{"send nothing", func(*pad, durable.Message, durable.Env) durable.Outcome {
		out := write("x")
		out.Send = []durable.Envelope{{To: "other/a"}}
		return out
	}, ""},
	{"send to an unknown kind", func(*pad, durable.Message, durable.Env) durable.Outcome {
		out := write("x")
		out.Send = []durable.Envelope{{To: "nobody/a", Body: &testpb.Note{}}}
		return out
	}, ""},
	{"send to a bad address", func(*pad, durable.Message, durable.Env) durable.Outcome {
		out := write("x")
		out.Send = []durable.Envelope{{To: "other", Body: &testpb.Note{}}}
		return out
	}, ""},
	{"send what cannot be stored", func(*pad, durable.Message, durable.Env) durable.Outcome {
		out := write("x")
		out.Send = []durable.Envelope{{To: "other/a", Body: &testpb.Loose{}}}
		return out
	}, ""},
	{"an event that cannot be stored", func(*pad, durable.Message, durable.Env) durable.Outcome {
		out := write("x")
		out.Events = append(out.Events, &testpb.Loose{})
		return out
	}, ""},
	{"a nil event", func(*pad, durable.Message, durable.Env) durable.Outcome {
		out := write("x")
		out.Events = append(out.Events, nil)
		return out
	}, ""},
	{"a column that cannot be stored", func(*pad, durable.Message, durable.Env) durable.Outcome {
		out := write("x")
		out.Put = []durable.Column{{Key: "k", Value: &testpb.Loose{}}}
		return out
	}, ""},
	{"a column without a key", func(*pad, durable.Message, durable.Env) durable.Outcome {
		out := write("x")
		out.Put = []durable.Column{{Value: &testpb.Note{}}}
		return out
	}, ""},
	{"a commit that is too large", func(*pad, durable.Message, durable.Env) durable.Outcome {
		out := write("x")
		for i := range 8 {
			out.Put = append(out.Put, durable.Column{Key: fmt.Sprint("k", i), Value: &testpb.Note{Fill: make([]byte, 500_000)}})
		}
		return out
	}, ""},
	{"an effect that is nil", func(*pad, durable.Message, durable.Env) durable.Outcome {
		out := write("x")
		out.Release = []durable.Effect{seen{"early", 1}, nil}
		return out
	}, ""},
	{"a staged event that panics", func(*pad, durable.Message, durable.Env) durable.Outcome {
		out := write("x")
		out.Stage = []proto.Message{&testpb.Loose{}}
		out.Release = []durable.Effect{seen{"early", 1}}
		return out
	}, ""},
}

// TestBreaches: an outcome that breaks the contract stores nothing, lets nothing leave, and restarts the actor, or halts it
// when the message comes again and again. Others do not notice.
func TestBreaches(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		kinds := []kind{pad0, {Kind: durable.Kind{Name: "other"}}}
		for i, b := range breaches {
			kinds = append(kinds, kind{
				Kind: durable.Kind{Name: fmt.Sprint("breach", i)},
				pads: pads{note: func(s *pad, m durable.Message, _ *testpb.Note, env durable.Env) durable.Outcome {
					return b.what(s, m, env)
				}},
			})
		}
		j := d.open(t)
		p := boot(t, j, durable.Options{Runtime: impatient{}}, kinds...)
		for i, b := range breaches {
			t.Run(b.name, func(t *testing.T) {
				addr := durable.Address(fmt.Sprintf("breach%d/a", i))
				p.ask(addr, writing("before"))
				if b.only != "note" {
					_, err := p.Ask(soon(t), addr, do(b.what))
					require.ErrorIs(t, err, durable.ErrRestarted)
					require.Equal(t, []string{"before"}, p.state(addr).Texts)
				}
				if b.only != "do" {
					p.ask("pad/sender", sending(addr, 1))
					halt := p.halted(addr)
					require.Equal(t, 3, halt.Failures)
					require.NotEmpty(t, halt.Reason)
					st, err := j.Read(addr)
					require.NoError(t, err)
					require.Len(t, st.Inbox, 1)
					require.EqualValues(t, 1, st.Head.LastEvent)
				}
				for _, k := range []string{"", "k"} {
					cols, err := j.Columns(persistence.Page{Prefix: k, Limit: 1})
					require.NoError(t, err)
					require.Empty(t, cols)
				}
				other, err := j.Read("other/a")
				require.NoError(t, err)
				require.Empty(t, other.Inbox)
				p.world.mu.Lock()
				defer p.world.mu.Unlock()
				for _, r := range p.world.released {
					require.NotEqual(t, addr, r.from, "nothing leaves")
				}
			})
		}
	})
}

// TestBreachOfResume: Resume may only stage and release; an actor that cannot get past it halts, and leaves others alone.
func TestBreachOfResume(t *testing.T) {
	t.Parallel()
	p := boot(t, persistence.NewMemory(), durable.Options{Runtime: impatient{}}, pad0, kind{
		Kind: durable.Kind{Name: "bad"},
		pads: pads{resume: func(*pad, durable.Env) durable.Outcome { return write("x") }},
	})
	p.ask("bad/a", writing("before"))
	p.tell("bad/a", do(panicking))
	halt := p.halted("bad/a")
	require.True(t, halt.Message.IsZero())
	require.Equal(t, "recovery", halt.About)
	require.Contains(t, halt.Reason, durable.ErrBreach.Error())
	p.ask("pad/a", writing("unmoved"))
}
