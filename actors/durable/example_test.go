package durable_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/durable/internal/examplepb"
	"stormcell/persistence"
)

// Volatile messages are plain Go values: a crash forgets them, so whoever asks must be able to ask again.
type (
	drop    struct{ sat int64 }
	howMuch struct{}
)

// errNoCoin is a typed refusal: it reaches whoever asked.
var errNoCoin = errors.New("a drop must be positive")

// jars is the core of jar/<name>. It has no state of its own: the kernel hands it the actor's.
type jars struct{}

func (jars) Recover(_ durable.Address, snapshot proto.Message) (*examplepb.Jar, error) {
	if snapshot == nil {
		return &examplepb.Jar{}, nil
	}
	return snapshot.(*examplepb.Jar), nil
}

func (jars) Apply(s *examplepb.Jar, event proto.Message) {
	s.Sat += event.(*examplepb.Dropped).Sat
}

// Decide changes nothing. What it returns is one commit, so there is no moment at which the coins are in the jar and the
// till has no receipt coming; and the answer leaves only when that commit is durable.
func (jars) Decide(s *examplepb.Jar, m durable.Message, env durable.Env) durable.Outcome {
	d, ok := m.Body.(drop)
	if !ok || d.sat <= 0 {
		return durable.Outcome{Refuse: errNoCoin}
	}
	return durable.Outcome{
		Events:  []proto.Message{&examplepb.Dropped{Sat: d.sat}},
		Send:    []durable.Envelope{{To: "till/main", Body: &examplepb.Receipt{Jar: string(env.Self()), Sat: d.sat}}},
		Release: []durable.Effect{durable.Reply{To: m.Asker, Body: s.Sat + d.sat}},
	}
}

func (jars) Resume(*examplepb.Jar, durable.Env) durable.Outcome { return durable.Outcome{} }

func (jars) Snapshot(s *examplepb.Jar) proto.Message { return proto.CloneOf(s) }

// tills is the core of till/<name>: durable messages come exactly once, in the order of the log.
type tills struct{}

func (tills) Recover(_ durable.Address, snapshot proto.Message) (*examplepb.Till, error) {
	if snapshot == nil {
		return &examplepb.Till{}, nil
	}
	return snapshot.(*examplepb.Till), nil
}

func (tills) Apply(s *examplepb.Till, event proto.Message) {
	s.Sat += event.(*examplepb.Receipt).Sat
	s.Receipts++
}

func (tills) Decide(s *examplepb.Till, m durable.Message, _ durable.Env) durable.Outcome {
	switch body := m.Body.(type) {
	case *examplepb.Receipt:
		return durable.Outcome{Events: []proto.Message{body}}
	case howMuch:
		return durable.Outcome{Release: []durable.Effect{durable.Reply{
			To: m.Asker, Body: fmt.Sprintf("%d sat in %d receipts", s.Sat, s.Receipts),
		}}}
	default:
		panic(fmt.Sprintf("till: unknown message %T", m.Body)) // a bug: supervision deals with it
	}
}

func (tills) Resume(*examplepb.Till, durable.Env) durable.Outcome { return durable.Outcome{} }

func (tills) Snapshot(s *examplepb.Till) proto.Message { return proto.CloneOf(s) }

// nobody is a world that has nothing to do: these actors release only replies, which the kernel delivers.
type nobody struct{}

func (nobody) Release(durable.Address, uint64, durable.Effect) {}
func (nobody) Ended(durable.Address, uint64)                   {}

// start runs a kernel with both kinds on a journal.
func start(journal persistence.Journal) (*durable.Kernel, error) {
	k := durable.New(durable.Options{Journal: journal, World: nobody{}, Log: slog.New(slog.DiscardHandler)})
	return k, errors.Join(
		durable.Register(k, durable.Kind{Name: "jar"}, jars{}),
		durable.Register(k, durable.Kind{Name: "till"}, tills{}),
		k.Start(),
	)
}

// Example shows two kinds of actors: coins go into a jar, and the till learns of each drop exactly once, whatever crashes.
func Example() {
	journal := persistence.NewMemory()
	k, err := start(journal)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for _, sat := range []int64{5, 0, 7} {
		answer, err := k.Ask(ctx, "jar/kitchen", drop{sat})
		fmt.Println(answer, err)
	}

	// The process dies: what was durable is all that the next one finds. Both answers had left, so both drops are in it, and
	// each has its receipt in the till or in the till's inbox.
	k, err = start(journal.Crash(journal.Durable()))
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := k.Ask(ctx, "till/main", howMuch{})
	fmt.Println(answer, err)
	if err := k.Stop(ctx); err != nil {
		fmt.Println(err)
	}

	// Output:
	// 5 <nil>
	// <nil> a drop must be positive
	// 12 <nil>
	// 12 sat in 2 receipts <nil>
}
