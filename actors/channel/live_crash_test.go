package channel_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/actors/channel"
	"stormcell/peer/wire"
)

// TestLiveCrashes ends one of two nodes abruptly again and again while they pay each other, and then looks whether anything
// is stuck, lost or doubled.
func TestLiveCrashes(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		w := newTown(t)
		crashes(w, 50, w.newPlace(1), w.newPlace(2))
	})
	t.Run("badger", func(t *testing.T) {
		t.Parallel()
		w := newTown(t)
		crashes(w, 12, w.newPlace(1).onDisk(), w.newPlace(2).onDisk())
	})
}

func crashes(w *town, times int, places ...*place) {
	t := w.t
	nodes := []*node{places[0].start(), places[1].start()}
	nodes[0].keep(nodes[1])
	nodes[1].keep(nodes[0]) // whoever comes back dials at once
	w.open(nodes[0], nodes[1], channel.OpenRequest{Capacity: 10_000_000, Push: 5_000_000_000})

	const each = 8 // payments of a side between two crashes
	loads := [2]load{
		{name: "out", channel: nodes[0].only().Address, amount: 1_000_001, number: times * each},
		{name: "back", channel: nodes[1].only().Address, amount: 700_003, number: times * each},
	}
	rng := rand.New(rand.NewPCG(1, uint64(times)))
	underLoad := 0
	for i := range times {
		for side, l := range loads {
			l.launch(nodes[side], i*each, (i+1)*each)
		}
		victim := rng.IntN(2)
		switch rng.IntN(4) {
		case 0: // wherever it is
		case 1:
			w.until("the channel is active", func() bool { return nodes[victim].only().Active })
		default:
			w.until("HTLCs are in the channel", func() bool { return len(nodes[victim].only().HTLCs) > 0 })
		}
		if len(nodes[victim].only().HTLCs) > 0 {
			underLoad++
		}
		nodes[victim].crash()
		nodes[victim] = places[victim].start()
	}
	require.Greater(t, underLoad, times/3, "crashes with HTLCs in the channel")

	var settled [2]wire.MilliSatoshi
	for side, l := range loads {
		l.launch(nodes[side], 0, l.number) // what a crash kept from being asked for
		count := l.answered(nodes[side])
		t.Logf("%s: %v", l.name, count)
		settled[side] = wire.MilliSatoshi(uint64(count["settled"]) * l.amount)
		require.NotZero(t, settled[side])
	}
	w.agree(nodes[0], nodes[1])
	for side, n := range nodes {
		require.Equal(t, settled[side], n.only().Sent, "what was paid is what payers know to be paid")
		n.stop()
	}
}
