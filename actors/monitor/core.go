// Package monitor is the guard of one channel on the chain: a pure core for the kernel in actors/durable.
//
// A channel sends its monitor, in the very commit that moves a commitment, everything that closing by a commitment could need:
// so the monitor is never behind what was promised to the peer. It holds our latest commitment with the peer's signatures,
// the peer's commitments that are not revoked, every revoked state, and preimages. Whoever claims an HTLC sends its
// preimage to the monitors of all channels concerned in the commit that claims it.
//
// # What is stored when
//
// News stays in the inbox, which is durable, and is staged. Every hundredth piece, or sooner when they are large, one commit
// consumes them all: it writes the snapshot once, and each state that was revoked meanwhile as a column of its own, which
// is never written again.
package monitor

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/chain/keys"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/monitor"
)

// Name is the kind in the addresses of monitors.
const Name = "monitor"

// Bounds of what is left in the inbox before it is consumed.
const (
	maxKept      = 100
	maxKeptBytes = 256 << 10
)

// sweepStep is how many revoked states one commit deletes.
const sweepStep = 1000

// Core is the logic of all monitors of a node.
type Core struct {
	Signer keys.Signer
	// Doubt numbers the last doubt about the node's data, 0 for none. A channel that it concerns has no commitment to publish
	// until the peer has vouched for it.
	Doubt uint64
	// MaxKept is how many pieces of news one commit consumes; 100 when it is zero.
	MaxKept int
}

var _ durable.Core[*State] = (*Core)(nil)

// Kind is how the kernel runs monitors. Only the first news of a channel creates one.
func Kind() durable.Kind {
	return durable.Kind{Name: Name, SnapshotEvery: 1, Creates: func(body any) bool {
		news, ok := body.(*channelpb.MonitorUpdate)
		return ok && news.GetContract() != nil
	}}
}

// Questions for a monitor.
type (
	// Holdings asks for all it holds beside revoked states; the answer is a *monitor.Snapshot of messages/monitor.
	Holdings struct{}
	// Latest asks for our latest commitment on every funding, signed; the answer is Signed.
	Latest struct{}
)

// sweepNow deletes revoked states that nobody will need.
type sweepNow struct{}

// Recover implements durable.Core.
func (*Core) Recover(_ durable.Address, snapshot proto.Message) (*State, error) {
	if snapshot == nil {
		return &State{stored: &pb.Snapshot{}}, nil
	}
	stored := snapshot.(*pb.Snapshot)
	return &State{stored: stored, now: holdingsOf(stored)}, nil
}

// Apply implements durable.Core.
func (*Core) Apply(s *State, event proto.Message) { s.apply(event) }

// Snapshot implements durable.Core.
func (*Core) Snapshot(s *State) proto.Message { return s.stored }

// Resume implements durable.Core.
func (*Core) Resume(s *State, _ durable.Env) durable.Outcome {
	var out durable.Outcome
	if s.now.finished {
		out.Next = []any{sweepNow{}}
	}
	return out
}

// Decide implements durable.Core.
func (c *Core) Decide(s *State, m durable.Message, env durable.Env) durable.Outcome {
	switch body := m.Body.(type) {
	case *channelpb.MonitorUpdate, *channelpb.Recorded:
		return c.take(s, m, body.(proto.Message), env.Self())
	case Holdings:
		return durable.Outcome{Release: []durable.Effect{durable.Reply{To: m.Asker, Body: proto.CloneOf(s.now.snapshot())}}}
	case Latest:
		signed, err := s.now.latest(c.Signer, c.Doubt)
		if err != nil {
			return durable.Outcome{Refuse: err}
		}
		return durable.Outcome{Release: []durable.Effect{durable.Reply{To: m.Asker, Body: signed}}}
	case sweepNow:
		return s.sweep(env.Self())
	default:
		if m.Durable() {
			panic(fmt.Sprintf("monitor: unknown message %T", body))
		}
		return durable.Outcome{Refuse: fmt.Errorf("a monitor knows nothing of %T", body)}
	}
}

// take leaves news in the inbox, or consumes all that is there.
func (c *Core) take(s *State, m durable.Message, news proto.Message, self durable.Address) durable.Outcome {
	most := c.MaxKept
	if most == 0 {
		most = maxKept
	}
	revoked := s.now.column(news, self)
	size := proto.Size(news)
	first, last := s.now.contract == nil, s.now.finished || finishes(news)
	if !first && !last && len(s.refs)+1 < most && s.bytes+size < maxKeptBytes {
		return durable.Outcome{Keep: true, Stage: []proto.Message{&kept{Message: news, ref: m.ID, size: size, revoked: revoked}}}
	}
	out := durable.Outcome{Events: []proto.Message{news, &pb.Folded{}}, Put: s.revoked, Also: s.refs}
	if revoked != nil {
		out.Put = append(out.Put[:len(out.Put):len(out.Put)], *revoked)
	}
	if last {
		after := s.now.with(news)
		if out.Done = after.empty(); !out.Done {
			out.Next = []any{sweepNow{}}
		}
	}
	return out
}

func finishes(news proto.Message) bool {
	update, ok := news.(*channelpb.MonitorUpdate)
	return ok && update.GetFinished()
}

// sweep deletes some of the revoked states of a finished channel.
func (s *State) sweep(self durable.Address) durable.Outcome {
	if !s.now.finished || s.now.swept == s.now.revoked {
		return durable.Outcome{}
	}
	through := min(s.now.swept+sweepStep, s.now.revoked)
	var out durable.Outcome
	for number := s.now.swept; number < through; number++ {
		out.Put = append(out.Put, durable.Column{Key: RevokedKey(self, number)})
	}
	swept := &pb.Swept{Through: through}
	out.Events = []proto.Message{swept}
	after := s.now.with(swept)
	if out.Done = after.empty(); through < s.now.revoked {
		out.Next = []any{sweepNow{}}
	}
	return out
}
