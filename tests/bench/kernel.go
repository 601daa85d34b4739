package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/persistence"
)

// chain is how many durable messages follow each other before an effect leaves.
const chain = 6

// eventBytes is the size of the event that each message leaves.
const eventBytes = 200

// startPing begins a chain.
type startPing struct{ peer string }

// pings is the core of ping/<id>.
type pings struct{}

func (pings) Recover(_ durable.Address, snapshot proto.Message) (*PingState, error) {
	if snapshot == nil {
		return &PingState{}, nil
	}
	return snapshot.(*PingState), nil
}

func (pings) Apply(s *PingState, _ proto.Message) { s.Pings++ }

func (pings) Decide(_ *PingState, m durable.Message, env durable.Env) durable.Outcome {
	out := durable.Outcome{Events: []proto.Message{&Pinged{Body: make([]byte, eventBytes)}}}
	switch body := m.Body.(type) {
	case startPing:
		out.Send = []durable.Envelope{{To: durable.Address(body.peer), Body: &Ping{Left: chain - 1, Peer: string(env.Self())}}}
	case *Ping:
		if body.Left == 0 {
			out.Release = []durable.Effect{arrived{}}
			return out
		}
		out.Send = []durable.Envelope{{To: durable.Address(body.Peer), Body: &Ping{Left: body.Left - 1, Peer: string(env.Self())}}}
	}
	return out
}

func (pings) Resume(*PingState, durable.Env) durable.Outcome { return durable.Outcome{} }

func (pings) Snapshot(s *PingState) proto.Message { return proto.CloneOf(s) }

// arrived is the effect at the end of a chain.
type arrived struct{}

// arrivals is the world: it tells whoever started a chain that its end is out.
type arrivals struct {
	ends map[durable.Address]chan struct{}
}

func (a arrivals) Release(from durable.Address, _ uint64, _ durable.Effect) {
	a.ends[from] <- struct{}{}
}
func (arrivals) Ended(durable.Address, uint64) {}

// kernelSection measures chains of durable messages through the kernel: how many a second, how long one takes from the
// question to its effect, and how many syncs it costs.
func kernelSection(out io.Writer, o options) error {
	fmt.Fprintf(out, "\nkernel: chains of %d durable messages between two actors, an event of %d bytes each, ending in one effect\n",
		chain, eventBytes)
	fmt.Fprintf(out, "%-8s %6s %14s %10s %10s %12s %12s\n", "journal", "pairs", "messages/s", "p50", "p99", "syncs/chain", "CPU/message")
	for _, on := range []string{"memory", "badger"} {
		for _, pairs := range []int{1, 8, 64, 256} {
			if err := kernelCell(out, o, on, pairs); err != nil {
				return fmt.Errorf("%s, %d pairs: %w", on, pairs, err)
			}
		}
	}
	return nil
}

func kernelCell(out io.Writer, o options, on string, pairs int) error {
	journal, syncs, done, err := openJournal(o, on)
	if err != nil {
		return err
	}
	defer done()
	world := arrivals{ends: map[durable.Address]chan struct{}{}}
	for i := range pairs {
		world.ends[pingAddr("a", i)] = make(chan struct{}, 1)
	}
	k := durable.New(durable.Options{Journal: journal, World: world, Log: slog.New(slog.DiscardHandler)})
	if err := durable.Register(k, durable.Kind{Name: "ping"}, pings{}); err != nil {
		return err
	}
	if err := k.Start(); err != nil {
		return err
	}
	steps := make([]func() error, pairs)
	for i := range steps {
		a, b := pingAddr("a", i), pingAddr("b", i)
		steps[i] = func() error {
			if err := k.Tell(a, 0, startPing{string(b)}); err != nil {
				return err
			}
			<-world.ends[a]
			return nil
		}
	}
	before, cpu := syncs(), cpuTime()
	all, took, err := measure(steps, o.each)
	synced, used := syncs()-before, cpuTime()-cpu
	if err != nil {
		return err
	}
	if err := k.Stop(context.Background()); err != nil {
		return err
	}
	slices.Sort(all)
	fmt.Fprintf(out, "%-8s %6d %14.0f %10v %10v %12.2f %12v\n", on, pairs, float64(len(all)*chain)/took.Seconds(),
		all.percentile(50).Round(time.Microsecond), all.percentile(99).Round(time.Microsecond), float64(synced)/float64(len(all)),
		(used / time.Duration(max(len(all)*chain, 1))).Round(10*time.Nanosecond))
	return nil
}

func pingAddr(side string, i int) durable.Address {
	return durable.Address(fmt.Sprintf("ping/%s%d", side, i))
}

// openJournal opens an empty journal, and gives what counts its syncs and what closes and removes it.
func openJournal(o options, on string) (j persistence.Journal, syncs func() uint64, done func(), err error) {
	if on == "memory" {
		m := persistence.NewMemory()
		return m, func() uint64 { return 0 }, func() { _ = m.Close() }, nil
	}
	dir, remove, err := tempDir(o)
	if err != nil {
		return nil, nil, nil, err
	}
	b, err := persistence.Open(persistence.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		remove()
		return nil, nil, nil, err
	}
	return b, func() uint64 { return b.Stats().Syncs }, func() { _ = b.Close(); remove() }, nil
}
