package persistence

import (
	"fmt"
	"math/rand/v2"
	"testing"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"
)

// Badger must not begin a new write-ahead log while the old one holds commits without a sync. Patient commits of all sizes
// fill several logs; each time Badger began a new one, everything before had to be synced.
func TestAWriteAheadLogIsSyncedBeforeItEnds(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 100, 3000, 100_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			b := openBadger(t, testOptions(t.TempDir()))
			random := rand.New(rand.NewPCG(1, 2))
			body := make([]byte, size)
			a := &actor{addr: "account/a"}
			for began := 0; began < 2; {
				var batch []*encoded
				for range 1 + random.IntN(20) {
					e, err := encodeCommit(a.events(string(body)), 0)
					require.NoError(t, err)
					e.number(b.stored + LSN(len(batch)) + 1)
					batch = append(batch, e)
				}
				syncs, span, unsynced := b.stats.Syncs, b.spans.number, b.stored > b.Durable()
				require.NoError(t, b.writeBatch(batch))
				b.last = b.stored
				if b.spans.number == span {
					continue
				}
				began++
				require.True(t, !unsynced || b.stats.Syncs > syncs, "span %d ended without a sync", span)
			}
			require.Positive(t, b.stats.Syncs)
		})
	}
}

// Losing what lies between two stretches of the log is found, wherever the stretch lies and however long it is.
func TestMissingStretches(t *testing.T) {
	t.Parallel()
	type batch struct{ span, first, last, parity int }
	var log []batch
	lsn := 1
	for span := 1; span <= 70; span++ {
		for n := range 1 + span%4 {
			size := 1 + (span+n)%3
			log = append(log, batch{span, lsn, lsn + size - 1, n % 2})
			lsn += size
		}
	}
	// A span ends one batch after the file does: the last batch of a span is the first in the next file.
	ends := func(i int) bool { return i+1 < len(log) && (i+2 == len(log) || log[i+1].span != log[i+2].span) }
	db, err := badger.Open(badger.DefaultOptions("").WithInMemory(true).WithLogger(nil))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	check := func(missing func(i int) bool) error {
		require.NoError(t, db.DropAll())
		txn := db.NewTransaction(true)
		defer txn.Discard()
		starts := map[int]int{}
		for i, x := range log {
			if _, ok := starts[x.span]; !ok {
				starts[x.span] = x.first
			}
			if missing(i) {
				continue
			}
			s := spanWriter{number: uint64(x.span), first: LSN(starts[x.span]), parity: byte(x.parity)}
			if x.first == starts[x.span] {
				s.first = 0
			}
			require.NoError(t, s.encode(LSN(x.first), LSN(x.last)).writeTo(txn))
		}
		_, err := checkSpans(txn, LSN(log[len(log)-1].last))
		return err
	}
	require.NoError(t, check(func(int) bool { return false }))
	for end := range log {
		if !ends(end) || log[end].span < 60 {
			continue
		}
		for start := max(0, end-9); start <= end; start++ {
			err := check(func(i int) bool { return i >= start && i <= end })
			require.ErrorIs(t, err, ErrCorrupt, "batches %d to %d", start, end)
		}
	}
}
