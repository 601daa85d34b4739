package router

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/actors/durable"
	pb "stormcell/messages/payment"
	"stormcell/peer/wire"
)

var (
	payee    = [33]byte{2, 1}
	somebody = [33]byte{2, 9}
)

func to(peer [33]byte, n int, sendable wire.MilliSatoshi) Channel {
	return Channel{
		Address: durable.Address(fmt.Sprintf("channel/%d", n)), Peer: peer, Scid: uint64(n), Minimum: 1, Sendable: sendable,
	}
}

func TestFind(t *testing.T) {
	three := []Channel{to(payee, 1, 500), to(payee, 2, 300), to(somebody, 3, 9_000), to(payee, 4, 400)}
	type want map[string]uint64
	for _, test := range []struct {
		name     string
		query    Query
		channels []Channel
		want     want
		err      error
	}{
		{"one channel carries it", Query{Amount: 450, MaxParts: 5}, three, want{"channel/1": 450}, nil},
		{"chance chooses the first", Query{Amount: 300, MaxParts: 5, Spread: 3}, three, want{"channel/1": 300}, nil},
		{"chance chooses another", Query{Amount: 300, MaxParts: 5, Spread: 1}, three, want{"channel/2": 300}, nil},
		{"the two largest carry it", Query{Amount: 900, MaxParts: 5}, three, want{"channel/1": 500, "channel/4": 400}, nil},
		{"all that there is", Query{Amount: 1_200, MaxParts: 3}, three,
			want{"channel/1": 500, "channel/2": 300, "channel/4": 400}, nil},
		{"too few parts", Query{Amount: 1_200, MaxParts: 2}, three, nil, ErrInsufficientBalance},
		{"no parts left", Query{Amount: 1, MaxParts: 0}, three, nil, ErrInsufficientBalance},
		{"too much", Query{Amount: 1_201, MaxParts: 5}, three, nil, ErrInsufficientBalance},
		{"no channel with the payee", Query{Amount: 1, MaxParts: 5}, three[2:3], nil, ErrNoRoute},
		{"the payee wants too long", Query{Amount: 1, MaxParts: 5, FinalDelta: 98}, three, nil, ErrNoRoute},
		{"the payee wants more blocks than can be counted", Query{Amount: 1, MaxParts: 5, FinalDelta: math.MaxUint32}, three,
			nil, ErrNoRoute},
		{"parts are bounded", Query{Amount: 400, MaxParts: 5, MaxPart: 200}, three,
			want{"channel/1": 200, "channel/2": 200}, nil},
		{"only certain channels", Query{Amount: 400, MaxParts: 5, First: []uint64{2, 4}, Spread: 7}, three,
			want{"channel/4": 400}, nil},
		{"a channel that carries less", Query{Amount: 450, MaxParts: 5, Learned: []Bound{{"channel/1", 450}}}, three,
			want{"channel/1": 449, "channel/4": 1}, nil},
		{"a channel that carries nothing", Query{Amount: 450, MaxParts: 5, Learned: []Bound{{"channel/1", 0}}}, three,
			want{"channel/4": 400, "channel/2": 50}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.query.Payee, test.query.MaxDelta = payee, 100
			routes, err := Find(test.query, test.channels, 1_000)
			require.ErrorIs(t, err, test.err)
			got := want{}
			for _, r := range routes {
				got[r.GetChannel()] = r.GetAmountMsat()
				require.Len(t, r.GetHops(), 1)
				require.Equal(t, r.GetAmountMsat(), r.GetHops()[0].GetAmountMsat())
				require.Equal(t, uint32(1_000+padding)+test.query.FinalDelta, r.GetExpiry())
			}
			if test.err == nil {
				require.Equal(t, test.want, got)
			}
		})
	}
}

// A limit on blocks that is none does not make an expiry that lies in the past.
func TestNoExpiryBeyondAllHeights(t *testing.T) {
	q := Query{Payee: payee, Amount: 1, MaxParts: 1, FinalDelta: math.MaxUint32 - padding, MaxDelta: math.MaxUint32}
	_, err := Find(q, []Channel{to(payee, 1, 500)}, 1_000)
	require.ErrorIs(t, err, ErrNoRoute)
}

// Whatever the channels are: the parts sum up, each is within its channel's bounds, and no fewer would have done.
func TestParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var channels []Channel
		for n := range rapid.IntRange(0, 8).Draw(t, "channels") {
			c := to(payee, n, wire.MilliSatoshi(rapid.IntRange(0, 1_000).Draw(t, "sendable")))
			c.Minimum = wire.MilliSatoshi(rapid.IntRange(0, 20).Draw(t, "minimum"))
			channels = append(channels, c)
		}
		q := Query{
			Payee: payee, Amount: wire.MilliSatoshi(rapid.IntRange(200, 4_000).Draw(t, "amount")), MaxDelta: 100,
			MaxParts: rapid.IntRange(0, 9).Draw(t, "parts"), Spread: rapid.Uint64().Draw(t, "spread"),
		}
		routes, err := Find(q, channels, 100)
		fewest := fewestParts(q, channels)
		if fewest == 0 {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Len(t, routes, fewest)
		require.Equal(t, q.Amount, total(routes))
		seen := map[string]bool{}
		for _, r := range routes {
			require.False(t, seen[r.GetChannel()], "a channel carries one part")
			seen[r.GetChannel()] = true
			for _, c := range channels {
				if string(c.Address) == r.GetChannel() {
					require.GreaterOrEqual(t, wire.MilliSatoshi(r.GetAmountMsat()), c.Minimum)
					require.LessOrEqual(t, wire.MilliSatoshi(r.GetAmountMsat()), c.Sendable)
				}
			}
		}
	})
}

// fewestParts tries every set of channels; zero when none will do.
func fewestParts(q Query, channels []Channel) int {
	fewest := 0
	for set := 1; set < 1<<len(channels); set++ {
		var most, least wire.MilliSatoshi
		size, possible := 0, true
		for i, c := range channels {
			if set>>i&1 == 1 {
				size++
				most += c.Sendable
				least += c.Minimum
				possible = possible && c.Sendable >= max(c.Minimum, 1)
			}
		}
		if possible && size <= q.MaxParts && least <= q.Amount && most >= q.Amount && (fewest == 0 || size < fewest) {
			fewest = size
		}
	}
	return fewest
}

func total(routes []*pb.Route) (sum wire.MilliSatoshi) {
	for _, r := range routes {
		sum += wire.MilliSatoshi(r.GetAmountMsat())
	}
	return sum
}
