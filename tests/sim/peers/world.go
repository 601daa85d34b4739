// Package peers simulates the peer book: users who keep nodes connected and change their mind, nodes that cannot be reached at
// first, connections that break, and nodes that connect on their own. The book must end with what the users were last
// told, and every node that is to stay connected must be, once.
package peers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/peerbook"
	pb "stormcell/messages/peerbook"
	"stormcell/peer/address"
	"stormcell/peer/conn"
	"stormcell/tests/sim"
)

// self is the node whose book it is: some of the others have smaller keys.
var self = peerbook.NodeKey{2, 2}

// World is everything around the book.
type World struct {
	rng    *rand.Rand
	kernel *durable.Kernel
	nodes  []*node
	todo   []func()

	tenure uint64 // the incarnation that attends, 0 if none does
	last   conn.Session
	links  map[conn.Session]*link // alive
	wrong  error
}

// node is another node, and the user's wishes about it: one after the other, each asked again until it is answered.
type node struct {
	key      peerbook.NodeKey
	deaf     int // dials that will still fail
	wishes   []any
	asking   bool // the first wish was asked, and is not answered
	repeated bool // it was asked before
	kept     bool // what the last answered wish was
}

// link is a connection that both sides think is up.
type link struct {
	to      *node
	tenure  uint64
	inbound bool
}

// New draws a world.
func New(rng *rand.Rand) *World {
	w := &World{rng: rng, links: map[conn.Session]*link{}}
	for i := range 2 + rng.IntN(3) {
		n := &node{key: peerbook.NodeKey{2, byte(2 * i), 1}, deaf: rng.IntN(3)}
		w.nodes = append(w.nodes, n)
		for range rng.IntN(4) {
			w.todo = append(w.todo, func() { w.wish(n, w.keep(n)) })
			if rng.IntN(2) == 0 {
				w.todo = append(w.todo, func() { w.wish(n, peerbook.Disconnect{Key: n.key}) })
			}
		}
		for range rng.IntN(3) {
			w.todo = append(w.todo, func() { w.breakLinks(n) }, func() { w.callIn(n) })
		}
	}
	rng.Shuffle(len(w.todo), func(i, j int) { w.todo[i], w.todo[j] = w.todo[j], w.todo[i] })
	return w
}

func (w *World) keep(n *node) peerbook.Keep {
	at, err := address.Parse(fmt.Sprintf("10.0.0.%d:%d", n.key[1], 1+w.rng.IntN(3)), 0)
	if err != nil {
		w.fail("%w", err)
	}
	return peerbook.Keep{Key: n.key, Address: at}
}

// Register implements sim.Domain. The connections of a process end with it.
func (w *World) Register(k *durable.Kernel) error {
	w.kernel, w.tenure = k, 0
	clear(w.links)
	core := sim.Pure(peerbook.Core{Self: self}, func(err error) { w.fail("%w", err) })
	return durable.Register(k, peerbook.Kind(), core)
}

// Started implements sim.Domain: the node opens its book at each start, and users who got no answer ask again.
func (w *World) Started() {
	w.open()
	for _, n := range w.nodes {
		if n.asking {
			n.repeated = true
			w.ask(n)
		}
	}
}

func (w *World) open() {
	w.send(peerbook.Open{}, func(err error) {
		switch {
		case errors.Is(err, durable.ErrRestarted):
			w.open()
		case err != nil:
			w.fail("the book does not open: %w", err)
		}
	})
}

// Ops implements sim.Domain.
func (w *World) Ops() int { return len(w.todo) }

// Do implements sim.Domain.
func (w *World) Do(i int) { w.todo[i]() }

// Victims implements sim.Domain.
func (w *World) Victims() []durable.Address { return []durable.Address{peerbook.Address} }

// Poison implements sim.Domain: the book panics on what it does not know.
func (w *World) Poison() any { return struct{}{} }

func (w *World) wish(n *node, body any) {
	n.wishes = append(n.wishes, body)
	if !n.asking {
		n.asking, n.repeated = true, false
		w.ask(n)
	}
}

func (w *World) ask(n *node) {
	w.send(n.wishes[0], func(err error) {
		_, keep := n.wishes[0].(peerbook.Keep)
		switch {
		case errors.Is(err, durable.ErrRestarted):
			n.repeated = true
			w.ask(n)
			return
		case err == nil:
			n.kept = keep
		case errors.Is(err, peerbook.ErrNotConnected) && !keep && (n.repeated || !n.kept):
			n.kept = false
		case errors.Is(err, durable.ErrAbsent):
			// The book is not opened yet: a node takes no calls before it is.
			n.repeated = true
			w.ask(n)
			return
		default:
			w.fail("%x is answered %w to %+v", n.key[1], err, n.wishes[0])
		}
		if n.wishes = n.wishes[1:]; len(n.wishes) == 0 {
			n.asking = false
			return
		}
		n.repeated = false
		w.ask(n)
	})
}

func (w *World) send(body any, answered func(error)) {
	err := w.kernel.AskFunc(peerbook.Address, body, false, func(_ any, err error) { answered(err) })
	if err != nil && w.kernel.Err() == nil {
		w.fail("the book is not asked: %w", err)
	}
}

// Release implements durable.World.
func (w *World) Release(_ durable.Address, session uint64, e durable.Effect) {
	switch e := e.(type) {
	case peerbook.Attend:
		w.tenure = session
	case peerbook.Dial:
		w.dial(session, e)
	case peerbook.Use, peerbook.Lost:
	case peerbook.Hangup:
		w.end(e.Number)
	default:
		w.fail("the book releases an unknown %T", e)
	}
}

// Ended implements durable.World: an incarnation's connections end with it.
func (w *World) Ended(_ durable.Address, session uint64) {
	for _, number := range w.numbers() {
		if w.links[number].tenure == session {
			delete(w.links, number)
		}
	}
	if w.tenure == session {
		w.tenure = 0
	}
}

func (w *World) dial(session uint64, d peerbook.Dial) {
	if session != w.tenure {
		return
	}
	n := w.nodes[slices.IndexFunc(w.nodes, func(n *node) bool { return n.key == d.Key })]
	if n.deaf > 0 {
		n.deaf--
		w.tell(session, peerbook.Failed{Dial: d, Err: errors.New("deaf"), Incompatible: w.rng.IntN(4) == 0})
		return
	}
	w.connect(n, false, d)
}

// callIn lets a node connect to us.
func (w *World) callIn(n *node) {
	if w.tenure != 0 {
		w.connect(n, true, peerbook.Dial{})
	}
}

func (w *World) connect(n *node, inbound bool, d peerbook.Dial) {
	w.last++
	w.links[w.last] = &link{to: n, tenure: w.tenure, inbound: inbound}
	if !w.tell(w.tenure, peerbook.Up{Key: n.key, Number: w.last, Address: "10.0.0.1:1", Inbound: inbound, Dial: d}) {
		delete(w.links, w.last)
	}
}

func (w *World) breakLinks(n *node) {
	for _, number := range w.numbers() {
		if w.links[number].to == n {
			w.end(number)
		}
	}
}

func (w *World) end(number conn.Session) {
	l := w.links[number]
	if l == nil {
		return
	}
	delete(w.links, number)
	w.tell(l.tenure, peerbook.Down{Key: l.to.key, Number: number, Incompatible: w.rng.IntN(8) == 0})
}

// tell reports to an incarnation. One that has ended hears nothing more: its effects may still leave after its end.
func (w *World) tell(session uint64, fact any) (heard bool) {
	err := w.kernel.Tell(peerbook.Address, session, fact)
	if err != nil && !errors.Is(err, durable.ErrRestarted) && w.kernel.Err() == nil {
		w.fail("the book is not told: %w", err)
	}
	return err == nil
}

func (w *World) numbers() []conn.Session {
	var all []conn.Session
	for number := range w.links {
		all = append(all, number)
	}
	slices.Sort(all)
	return all
}

// Observe implements sim.Domain.
func (w *World) Observe(_ durable.Address, snapshot proto.Message) {
	for _, kept := range snapshot.(*pb.Book).Kept {
		if kept.Address == "" {
			w.fail("a node is kept nowhere")
		}
	}
}

// Err implements sim.Domain.
func (w *World) Err() error { return w.wrong }

// Quiet implements sim.Domain.
func (w *World) Quiet(read func(durable.Address) (proto.Message, error)) error {
	stored, err := read(peerbook.Address)
	if err != nil {
		return err
	}
	for _, n := range w.nodes {
		if n.asking {
			return fmt.Errorf("%x: a user waits for an answer to %+v", n.key[1], n.wishes[0])
		}
		kept := slices.ContainsFunc(stored.(*pb.Book).Kept, func(k *pb.Kept) bool {
			return peerbook.NodeKey(k.NodeKey) == n.key
		})
		if kept != n.kept {
			return fmt.Errorf("%x: the user was told kept=%v, stored is %v", n.key[1], n.kept, kept)
		}
		links := 0
		for _, l := range w.links {
			if l.to == n {
				links++
			}
		}
		if links > 1 || kept && links == 0 {
			return fmt.Errorf("%x: %d connections, kept is %v", n.key[1], links, kept)
		}
	}
	return nil
}

func (w *World) fail(format string, args ...any) {
	if w.wrong == nil {
		w.wrong = fmt.Errorf(format, args...)
	}
}
