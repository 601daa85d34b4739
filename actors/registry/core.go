// Package registry is the actor that knows which channels a node has: it gives out their key indexes, each once and for
// ever, and holds what is needed to find a channel. Channels tell it where they stand in their own commits, so that it is
// never behind. A channel that is gone leaves the state and becomes a column.
package registry

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	pb "stormcell/messages/registry"
)

// gonePrefix begins the keys of the columns of channels that are gone.
const gonePrefix = "registry/gone/"

// Core is the logic of the registry.
type Core struct {
	Limits Limits
	// Doubt numbers the last doubt about the node's data, 0 for none. An old copy does not know which indexes were given out
	// after it was made, and two channels with one index would share their revocation secrets: the first index under a new
	// doubt is far from the last.
	Doubt uint64
}

// leaps bound how far away that is: a chance of one in millions to land on a stretch that was in use, and room for hundreds.
const minLeap, maxLeap = 1 << 16, 1 << 24

var _ durable.Core[*State] = Core{}

// Kind is how the registry is registered.
func Kind() durable.Kind { return durable.Kind{Name: Address.Kind(), Mailbox: 4096} }

// Recover implements durable.Core.
func (Core) Recover(_ durable.Address, snapshot proto.Message) (*State, error) {
	s := newState()
	if snapshot == nil {
		return s, nil
	}
	stored := snapshot.(*pb.Registry)
	s.next, s.gone, s.doubt = stored.GetNextIndex(), stored.GetGone(), stored.GetDoubt()
	for _, c := range stored.GetChannels() {
		s.channels[c.GetKeyIndex()] = c
	}
	return s, nil
}

// Apply implements durable.Core.
func (Core) Apply(s *State, event proto.Message) { s.apply(event) }

// Snapshot implements durable.Core.
func (Core) Snapshot(s *State) proto.Message {
	return &pb.Registry{NextIndex: s.next, Gone: s.gone, Doubt: s.doubt, Channels: s.roster()}
}

// Resume implements durable.Core: the registry has nothing to do by itself.
func (Core) Resume(*State, durable.Env) durable.Outcome { return durable.Outcome{} }

// Decide implements durable.Core.
func (c Core) Decide(s *State, m durable.Message, env durable.Env) durable.Outcome {
	switch body := m.Body.(type) {
	case *pb.Channel:
		return c.told(s, body, env.Now())
	case Reserve:
		return c.reserve(s, m, body, env)
	case Forgo:
		return durable.Outcome{Stage: []proto.Message{&pb.Forgone{Index: body.Index}}}
	case Find:
		return answer(m, s.channels[body.Index])
	case Roster:
		return answer(m, s.roster())
	case Gone:
		if s.gone == 0 { // a registry without a past does not stay awake for a page
			return answer(m, GonePage{})
		}
		return durable.Outcome{Release: []durable.Effect{durable.Load{
			Tag: m.Asker, Page: durable.Page{Prefix: gonePrefix, After: body.After, Limit: MaxPage},
		}}}
	case durable.Loaded:
		return loaded(body)
	default:
		panic(fmt.Sprintf("registry: unknown message %T", m.Body))
	}
}

// told notes where a channel stands.
func (c Core) told(s *State, channel *pb.Channel, now time.Time) durable.Outcome {
	gone := channel.GetStanding() == pb.Standing_GONE
	if gone && s.channels[channel.GetKeyIndex()] == nil {
		return durable.Outcome{} // it was noted before
	}
	out := durable.Outcome{Events: []proto.Message{channel}}
	switch {
	case gone && hadFunding(channel):
		out.Put = []durable.Column{{Key: fmt.Sprintf("%s%016x", gonePrefix, s.gone), Value: channel}}
	case gone && !channel.GetOpener():
		out.Stage = []proto.Message{&pb.Wasted{Channels: c.wasted(s, now) + 1, AtNs: now.UnixNano()}}
	}
	return out
}

// wasted is how many channels of peers came to nothing, without those that are forgiven.
func (c Core) wasted(s *State, now time.Time) uint64 {
	if c.Limits.Forgiveness <= 0 {
		return s.wasted
	}
	forgiven := now.Sub(s.wastedAt) / c.Limits.Forgiveness
	return s.wasted - min(s.wasted, uint64(max(forgiven, 0)))
}

// reserve gives out the next key index.
func (c Core) reserve(s *State, m durable.Message, want Reserve, env durable.Env) durable.Outcome {
	index := c.next(s, env)
	peers, all, taken := s.pending(&want)
	switch {
	case index >= math.MaxInt32: // the last that a key can be derived for, unhardened (BIP 32)
		return durable.Outcome{Refuse: ErrExhausted}
	case taken:
		return durable.Outcome{Refuse: ErrTaken}
	case !want.Opener && peers >= c.Limits.PerPeer:
		return durable.Outcome{Refuse: ErrTooMany}
	case !want.Opener && (all >= c.Limits.All || c.wasted(s, env.Now()) >= uint64(c.Limits.Waste)):
		return durable.Outcome{Refuse: ErrFull}
	}
	out := answer(m, index)
	out.Events = []proto.Message{&pb.IndexGiven{Index: index, Doubt: max(s.doubt, c.Doubt)}}
	out.Stage = []proto.Message{&pb.Reserved{
		Index: index, Peer: want.Peer[:], Opener: want.Opener, TemporaryId: want.TemporaryID[:],
	}}
	return out
}

// next is the index after the last, or one far behind it when this may be an old copy that does not know the last.
func (c Core) next(s *State, env durable.Env) uint32 {
	if c.Doubt <= s.doubt {
		return s.next
	}
	var random [4]byte
	env.Random(random[:])
	return s.next + minLeap + binary.BigEndian.Uint32(random[:])%(maxLeap-minLeap)
}

// loaded answers who asked for channels that are gone.
func loaded(page durable.Loaded) durable.Outcome {
	asker := page.Tag.(durable.Asker)
	var out GonePage
	for _, column := range page.Columns {
		out.Channels = append(out.Channels, column.Value.(*pb.Channel))
	}
	if n := len(page.Columns); n == MaxPage {
		out.Next = page.Columns[n-1].Key
	}
	reply := durable.Reply{To: asker, Body: out}
	if page.Err != nil {
		reply.Body = fmt.Errorf("read the channels that are gone: %w", page.Err)
	}
	return durable.Outcome{Release: []durable.Effect{reply}}
}

func answer(m durable.Message, body any) durable.Outcome {
	return durable.Outcome{Release: []durable.Effect{durable.Reply{To: m.Asker, Body: body}}}
}
