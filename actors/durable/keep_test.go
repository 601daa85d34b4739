package durable_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	"stormcell/messages/journal"
	"stormcell/persistence"
)

// posting asks an actor to post its first n kept notes, or all of them when n is negative.
func posting(n int) do {
	return func(s *pad, m durable.Message, _ durable.Env) durable.Outcome {
		if n < 0 {
			return with(m, nil, postKept(s, len(s.kept)))
		}
		return with(m, nil, postKept(s, n))
	}
}

func stored(t *testing.T, j persistence.Journal, addr durable.Address) *persistence.Stored {
	t.Helper()
	st, err := j.Read(addr)
	require.NoError(t, err)
	return st
}

// low is the low-water mark of a head record.
func low(h *journal.Head) durable.Ref {
	return durable.Ref{LSN: persistence.LSN(h.InboxLsn), N: h.InboxN}
}

// TestKeep: kept notes survive a restart of the process, are decided on again in the order of the inbox, and the low-water
// mark follows the first that is left.
func TestKeep(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		j := d.open(t)
		p := boot(t, j, durable.Options{}, pad0, keeper)
		p.ask("pad/from", sending("keep/a", 1, 2, 3))
		p.ask("pad/from", sending("keep/a", 4, 5))
		p.until("it keeps five", func() bool { return p.ask("keep/a", do(pending)) == 5 })
		require.Nil(t, stored(t, j, "keep/a").Head, "keeping commits nothing")
		p.ask("keep/a", posting(2))
		st := stored(t, j, "keep/a")
		require.Len(t, st.Inbox, 3)
		require.Equal(t, st.Inbox[0].ID, low(st.Head))
		p.shut()

		j = d.open(t)
		next := boot(t, j, durable.Options{}, pad0, keeper)
		require.Contains(t, live(t, j), durable.Address("keep/a"))
		next.until("it keeps three again", func() bool { return next.ask("keep/a", do(pending)) == 3 })
		next.ask("pad/from", sending("keep/a", 6))
		next.until("it keeps a fourth", func() bool { return next.ask("keep/a", do(pending)) == 4 })
		// One of the middle: the mark stays.
		next.ask("keep/a", do(func(s *pad, m durable.Message, _ durable.Env) durable.Outcome {
			s.kept[0], s.kept[1] = s.kept[1], s.kept[0]
			defer func() { s.kept[0], s.kept[1] = s.kept[1], s.kept[0] }()
			out := postKept(s, 1)
			out.Events = nil
			return with(m, nil, out)
		}))
		after := stored(t, j, "keep/a")
		require.Len(t, after.Inbox, 3)
		require.Equal(t, low(st.Head), low(after.Head))
		next.shut()

		j = d.open(t)
		last := boot(t, j, durable.Options{}, pad0, keeper)
		last.until("it keeps what is left", func() bool { return last.ask("keep/a", do(pending)) == 3 })
		last.ask("keep/a", posting(-1))
		st = stored(t, j, "keep/a")
		require.Empty(t, st.Inbox)
		s := last.state("keep/a")
		require.EqualValues(t, 5, s.Count)
		require.Equal(t, []string{"number 5 of pad/from, not 4"}, s.Wrong, "the fourth was consumed without being noted")
		require.True(t, after.Inbox[2].ID.Less(low(st.Head)), "past everything")
	})
}

// TestConsumedInboxIsNotReadAgain: however much an inbox has held, recovery begins behind what was consumed.
func TestConsumedInboxIsNotReadAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		const notes = 5_000
		j := d.open(t)
		p := boot(t, j, durable.Options{}, pad0, keeper)
		var numbers []uint64
		for n := range uint64(notes) {
			numbers = append(numbers, n+1)
		}
		for part := range slices.Chunk(numbers, 100) {
			p.ask("pad/from", sending("keep/a", part...))
			p.ask("pad/from", sending("pad/to", part...))
		}
		p.world.seen(t, "pad/to", notes)
		p.until("all are kept", func() bool { return p.ask("keep/a", do(pending)) == notes })
		p.ask("keep/a", posting(-1))
		for _, addr := range []durable.Address{"keep/a", "pad/to"} {
			s, st := p.state(addr), stored(t, j, addr)
			require.Empty(t, s.Wrong)
			require.Empty(t, st.Inbox)
			require.Equal(t, durable.Ref{LSN: persistence.LSN(s.Lsn), N: s.N + 1}, low(st.Head), "behind the newest of all")
		}
	})
}
