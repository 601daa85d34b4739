package peerbook

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	pb "stormcell/messages/peerbook"
	"stormcell/peer/conn"
	"stormcell/peer/reconnect"
	"stormcell/peer/wire"
)

// Book is the state of the peer book.
type Book struct {
	opened bool
	peers  map[NodeKey]*peer
}

// peer is a node that is kept, connected or both. Only keptAt is stored.
type peer struct {
	keptAt     string // host:port; empty if the node is not kept
	dialing    bool   // an attempt is under way, for keeping it or because somebody asked
	attempts   reconnect.State
	connection *Connection
}

// apply folds one event into the book, whether it is stored or only staged.
func (b *Book) apply(event proto.Message) {
	switch ev := event.(type) {
	case *pb.Opened:
		b.opened = true
	case *pb.Kept:
		b.update(ev.NodeKey, func(p *peer) { p.keptAt = ev.Address })
	case *pb.Forgotten:
		b.update(ev.NodeKey, func(p *peer) { p.keptAt = "" })
	case *pb.Dialing:
		b.update(ev.NodeKey, func(p *peer) { p.dialing = true })
	case *pb.DialEnded:
		b.update(ev.NodeKey, func(p *peer) {
			p.dialing = false
			p.attempts.Failures = int(ev.Failures)
		})
	case *pb.Connected:
		b.update(ev.NodeKey, func(p *peer) { p.connect(ev) })
	case *pb.Disconnected:
		b.update(ev.NodeKey, func(p *peer) {
			p.connection = nil
			p.attempts = reconnect.State{Failures: int(ev.Failures)}
		})
	default:
		panic(fmt.Sprintf("peer book: unknown event %T", event))
	}
}

// update changes a peer, which it makes when it is new and drops when nothing is left of it.
func (b *Book) update(serialized []byte, change func(*peer)) {
	key := NodeKey(serialized)
	p := b.peers[key]
	if p == nil {
		p = &peer{}
		b.peers[key] = p
	}
	change(p)
	if p.keptAt == "" && p.connection == nil && !p.dialing {
		delete(b.peers, key)
	}
}

func (p *peer) connect(ev *pb.Connected) {
	since := time.Unix(0, ev.SinceNs)
	p.connection = &Connection{
		Number: conn.Session(ev.Number), Address: ev.Address, Inbound: ev.Inbound, Since: since,
		Features: wire.ParseFeatures(ev.Features),
	}
	p.attempts = reconnect.DefaultPolicy().Connected(p.attempts, since)
}

// of is what is known of a node; its zero value is a stranger.
func (b *Book) of(key NodeKey) peer {
	if p := b.peers[key]; p != nil {
		return *p
	}
	return peer{}
}

// keys are those of all peers, in order.
func (b *Book) keys() []NodeKey {
	return slices.SortedFunc(maps.Keys(b.peers), func(a, c NodeKey) int { return bytes.Compare(a[:], c[:]) })
}

// kept is what is stored: the kept nodes in the order of their keys.
func (b *Book) kept() []*pb.Kept {
	var kept []*pb.Kept
	for _, key := range b.keys() {
		if at := b.peers[key].keptAt; at != "" {
			kept = append(kept, &pb.Kept{NodeKey: key[:], Address: at})
		}
	}
	return kept
}

// list describes all peers. It shares nothing with the state.
func (b *Book) list() []Peer {
	out := make([]Peer, 0, len(b.peers))
	for _, key := range b.keys() {
		p := b.peers[key]
		described := Peer{Key: key, KeptAt: p.keptAt}
		if p.connection != nil {
			connection := *p.connection
			described.Connection = &connection
		}
		out = append(out, described)
	}
	return out
}
