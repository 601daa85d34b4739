package router

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
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
		HTLCs: 483,
	}
}

// taking is a channel that takes so many HTLCs, and carries less by a cost for each but the first.
func taking(c Channel, htlcs int, cost wire.MilliSatoshi) Channel {
	c.HTLCs, c.PerHTLC = htlcs, cost
	return c
}

// emptying is a channel that carries so much once the HTLCs in it have ended.
func emptying(c Channel, emptied wire.MilliSatoshi) Channel {
	c.Emptied = emptied
	return c
}

func TestFind(t *testing.T) {
	three := []Channel{to(payee, 1, 500), to(payee, 2, 300), to(somebody, 3, 9_000), to(payee, 4, 400)}
	type want map[string][]uint64
	for _, test := range []struct {
		name     string
		query    Query
		channels []Channel
		want     want
		err      error
	}{
		{"one channel carries it", Query{Amount: 450, MaxParts: 5}, three, want{"channel/1": {450}}, nil},
		{"chance chooses the first", Query{Amount: 300, MaxParts: 5, Spread: 3}, three, want{"channel/1": {300}}, nil},
		{"chance chooses another", Query{Amount: 300, MaxParts: 5, Spread: 1}, three, want{"channel/2": {300}}, nil},
		{"the two largest carry it", Query{Amount: 900, MaxParts: 5}, three, want{"channel/1": {500}, "channel/4": {400}}, nil},
		{"all that there is", Query{Amount: 1_200, MaxParts: 3}, three,
			want{"channel/1": {500}, "channel/2": {300}, "channel/4": {400}}, nil},
		{"too few parts", Query{Amount: 1_200, MaxParts: 2}, three, nil, ErrInsufficientBalance},
		{"no parts left", Query{Amount: 1, MaxParts: 0}, three, nil, ErrInsufficientBalance},
		{"too much", Query{Amount: 1_201, MaxParts: 5}, three, nil, ErrInsufficientBalance},
		{"no channel with the payee", Query{Amount: 1, MaxParts: 5}, three[2:3], nil, ErrNoRoute},
		{"the payee wants too long", Query{Amount: 1, MaxParts: 5, FinalDelta: 98}, three, nil, ErrNoRoute},
		{"the payee wants more blocks than can be counted", Query{Amount: 1, MaxParts: 5, FinalDelta: math.MaxUint32}, three,
			nil, ErrNoRoute},
		{"parts are bounded", Query{Amount: 400, MaxParts: 5, MaxPart: 200}, three,
			want{"channel/1": {200}, "channel/4": {200}}, nil},
		{"several parts over one channel", Query{Amount: 450, MaxParts: 5, MaxPart: 200}, three[:1],
			want{"channel/1": {200, 200, 50}}, nil},
		{"several parts over each channel", Query{Amount: 1_200, MaxParts: 12, MaxPart: 100}, three,
			want{"channel/1": {100, 100, 100, 100, 100}, "channel/2": {100, 100, 100}, "channel/4": {100, 100, 100, 100}}, nil},
		{"too few parts for their bound", Query{Amount: 450, MaxParts: 2, MaxPart: 200}, three[:1], nil, ErrInsufficientBalance},
		{"a part that is worth more elsewhere", Query{Amount: 600, MaxParts: 3, MaxPart: 300}, three,
			want{"channel/1": {300}, "channel/4": {300}}, nil},
		{"a channel that takes one HTLC", Query{Amount: 600, MaxParts: 5, MaxPart: 200},
			[]Channel{taking(to(payee, 1, 9_000), 1, 0), to(payee, 2, 400)}, want{"channel/1": {200}, "channel/2": {200, 200}}, nil},
		{"a channel that takes no HTLC", Query{Amount: 100, MaxParts: 5}, []Channel{taking(to(payee, 1, 500), 0, 0)}, nil,
			ErrInsufficientBalance},
		{"HTLCs have their cost", Query{Amount: 480, MaxParts: 5, MaxPart: 200}, []Channel{taking(to(payee, 1, 500), 9, 10)},
			want{"channel/1": {200, 200, 80}}, nil},
		{"HTLCs cost too much", Query{Amount: 481, MaxParts: 5, MaxPart: 200}, []Channel{taking(to(payee, 1, 500), 9, 10)}, nil,
			ErrInsufficientBalance},
		{"each part has the minimum", Query{Amount: 210, MaxParts: 5, MaxPart: 200},
			[]Channel{{Address: "channel/1", Peer: payee, Scid: 1, Minimum: 50, Sendable: 500, HTLCs: 9}},
			want{"channel/1": {160, 50}}, nil},
		{"no second part below the minimum", Query{Amount: 140, MaxParts: 5, MaxPart: 50}, []Channel{
			{Address: "channel/1", Peer: payee, Scid: 1, Minimum: 50, Sendable: 90, HTLCs: 9}, to(payee, 2, 50),
		}, nil, ErrInsufficientBalance},
		{"figures that nobody can have", Query{Amount: math.MaxInt64, MaxParts: 9, MaxPart: math.MaxInt64 - 1},
			[]Channel{taking(to(payee, 1, math.MaxInt64), 9, math.MaxUint64)}, nil, ErrInsufficientBalance},
		{"a channel that is full", Query{Amount: 600, MaxParts: 5}, []Channel{emptying(to(payee, 1, 0), 600)}, nil, ErrBusy},
		{"channels that are full together", Query{Amount: 900, MaxParts: 5},
			[]Channel{emptying(to(payee, 1, 500), 500), emptying(to(payee, 2, 0), 400)}, nil, ErrBusy},
		{"more than channels carry that are full", Query{Amount: 901, MaxParts: 5},
			[]Channel{emptying(to(payee, 1, 500), 500), emptying(to(payee, 2, 0), 400)}, nil, ErrInsufficientBalance},
		{"full channels, and too few parts even for empty ones", Query{Amount: 501, MaxParts: 1},
			[]Channel{emptying(to(payee, 1, 0), 500), emptying(to(payee, 2, 0), 400)}, nil, ErrInsufficientBalance},
		{"a full channel, and too few parts for their bound", Query{Amount: 401, MaxParts: 2, MaxPart: 200},
			[]Channel{emptying(to(payee, 1, 0), 900)}, nil, ErrInsufficientBalance},
		{"a full channel, and just enough parts", Query{Amount: 400, MaxParts: 2, MaxPart: 200},
			[]Channel{emptying(to(payee, 1, 0), 900)}, nil, ErrBusy},
		{"a full channel that carries nothing", Query{Amount: 1, MaxParts: 5, Learned: []Bound{{"channel/1", 0}}},
			[]Channel{emptying(to(payee, 1, 0), 600)}, nil, ErrNoRoute},
		{"nothing to send", Query{Amount: 1, MaxParts: 5}, []Channel{to(payee, 1, 0)}, nil, ErrInsufficientBalance},
		{"a way that is tried in vain, and has the balance", Query{Amount: 400, MaxParts: 5, Learned: []Bound{{"channel/1", 0}}},
			three[:1], nil, ErrNoRoute},
		{"a way that is tried in vain, and one without the balance", Query{Amount: 400, MaxParts: 5,
			Learned: []Bound{{"channel/1", 0}}}, three[:2], nil, ErrInsufficientBalance},
		{"less than any channel takes", Query{Amount: 49, MaxParts: 5},
			[]Channel{{Address: "channel/1", Peer: payee, Scid: 1, Minimum: 50, Sendable: 500, HTLCs: 9}}, nil, ErrNoRoute},
		{"less than a channel takes that is full", Query{Amount: 49, MaxParts: 5},
			[]Channel{{Address: "channel/1", Peer: payee, Scid: 1, Minimum: 50, Emptied: 500}}, nil, ErrNoRoute},
		{"one full channel of two", Query{Amount: 400, MaxParts: 5}, []Channel{emptying(to(payee, 1, 0), 900), to(payee, 2, 400)},
			want{"channel/2": {400}}, nil},
		{"only certain channels", Query{Amount: 400, MaxParts: 5, First: []uint64{2, 4}, Spread: 7}, three,
			want{"channel/4": {400}}, nil},
		{"a channel that carries less", Query{Amount: 450, MaxParts: 5, Learned: []Bound{{"channel/1", 450}}}, three,
			want{"channel/1": {449}, "channel/4": {1}}, nil},
		{"a channel that carries nothing", Query{Amount: 450, MaxParts: 5, Learned: []Bound{{"channel/1", 0}}}, three,
			want{"channel/4": {400}, "channel/2": {50}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.query.Payee, test.query.MaxDelta = payee, 100
			routes, err := Find(test.query, test.channels, 1_000)
			require.ErrorIs(t, err, test.err)
			got := want{}
			for _, r := range routes {
				got[r.GetChannel()] = append(got[r.GetChannel()], r.GetAmountMsat())
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

// Whatever the channels are: the parts sum up, those of a channel are within its bounds, and no fewer would have done.
func TestParts(t *testing.T) {
	msat := func(t *rapid.T, least, most int, what string) wire.MilliSatoshi {
		return wire.MilliSatoshi(rapid.IntRange(least, most).Draw(t, what))
	}
	rapid.Check(t, func(t *rapid.T) {
		channels := map[string]Channel{}
		for n := range rapid.IntRange(0, 5).Draw(t, "channels") {
			c := taking(to(payee, n, msat(t, 0, 1_000, "sendable")), rapid.IntRange(0, 9).Draw(t, "HTLCs"), msat(t, 0, 60, "cost"))
			c.Minimum = msat(t, 0, 20, "minimum")
			channels[string(c.Address)] = c
		}
		q := Query{
			Payee: payee, Amount: msat(t, 200, 3_000, "amount"), MaxDelta: 100, MaxParts: rapid.IntRange(0, 9).Draw(t, "parts"),
			MaxPart: msat(t, 0, 800, "largest part"), Spread: rapid.Uint64().Draw(t, "spread"),
		}
		all := slices.Collect(maps.Values(channels))
		routes, err := Find(q, all, 100)
		again, _ := Find(q, slices.SortedFunc(slices.Values(all), func(a, b Channel) int {
			return cmp.Compare(a.Sendable, b.Sendable)
		}), 100)
		require.Equal(t, routes, again, "the order of the channels makes no difference")

		fewest := fewestParts(q, all, 0)
		if fewest == 0 {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Len(t, routes, fewest)
		require.Equal(t, q.Amount, total(routes))
		over := map[string][]*pb.Route{}
		for _, r := range routes {
			over[r.GetChannel()] = append(over[r.GetChannel()], r)
			amount := wire.MilliSatoshi(r.GetAmountMsat())
			require.GreaterOrEqual(t, amount, max(channels[r.GetChannel()].Minimum, 1))
			require.True(t, q.MaxPart == 0 || amount <= q.MaxPart)
		}
		for name, routes := range over {
			c := channels[name]
			require.LessOrEqual(t, len(routes), c.HTLCs)
			require.LessOrEqual(t, total(routes)+wire.MilliSatoshi(len(routes)-1)*c.PerHTLC, c.Sendable)
		}
	})
}

// fewestParts tries every number of parts over every channel, with so many parts taken before; zero when none will do. The
// least that the parts may be is never more than the amount.
func fewestParts(q Query, channels []Channel, taken int) int {
	if q.Amount == 0 {
		return taken
	}
	if len(channels) == 0 {
		return 0
	}
	c, rest := channels[0], channels[1:]
	fewest := fewestParts(q, rest, taken)
	for n := 1; n <= c.HTLCs && taken+n <= q.MaxParts; n++ {
		most := int(c.Sendable) - (n-1)*int(c.PerHTLC)
		if q.MaxPart > 0 {
			most = min(most, n*int(q.MaxPart))
		}
		if most < n*int(max(c.Minimum, 1)) {
			continue
		}
		without := q
		without.Amount -= min(q.Amount, wire.MilliSatoshi(most))
		if found := fewestParts(without, rest, taken+n); found > 0 && (fewest == 0 || found < fewest) {
			fewest = found
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
