package durable_test

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/durable/internal/testpb"
	"stormcell/persistence"
)

// pad is the state of the tests' actors: what was noted, and the notes that are kept for later.
type pad struct {
	stored *testpb.Pad
	kept   []*testpb.Noted
}

// do is a volatile message that brings its own decision.
type do func(s *pad, m durable.Message, env durable.Env) durable.Outcome

// pads is the core of the tests' actors. What a kind does otherwise than by default, its test says.
type pads struct {
	// note decides on a durable note; nil notes it, once.
	note func(s *pad, m durable.Message, n *testpb.Note, env durable.Env) durable.Outcome
	// other decides on every message that is neither a note nor a do.
	other func(s *pad, m durable.Message, env durable.Env) durable.Outcome
	// resume, recover and apply are called in addition.
	resume  func(s *pad, env durable.Env) durable.Outcome
	recover func(addr durable.Address)
	apply   func(event proto.Message)
}

func (c pads) Recover(addr durable.Address, snapshot proto.Message) (*pad, error) {
	if c.recover != nil {
		c.recover(addr)
	}
	if snapshot == nil {
		return &pad{stored: &testpb.Pad{}}, nil
	}
	return &pad{stored: snapshot.(*testpb.Pad)}, nil
}

func (c pads) Apply(s *pad, event proto.Message) {
	if c.apply != nil {
		c.apply(event)
	}
	switch ev := event.(type) {
	case *testpb.Noted:
		s.kept = slices.DeleteFunc(s.kept, func(k *testpb.Noted) bool { return k.Lsn == ev.Lsn && k.N == ev.N })
		s.stored.Add(ev)
	case *testpb.Kept:
		s.kept = append(s.kept, ev.Note)
	default:
		panic(fmt.Sprintf("pad: unknown event %T", event))
	}
}

func (c pads) Decide(s *pad, m durable.Message, env durable.Env) durable.Outcome {
	switch body := m.Body.(type) {
	case do:
		return body(s, m, env)
	case *testpb.Note:
		if c.note != nil {
			return c.note(s, m, body, env)
		}
		return noteIt(m, body)
	default:
		if c.other == nil {
			panic(fmt.Sprintf("pad: unknown message %T", m.Body))
		}
		return c.other(s, m, env)
	}
}

func (c pads) Resume(s *pad, env durable.Env) durable.Outcome {
	if c.resume == nil {
		return durable.Outcome{}
	}
	return c.resume(s, env)
}

func (c pads) Snapshot(s *pad) proto.Message { return proto.CloneOf(s.stored) }

// seen leaves an actor for each note.
type seen struct {
	from   durable.Address
	number uint64
}

// noteIt is the outcome that notes a message.
func noteIt(m durable.Message, n *testpb.Note) durable.Outcome {
	return durable.Outcome{
		Events:  []proto.Message{noted(m, n)},
		Release: []durable.Effect{seen{m.From, n.Number}},
	}
}

func noted(m durable.Message, n *testpb.Note) *testpb.Noted {
	return &testpb.Noted{
		From: string(m.From), Number: n.Number, Text: n.Text, Fill: n.Fill, Lsn: uint64(m.ID.LSN), N: m.ID.N,
	}
}

// keepIt is the outcome that leaves a note in the inbox.
func keepIt(m durable.Message, n *testpb.Note) durable.Outcome {
	return durable.Outcome{Keep: true, Stage: []proto.Message{&testpb.Kept{Note: noted(m, n)}}}
}

// postKept is the outcome that notes and consumes the first n notes that are kept.
func postKept(s *pad, n int) durable.Outcome {
	var out durable.Outcome
	for _, k := range s.kept[:n] {
		out.Events = append(out.Events, k)
		out.Also = append(out.Also, durable.Ref{LSN: persistence.LSN(k.Lsn), N: k.N})
	}
	return out
}

// write is the outcome that notes a text.
func write(text string) durable.Outcome {
	return durable.Outcome{Events: []proto.Message{&testpb.Noted{Text: text}}}
}

// with adds an answer to an outcome.
func with(m durable.Message, answer any, out durable.Outcome) durable.Outcome {
	out.Release = append(out.Release, durable.Reply{To: m.Asker, Body: answer})
	return out
}

// writing asks an actor to note a text.
func writing(text string) do {
	return func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome { return with(m, nil, write(text)) }
}

// sending asks an actor to send notes.
func sending(to durable.Address, numbers ...uint64) do {
	return func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
		out := write("sent")
		for _, n := range numbers {
			out.Send = append(out.Send, durable.Envelope{To: to, Body: &testpb.Note{Number: n}})
		}
		return with(m, nil, out)
	}
}

// reading asks an actor for its state as it would be stored.
func reading(s *pad, m durable.Message, _ durable.Env) durable.Outcome {
	return with(m, proto.CloneOf(s.stored), durable.Outcome{})
}

// panicking lets an actor panic.
func panicking(*pad, durable.Message, durable.Env) durable.Outcome { panic("the test says so") }
