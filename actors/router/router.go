// Package router finds routes. It decides purely, from what it is told: which channels there are and what each can carry.
//
// Routes end at direct peers, over one of the channels to them or several in parallel.
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
}

// Bound is what was learned of a channel: it does not carry as much as Below; nothing at all if that is zero.
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
// block. The errors are ErrNoRoute and ErrInsufficientBalance.
func Find(q Query, channels []Channel, height uint32) ([]*pb.Route, error) {
	most := min(q.MaxDelta, math.MaxUint32-height)
	if most < padding || q.FinalDelta > most-padding { // the payee's number may be any
		return nil, fmt.Errorf("%w: the payee wants %d blocks, and %d are the limit", ErrNoRoute, q.FinalDelta, q.MaxDelta)
	}
	expiry := height + q.FinalDelta + padding
	usable := q.usable(channels)
	if len(usable) == 0 {
		return nil, fmt.Errorf("%w: no channel with the payee", ErrNoRoute)
	}
	parts, err := split(q, usable)
	if err != nil {
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

// usable are the channels with the payee that may be used first, with what was learned of each.
func (q *Query) usable(channels []Channel) []Channel {
	var usable []Channel
	for _, c := range channels {
		if c.Peer != q.Payee || len(q.First) > 0 && !slices.Contains(q.First, c.Scid) {
			continue
		}
		if q.MaxPart > 0 {
			c.Sendable = min(c.Sendable, q.MaxPart)
		}
		for _, b := range q.Learned {
			if b.Channel == c.Address {
				c.Sendable = min(c.Sendable, max(b.Below, 1)-1)
			}
		}
		c.Minimum = max(c.Minimum, 1)
		usable = append(usable, c)
	}
	return usable
}

// part is what one channel is to carry.
type part struct {
	channel Channel
	amount  wire.MilliSatoshi
}

// split divides the amount among the channels, as few as possible, each within its bounds.
func split(q Query, channels []Channel) ([]part, error) {
	channels = slices.DeleteFunc(slices.Clone(channels), func(c Channel) bool {
		return c.Sendable < c.Minimum || c.Minimum > q.Amount
	})
	if whole := enough(channels, q.Amount); len(whole) > 0 && q.MaxParts > 0 {
		return []part{{whole[q.Spread%uint64(len(whole))], q.Amount}}, nil
	}
	// The fewest are among the largest.
	slices.SortFunc(channels, func(a, b Channel) int {
		return cmp.Or(cmp.Compare(b.Sendable, a.Sendable), cmp.Compare(a.Address, b.Address))
	})
	var most, least wire.MilliSatoshi
	for i, c := range channels[:max(min(len(channels), q.MaxParts), 0)] {
		most += c.Sendable
		least += c.Minimum
		if most >= q.Amount && least <= q.Amount {
			return fill(channels[:i+1], q.Amount, least), nil
		}
	}
	return nil, fmt.Errorf("%w: %v in %d parts, and the channels with the payee carry %v in as many", ErrInsufficientBalance,
		q.Amount, q.MaxParts, most)
}

// enough are the channels that carry the whole amount, in the order of their addresses.
func enough(channels []Channel, amount wire.MilliSatoshi) []Channel {
	var whole []Channel
	for _, c := range channels {
		if c.Sendable >= amount {
			whole = append(whole, c)
		}
	}
	slices.SortFunc(whole, func(a, b Channel) int { return cmp.Compare(a.Address, b.Address) })
	return whole
}

// fill gives each channel its minimum, and the rest to one after the other.
func fill(channels []Channel, amount, least wire.MilliSatoshi) []part {
	rest := amount - least
	parts := make([]part, len(channels))
	for i, c := range channels {
		more := min(rest, c.Sendable-c.Minimum)
		parts[i] = part{c, c.Minimum + more}
		rest -= more
	}
	return parts
}
