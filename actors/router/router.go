// Package router finds routes. It decides purely, from what it is told: which channels there are and what each can carry.
//
// Routes end at direct peers, over one of the channels to them or several in parallel, in one part or several over each.
package router

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"stormcell/actors/durable"
	pb "stormcell/messages/payment"
	"stormcell/peer/wire"
)

// Reasons why there is no route.
var (
	// ErrNoRoute: no way leads to the payee within the limits.
	ErrNoRoute = errors.New("no route to the payee")
	// ErrInsufficientBalance: there is a way, but our channels cannot carry the amount.
	ErrInsufficientBalance = errors.New("insufficient local balance")
	// ErrBusy: our channels cannot carry the amount now, and may once HTLCs have ended that are on their way.
	ErrBusy = errors.New("the channels are full of HTLCs on their way")
)

// padding is how many blocks an HTLC has beyond what the payee wants: some may be found while it is on its way.
const padding = 3

// Channel is a channel of ours with a direct peer.
type Channel struct {
	Address durable.Address
	Peer    [33]byte
	Scid    uint64 // short id, or an alias of it
	// Minimum and Sendable bound an HTLC that it can take now.
	Minimum, Sendable wire.MilliSatoshi
	// HTLCs is how many it can take now. Together they are bounded by Sendable, less PerHTLC for each but the first.
	HTLCs   int
	PerHTLC wire.MilliSatoshi
	// Emptied is about what it can take once the HTLCs of ours that are on their way have settled; zero if there are none.
	Emptied wire.MilliSatoshi
}

// Bound is what was learned of a channel: all that it still takes is less than Below; nothing at all if that is zero.
type Bound struct {
	Channel durable.Address
	Below   wire.MilliSatoshi
}

// Query asks for routes.
type Query struct {
	Payee    [33]byte
	Amount   wire.MilliSatoshi // that the payee gets
	MaxFee   wire.MilliSatoshi // of all routes together
	MaxParts int
	MaxPart  wire.MilliSatoshi // of one route; zero is no bound
	// FinalDelta is how many blocks the payee wants to have left, MaxDelta the most that our funds may be locked for.
	FinalDelta, MaxDelta uint32
	First                []uint64 // short ids of the channels that may be used first; none are all
	Learned              []Bound
	// Spread chooses among channels that would do equally well.
	Spread uint64
}

// Find gives routes that together bring the amount to the payee, as few as possible. The height is that of the newest
// block. The errors are ErrNoRoute, ErrInsufficientBalance and ErrBusy.
func Find(q Query, channels []Channel, height uint32) ([]*pb.Route, error) {
	most := min(q.MaxDelta, math.MaxUint32-height)
	if most < padding || q.FinalDelta > most-padding { // the payee's number may be any
		return nil, fmt.Errorf("%w: the payee wants %d blocks, and %d are the limit", ErrNoRoute, q.FinalDelta, q.MaxDelta)
	}
	expiry := height + q.FinalDelta + padding
	shares := q.shares(channels)
	if len(shares) == 0 {
		return nil, fmt.Errorf("%w: no channel with the payee takes it", ErrNoRoute)
	}
	busy := isBusy(q, shares)
	parts, err := split(q, shares)
	switch {
	case err != nil && busy:
		return nil, fmt.Errorf("%w: %v", ErrBusy, q.Amount)
	case err != nil:
		return nil, err
	}
	routes := make([]*pb.Route, len(parts))
	for i, p := range parts {
		routes[i] = &pb.Route{
			Channel: string(p.channel.Address), AmountMsat: uint64(p.amount), Expiry: expiry,
			Hops: []*pb.Hop{{Node: q.Payee[:], Scid: p.channel.Scid, AmountMsat: uint64(p.amount), Expiry: expiry}},
		}
	}
	return routes, nil
}

// isBusy tells whether the channels may carry the amount, in as many parts as there may be, once some of them are emptied.
func isBusy(q Query, shares []share) bool {
	var later, largest wire.MilliSatoshi
	some := false
	for _, s := range shares {
		most := max(s.Sendable, s.Emptied)
		later += most
		largest = max(largest, q.onePart(most))
		some = some || s.Emptied > 0
	}
	return some && later >= q.Amount && (q.Amount-1)/largest < wire.MilliSatoshi(q.MaxParts)
}

// shares are what the channels with the payee can carry that may be used first, with what was learned of each, the largest
// first. Those are left out that would not do however much they could carry: they failed, or take nothing as small.
func (q *Query) shares(channels []Channel) []share {
	var shares []share
	for _, c := range channels {
		if c.Peer != q.Payee || len(q.First) > 0 && !slices.Contains(q.First, c.Scid) {
			continue
		}
		failed := false
		for _, b := range q.Learned {
			switch {
			case b.Channel != c.Address:
			case b.Below == 0:
				failed = true
			default:
				c.Sendable, c.Emptied = min(c.Sendable, b.Below-1), min(c.Emptied, b.Below-1)
			}
		}
		if c.Minimum = max(c.Minimum, 1); failed || c.Minimum > q.Amount {
			continue
		}
		shares = append(shares, share{Channel: c, largest: q.onePart(c.Sendable)})
	}
	slices.SortFunc(shares, func(a, b share) int {
		return cmp.Or(cmp.Compare(b.Sendable, a.Sendable), cmp.Compare(a.Address, b.Address))
	})
	return shares
}

// onePart is how much of what a channel can carry may be in one part.
func (q *Query) onePart(sendable wire.MilliSatoshi) wire.MilliSatoshi {
	if q.MaxPart > 0 {
		return min(sendable, q.MaxPart)
	}
	return sendable
}

// share is what one channel is to carry. Its Sendable shrinks with every part.
type share struct {
	Channel
	largest wire.MilliSatoshi // of one part
	parts   int
	carries wire.MilliSatoshi // at most, in so many parts
}

// another is the share with one part more, if the channel can take that and carries more by it.
func (s share) another() (more share, ok bool) {
	more = s
	if s.parts > 0 {
		more.Sendable -= min(s.Sendable, s.PerHTLC)
	}
	more.parts++
	more.carries = min(s.carries+s.largest, more.Sendable)
	enough := more.carries/wire.MilliSatoshi(more.parts) >= s.Minimum
	return more, more.parts <= s.HTLCs && enough && more.carries > s.carries
}

// part is what one HTLC is to carry.
type part struct {
	channel Channel
	amount  wire.MilliSatoshi
}

// split divides the amount among the channels, as few parts as possible, each within its channel's bounds.
func split(q Query, shares []share) ([]part, error) {
	shares = slices.DeleteFunc(shares, func(s share) bool {
		return s.HTLCs < 1 || s.largest < s.Minimum
	})
	if whole := enough(shares, q.Amount); len(whole) > 0 && q.MaxParts > 0 {
		return []part{{whole[q.Spread%uint64(len(whole))], q.Amount}}, nil
	}
	// What one more part adds to a channel never grows from part to part: so the most in any number of parts is found by always
	// adding the part that adds most.
	var most, least wire.MilliSatoshi
	for range q.MaxParts {
		best, grown := grow(shares)
		if best == nil {
			break
		}
		most += grown.carries - best.carries
		least += grown.Minimum
		*best = grown
		if most >= q.Amount && least <= q.Amount {
			return fill(shares, q.Amount-least), nil
		}
	}
	return nil, fmt.Errorf("%w: %v in %d parts, and the channels with the payee carry %v in as many", ErrInsufficientBalance,
		q.Amount, q.MaxParts, most)
}

// grow finds the share to which one more part adds most, and of equal ones the one that has most left. It is nil when none
// can grow.
func grow(shares []share) (best *share, grown share) {
	var most, left wire.MilliSatoshi
	for i := range shares {
		s := &shares[i]
		more, ok := s.another()
		if !ok {
			continue
		}
		gain, rest := more.carries-s.carries, more.Sendable-more.carries
		if best == nil || gain > most || gain == most && rest > left {
			best, grown, most, left = s, more, gain, rest
		}
	}
	return best, grown
}

// enough are the channels that carry the whole amount in one part, in the order of their addresses.
func enough(shares []share, amount wire.MilliSatoshi) []Channel {
	var whole []Channel
	for _, s := range shares {
		if s.largest >= amount {
			whole = append(whole, s.Channel)
		}
	}
	slices.SortFunc(whole, func(a, b Channel) int { return cmp.Compare(a.Address, b.Address) })
	return whole
}

// fill gives each part its minimum, and the rest to one after the other.
func fill(shares []share, rest wire.MilliSatoshi) []part {
	var parts []part
	for _, s := range shares {
		free := s.carries - wire.MilliSatoshi(s.parts)*s.Minimum
		for range s.parts {
			more := min(rest, free, s.largest-s.Minimum)
			parts = append(parts, part{s.Channel, s.Minimum + more})
			rest, free = rest-more, free-more
		}
	}
	return parts
}
