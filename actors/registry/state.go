package registry

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	pb "stormcell/messages/registry"
)

// State is the registry. What is in it is replaced as a whole, never changed.
type State struct {
	next     uint32                 // key index
	channels map[uint32]*pb.Channel // by key index, those that are not gone
	gone     uint64                 // how many columns there are
	doubt    uint64                 // the last that an index was given out under

	// Staged: it ends with the incarnation.
	reserved map[uint32]*pb.Reserved
	wasted   uint64 // channels of peers that came to nothing, as of wastedAt
	wastedAt time.Time
}

func newState() *State {
	return &State{channels: map[uint32]*pb.Channel{}, reserved: map[uint32]*pb.Reserved{}}
}

// apply folds one event in, stored or staged.
func (s *State) apply(event proto.Message) {
	switch ev := event.(type) {
	case *pb.IndexGiven:
		s.next, s.doubt = ev.GetIndex()+1, ev.GetDoubt()
	case *pb.Channel:
		delete(s.reserved, ev.GetKeyIndex())
		if ev.GetStanding() != pb.Standing_GONE {
			s.channels[ev.GetKeyIndex()] = ev
			return
		}
		delete(s.channels, ev.GetKeyIndex())
		if hadFunding(ev) {
			s.gone++
		}
	case *pb.Reserved:
		s.reserved[ev.GetIndex()] = ev
	case *pb.Wasted:
		s.wasted, s.wastedAt = ev.GetChannels(), time.Unix(0, ev.GetAtNs())
	case *pb.Forgone:
		delete(s.reserved, ev.GetIndex())
	default:
		panic(fmt.Sprintf("registry: unknown event %T", event))
	}
}

// roster is every channel that is not gone, by key index.
func (s *State) roster() []*pb.Channel {
	out := make([]*pb.Channel, 0, len(s.channels))
	for _, index := range slices.Sorted(maps.Keys(s.channels)) {
		out = append(out, s.channels[index])
	}
	return out
}

// pending counts the channels that peers are opening, that peer and all of them, and tells whether the temporary id is
// taken.
func (s *State) pending(want *Reserve) (peers, all int, taken bool) {
	count := func(peer, temporary []byte, opener bool) {
		if !opener {
			all++
		}
		if !bytes.Equal(peer, want.Peer[:]) {
			return
		}
		if !opener {
			peers++
		}
		taken = taken || bytes.Equal(temporary, want.TemporaryID[:])
	}
	for _, index := range slices.Sorted(maps.Keys(s.channels)) {
		if c := s.channels[index]; isPending(c) {
			count(c.GetPeer(), c.GetTemporaryId(), c.GetOpener())
		}
	}
	for _, index := range slices.Sorted(maps.Keys(s.reserved)) {
		r := s.reserved[index]
		count(r.GetPeer(), r.GetTemporaryId(), r.GetOpener())
	}
	return peers, all, taken
}

func isPending(c *pb.Channel) bool {
	return c.GetStanding() == pb.Standing_OPENING || c.GetStanding() == pb.Standing_PENDING
}

func hadFunding(c *pb.Channel) bool { return c.GetOutpoint() != nil }
