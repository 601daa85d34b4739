package registry

import (
	"errors"
	"time"

	"stormcell/actors/durable"
	pb "stormcell/messages/registry"
)

// Address is where the one registry of a node lives.
const Address durable.Address = "registry/main"

// Refusals.
var (
	// ErrTooMany: the peer has as many channels pending as it may have.
	ErrTooMany = errors.New("the peer has too many pending channels already")
	// ErrFull: all peers together have as many channels pending as they may have, or began too many of which nothing came.
	ErrFull = errors.New("there are too many pending channels already")
	// ErrTaken: the peer has a channel with that temporary id already.
	ErrTaken = errors.New("the temporary channel id is in use")
	// ErrExhausted: there are no more key indexes.
	ErrExhausted = errors.New("all key indexes have been given out")
)

// Limits bound the channels that peers open with us and whose funding is not confirmed.
type Limits struct {
	PerPeer int
	All     int
	// Waste is how many may come to nothing before the node takes no more: each leaves something on the disk for ever. One is
	// forgiven every Forgiveness.
	Waste       int
	Forgiveness time.Duration
}

// DefaultLimits are what most nodes want. Peers that waste what they can cost two megabytes a day.
func DefaultLimits() Limits {
	return Limits{PerPeer: 3, All: 300, Waste: 1_000, Forgiveness: time.Minute}
}

// What the registry can be asked, besides what channels tell it. All of it is volatile.
type (
	// Reserve asks for a key index that was never used, for a channel that begins. The answer is a uint32. The reservation
	// counts as a pending channel until the channel tells where it stands, or Forgo. Refused with ErrTooMany, ErrFull,
	// ErrTaken and ErrExhausted.
	Reserve struct {
		Peer        [33]byte
		TemporaryID [32]byte
		Opener      bool // we open it: no limit counts
	}

	// Forgo says that nothing came of a reservation. Nobody answers.
	Forgo struct{ Index uint32 }

	// Find asks for a channel that is not gone. The answer is a *pb.Channel, nil when there is none; it must not be changed.
	Find struct{ Index uint32 }

	// Roster asks for all channels that are not gone. The answer is a []*pb.Channel by key index; they must not be changed.
	Roster struct{}

	// Gone asks for channels that are gone and had a funding: at most MaxPage, in the order in which they ended, after the
	// given one. The answer is a GonePage.
	Gone struct{ After string }
)

// MaxPage is how many channels a page has.
const MaxPage = 500

// GonePage answers Gone. Next is for the next page's After; empty after the last page.
type GonePage struct {
	Channels []*pb.Channel
	Next     string
}
