// Package peerbook is the actor that looks after the node's peers: which nodes stay connected, when a lost one is dialled
// again, and which of two connections to one node is used.
//
// What it keeps in the journal is who stays connected. The connections themselves are no durable actors: they end with the
// process, or with the incarnation of the book that knows them. So the book is told of them in volatile messages that name
// its incarnation, and stages what it learns. A new incarnation begins without connections and dials.
package peerbook

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	pb "stormcell/messages/peerbook"
	"stormcell/peer/reconnect"
)

// crossing is how long after one connection another one in the other direction counts as simultaneous: each node dialled
// the other before it heard from it.
const crossing = 10 * time.Second

// Reasons of hanging up.
var (
	errReplaced = errors.New("another connection to this node is used")
	errUnwanted = errors.New("disconnected at the user's request")
)

// Core is the logic of the peer book.
type Core struct {
	// Self is this node.
	Self NodeKey
}

// Kind is how the book is registered. Only Open creates it. Its mailbox has room for all that the connections and the
// callers of the API can have on their way at once.
func Kind() durable.Kind {
	return durable.Kind{Name: Address.Kind(), Mailbox: 4 * MaxConnections, Creates: func(body any) bool {
		_, opens := body.(Open)
		return opens
	}}
}

// Recover implements durable.Core.
func (Core) Recover(_ durable.Address, snapshot proto.Message) (*Book, error) {
	b := &Book{peers: map[NodeKey]*peer{}}
	if snapshot == nil {
		return b, nil
	}
	b.opened = true
	for _, kept := range snapshot.(*pb.Book).Kept {
		b.apply(kept)
	}
	return b, nil
}

// Apply implements durable.Core.
func (Core) Apply(b *Book, event proto.Message) { b.apply(event) }

// Snapshot implements durable.Core.
func (Core) Snapshot(b *Book) proto.Message { return &pb.Book{Kept: b.kept()} }

// Resume dials every kept node.
func (c Core) Resume(b *Book, _ durable.Env) durable.Outcome {
	out := durable.Outcome{Release: []durable.Effect{Attend{}}}
	for _, kept := range b.kept() {
		dial(&out, Dial{Key: NodeKey(kept.NodeKey), Address: kept.Address})
	}
	return out
}

// Decide implements durable.Core.
func (c Core) Decide(b *Book, m durable.Message, env durable.Env) durable.Outcome {
	switch body := m.Body.(type) {
	case Open:
		return open(b, m)
	case Connect:
		return c.connect(b, m, body)
	case Keep:
		return c.keep(b, m, body)
	case Disconnect:
		return disconnect(b, m, body.Key)
	case List:
		return answer(m.Asker, b.list())
	case Up:
		return c.up(b, body, env)
	case Down:
		return down(b, body, env)
	case Failed:
		return failed(b, body, env)
	case redial:
		return redialNow(b, body.key)
	default:
		panic(fmt.Sprintf("peer book: unknown message %T", m.Body))
	}
}

func open(b *Book, m durable.Message) durable.Outcome {
	out := answer(m.Asker, nil)
	if !b.opened {
		out.Events = []proto.Message{&pb.Opened{}}
		out.Release = append(out.Release, Attend{})
	}
	return out
}

func (c Core) connect(b *Book, m durable.Message, want Connect) durable.Outcome {
	p := b.of(want.Key)
	switch {
	case want.Key == c.Self:
		return durable.Outcome{Refuse: ErrSelf}
	case p.connection != nil:
		return durable.Outcome{Refuse: ErrConnected}
	case p.dialing:
		return durable.Outcome{Refuse: ErrConnecting}
	}
	var out durable.Outcome
	dial(&out, Dial{Key: want.Key, Address: want.Address.String(), Timeout: want.Timeout, Asker: m.Asker})
	return out
}

func (c Core) keep(b *Book, m durable.Message, want Keep) durable.Outcome {
	p := b.of(want.Key)
	switch {
	case want.Key == c.Self:
		return durable.Outcome{Refuse: ErrSelf}
	case p.keptAt == "" && len(b.kept()) >= MaxKept:
		return durable.Outcome{Refuse: ErrFull}
	}
	out := answer(m.Asker, nil)
	if at := want.Address.String(); p.keptAt != at {
		out.Events = []proto.Message{&pb.Kept{NodeKey: want.Key[:], Address: at}}
	}
	if p.connection == nil && !p.dialing {
		dial(&out, Dial{Key: want.Key, Address: want.Address.String()})
	}
	return out
}

func disconnect(b *Book, m durable.Message, key NodeKey) durable.Outcome {
	p := b.of(key)
	if p.connection == nil && p.keptAt == "" {
		return durable.Outcome{Refuse: ErrNotConnected}
	}
	out := answer(m.Asker, nil)
	if p.keptAt != "" {
		out.Events = []proto.Message{&pb.Forgotten{NodeKey: key[:]}}
	}
	if p.connection != nil {
		out.Release = append(out.Release, Hangup{p.connection.Number, errUnwanted})
	}
	return out
}

// up takes a new connection, or hangs it up.
func (c Core) up(b *Book, up Up, env durable.Env) durable.Outcome {
	p := b.of(up.Key)
	var out durable.Outcome
	if !up.Inbound {
		out.Stage = append(out.Stage, &pb.DialEnded{NodeKey: up.Key[:], Failures: uint32(p.attempts.Failures)})
		if !up.Dial.Asker.Waits() && p.keptAt == "" { // forgotten while it was dialled
			out.Release = append(out.Release, Hangup{up.Number, errUnwanted})
			return out
		}
	}
	switch old := p.connection; {
	case old != nil && c.prefersOld(old, up, env.Now()):
		out.Release = append(out.Release, Hangup{up.Number, errReplaced})
	case old != nil:
		out.Release = append(out.Release, Hangup{old.Number, errReplaced})
		fallthrough
	default:
		out.Stage = append(out.Stage, &pb.Connected{
			NodeKey: up.Key[:], Number: uint64(up.Number), Address: up.Address, Inbound: up.Inbound,
			Features: up.Features.Bytes(), SinceNs: env.Now().UnixNano(),
		})
		out.Release = append(out.Release, Use{up.Number})
	}
	if up.Dial.Asker.Waits() {
		out.Release = append(out.Release, durable.Reply{To: up.Dial.Asker})
	}
	return out
}

// prefersOld chooses between two connections to one node, the same on both sides. When both dialled at once, the one from
// the node with the smaller key stays. Otherwise the older is most likely dead on the other side, which has dialled anew.
func (c Core) prefersOld(old *Connection, up Up, now time.Time) bool {
	if old.Inbound == up.Inbound || now.Sub(old.Since) >= crossing {
		return false
	}
	oursStays := bytes.Compare(c.Self[:], up.Key[:]) < 0
	return oursStays == !old.Inbound
}

func down(b *Book, d Down, env durable.Env) durable.Outcome {
	p := b.of(d.Key)
	if p.connection == nil || p.connection.Number != d.Number {
		return durable.Outcome{} // it was replaced, or never taken
	}
	failures, wait := ended(p, d.Incompatible, env)
	out := durable.Outcome{Stage: []proto.Message{&pb.Disconnected{NodeKey: d.Key[:], Failures: failures}}}
	out.Release = []durable.Effect{Lost{}}
	if p.keptAt != "" {
		out.Release = append(out.Release, redialAfter(d.Key, wait))
	}
	return out
}

// failed notes that a dial came to nothing. What it counts is of no interest while there is a connection.
func failed(b *Book, f Failed, env durable.Env) durable.Outcome {
	p := b.of(f.Dial.Key)
	var out durable.Outcome
	if f.Dial.Asker.Waits() {
		out = answer(f.Dial.Asker, f.Err)
	}
	failures := uint32(p.attempts.Failures)
	if p.connection == nil {
		var wait time.Duration
		failures, wait = ended(p, f.Incompatible, env)
		if p.keptAt != "" {
			out.Release = append(out.Release, redialAfter(f.Dial.Key, wait))
		}
	}
	out.Stage = []proto.Message{&pb.DialEnded{NodeKey: f.Dial.Key[:], Failures: failures}}
	return out
}

func redialNow(b *Book, key NodeKey) durable.Outcome {
	var out durable.Outcome
	if p := b.of(key); p.keptAt != "" && p.connection == nil && !p.dialing {
		dial(&out, Dial{Key: key, Address: p.keptAt})
	}
	return out
}

// ended is what follows a failed attempt or the end of a connection: how many of those there were, and how long to wait.
func ended(p peer, incompatible bool, env durable.Env) (failures uint32, wait time.Duration) {
	state, wait := reconnect.DefaultPolicy().Ended(p.attempts, env.Now(), incompatible, chance(env))
	return uint32(state.Failures), wait
}

func redialAfter(key NodeKey, wait time.Duration) durable.Effect {
	return durable.SetTimer{Key: key.String(), After: wait, Body: redial{key}}
}

// dial adds an attempt to reach a node. There is one at a time, so that two connections to a node can only be one in each
// direction, or the peer's doing.
func dial(out *durable.Outcome, d Dial) {
	out.Stage = append(out.Stage, &pb.Dialing{NodeKey: d.Key[:]})
	out.Release = append(out.Release, d)
}

// chance is a source for what is decided now.
func chance(env durable.Env) *rand.Rand {
	var seed [16]byte
	env.Random(seed[:])
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(seed[:8]), binary.BigEndian.Uint64(seed[8:])))
}

func answer(to durable.Asker, body any) durable.Outcome {
	return durable.Outcome{Release: []durable.Effect{durable.Reply{To: to, Body: body}}}
}
