// Package mesh is a domain to simulate: two or three nodes, a process each, with several channels between each two of them. They
// pay each other, with invoices and without, in one part or in many, while connections break and processes crash.
package mesh

import (
	"fmt"
	"math/rand/v2"
	"slices"

	btcwire "github.com/btcsuite/btcd/wire"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/tests/sim"
)

const (
	capacity = 100_000 // sat, of each channel
	height   = 1_000   // of the chain, which stands still
)

// Mesh implements sim.Domain and sim.Several.
type Mesh struct {
	rng   *rand.Rand
	nodes []*node
	lanes []*lane

	used    uint32 // key indexes given out
	links   uint64 // connections made
	funding map[durable.Address]*btcwire.MsgTx
	deals   []*deal
	todo    []func()
	later   []func() // put off
	wrong   error
}

var (
	_ sim.Several = (*Mesh)(nil)
	_ sim.Idler   = (*Mesh)(nil)
)

// New draws who knows whom, and what is paid.
func New(rng *rand.Rand) *Mesh {
	w := &Mesh{rng: rng, funding: map[durable.Address]*btcwire.MsgTx{}}
	for i := range 2 + rng.IntN(2) {
		w.nodes = append(w.nodes, newNode(w, i))
	}
	w.meet(0, 1)
	if len(w.nodes) == 3 {
		w.meet(0, 2)
		if rng.IntN(2) == 0 {
			w.meet(1, 2)
		}
	}
	for n := range 2 + rng.IntN(5) {
		w.draw(n)
	}
	for range rng.IntN(4) {
		l := w.lanes[rng.IntN(len(w.lanes))]
		w.todo = append(w.todo, []func(){l.connect, l.disconnect}[rng.IntN(2)])
	}
	return w
}

// meet makes two nodes peers. The first opens their channels.
func (w *Mesh) meet(opener, accepter int) {
	l := &lane{Mesh: w, ends: [2]*node{w.nodes[opener], w.nodes[accepter]}, onions: newOnions()}
	for range 1 + w.rng.IntN(3) {
		w.used++
		l.slots = append(l.slots, w.used)
	}
	w.lanes = append(w.lanes, l)
}

// Processes implements sim.Several.
func (w *Mesh) Processes() []sim.Process {
	out := make([]sim.Process, len(w.nodes))
	for i, n := range w.nodes {
		out[i] = n
	}
	return out
}

// Ops implements sim.Domain.
func (w *Mesh) Ops() int { return len(w.todo) }

// Do implements sim.Domain. What is done before the channels are open, or while some nodes do not see each other, is as a rule
// put off.
func (w *Mesh) Do(i int) {
	if !slices.ContainsFunc(w.lanes, (*lane).isDown) || w.rng.IntN(20) == 0 {
		w.todo[i]()
	} else {
		w.later = append(w.later, w.todo[i])
	}
}

// Err implements sim.Domain.
func (w *Mesh) Err() error { return w.wrong }

func (w *Mesh) fail(format string, args ...any) {
	if w.wrong == nil {
		w.wrong = fmt.Errorf(format, args...)
	}
}

// Idle implements sim.Idler: the nodes find each other again, and do what they have put off.
func (w *Mesh) Idle() bool {
	for _, l := range w.lanes {
		if !l.connected || !l.isOpen() && w.rng.IntN(20) > 0 {
			l.connect()
			return true
		}
	}
	if len(w.later) == 0 {
		return false
	}
	some := w.later[:min(1+w.rng.IntN(4), len(w.later))]
	w.later = slices.Clone(w.later[len(some):])
	for _, do := range some {
		do()
	}
	return true
}

func channelAt(index uint32) durable.Address {
	return durable.Address(fmt.Sprintf("%s/%d", channel.Name, index))
}

// laneOf is the lane that a channel belongs to, with its place there: nil if it was replaced.
func (w *Mesh) laneOf(addr durable.Address) (l *lane, slot int) {
	for _, l := range w.lanes {
		for slot, index := range l.slots {
			if channelAt(index) == addr {
				return l, slot
			}
		}
	}
	return nil, 0
}

// between is the lane of two nodes.
func (w *Mesh) between(a, b *node) *lane {
	for _, l := range w.lanes {
		if slices.Contains(l.ends[:], a) && slices.Contains(l.ends[:], b) {
			return l
		}
	}
	return nil
}
