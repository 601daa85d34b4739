package channel_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/actors/channel"
	"stormcell/peer/wire"
)

// onBoth runs a test on nodes whose journals are in memory, and on Badger.
func onBoth(t *testing.T, test func(t *testing.T, w *town, a, b *place)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		w := newTown(t)
		test(t, w, w.newPlace(1), w.newPlace(2))
	})
	t.Run("badger", func(t *testing.T) {
		t.Parallel()
		w := newTown(t)
		test(t, w, w.newPlace(1).onDisk(), w.newPlace(2).onDisk())
	})
}

func TestLiveChannel(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *town, here, there *place) {
		a, b := here.start(), there.start()
		a.keep(b)
		info := w.open(a, b, channel.OpenRequest{Capacity: 1_000_000, Push: 400_000_000})
		require.Equal(t, wire.MilliSatoshi(600_000_000), info.Local)
		require.NotZero(t, info.Scid)
		require.NotZero(t, info.Alias)
		require.NotZero(t, info.PeerAlias)
		require.EqualValues(t, 6, info.Confirmations)

		out := load{name: "out", channel: a.only().Address, amount: 1_000_000, number: 40}
		back := load{name: "back", channel: b.only().Address, amount: 700_000, number: 40}
		out.launch(a, 0, 40)
		back.launch(b, 0, 40)
		count := out.answered(a)
		require.Equal(t, 40, count["settled"]+count["failed"])
		require.NotZero(t, count["settled"])
		require.NotZero(t, count["failed"])
		count = back.answered(b)
		require.Equal(t, 40, count["settled"]+count["failed"])
		w.agree(a, b)
		settled := a.only()
		require.Positive(t, settled.Sent)
		require.Positive(t, settled.Received)

		a.stop()
		a = here.start()
		w.agree(a, b)
		b.stop()
		b = there.start()
		w.agree(a, b)
		require.Equal(t, settled.Local, a.only().Local)
		require.Equal(t, settled.Sent, a.only().Sent)
		a.stop()
		b.stop()
	})
}
