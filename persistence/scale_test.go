package persistence

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"

	"stormcell/messages/journal"
	"stormcell/messages/record"
)

// counting opens the database with a block cache, which counts the blocks that are read, and without compaction, so that
// what was removed stays as tombstones.
func counting(o badger.Options) badger.Options {
	return o.WithBlockCacheSize(64 << 20).WithNumCompactors(0).WithNumLevelZeroTablesStall(1000)
}

func blocksRead(b *Badger) uint64 {
	m := b.db.BlockCacheMetrics()
	return m.Hits() + m.Misses()
}

// Half a million consumed letters are not scanned when their actor recovers.
func TestConsumedLettersAreNotScanned(t *testing.T) {
	t.Parallel()
	const letters, each = 500_000, 5_000
	o := testOptions(t.TempDir())
	o.hooks.tune = counting
	b := openBadger(t, o)
	p := newProgress()
	b.Start(p)
	sender, receiver := &actor{addr: "account/sender"}, &actor{addr: "account/receiver"}
	for range letters / each {
		sent := sender.step(func(_ *journal.Head, c *Commit) {
			for range each {
				c.Send = append(c.Send, Letter{To: receiver.addr, Body: rec("x")})
			}
		})
		lsn := submit(t, b, sent)
		require.NoError(t, p.wait(lsn)) // else neither the letters nor their removal would be stored
		ids := make([]InboxID, each)
		for i := range ids {
			ids[i] = sent.Send[i].ID
		}
		require.NoError(t, p.wait(submit(t, b, receiver.consume(InboxID{LSN: lsn + 1}, ids...))))
	}
	submit(t, b, sender.send(receiver.addr, "the last"))
	require.NoError(t, b.Close())

	b = openBadger(t, o)
	before := blocksRead(b)
	require.Equal(t, []string{"the last"}, inbox(t, b, receiver.addr))
	recovery := blocksRead(b) - before
	require.Less(t, recovery, uint64(200))

	before = blocksRead(b)
	require.NoError(t, b.view(func(txn *badger.Txn) error {
		return scan(txn, appendActorPrefix(nil, inboxSpace, receiver.addr), nil, func(_, _ []byte) error { return nil })
	}))
	require.Greater(t, blocksRead(b)-before, 20*recovery, "a scan from the beginning costs no more: nothing is shown")
}

// A hundred thousand actors that are not in the live set are not read at start, and take no memory.
func TestPassiveActorsCostNothingAtStart(t *testing.T) {
	const actors = 100_000
	body := record.Record{Kind: testKind, Version: 1, Body: []byte(strings.Repeat("s", 500))}
	fill := func(count int) Options {
		o := testOptions(t.TempDir())
		o.hooks.tune = counting
		b := openBadger(t, o)
		b.Start(newProgress())
		for i := range count {
			submit(t, b, &Commit{
				Actor: Address(fmt.Sprintf("payment/%06d", i)), Head: &journal.Head{HasSnapshot: true}, Snapshot: &body, Patient: true,
			})
		}
		submit(t, b, &Commit{Actor: "channel/1", Head: &journal.Head{}, Wake: []Address{"channel/1"}})
		require.NoError(t, b.Close())
		return o
	}
	start := func(o Options) (blocks, heap uint64) {
		before := heapInUse()
		b := openBadger(t, o)
		require.Equal(t, []Address{"channel/1"}, live(t, b))
		require.Equal(t, b.Last(), read(t, b, "channel/1").AsOf)
		blocks, heap = blocksRead(b), heapInUse()-before
		require.NoError(t, b.Close())
		return blocks, heap
	}
	fewBlocks, fewHeap := start(fill(10))
	manyBlocks, manyHeap := start(fill(actors))
	t.Logf("10 actors: %d blocks, %d KiB; %d actors: %d blocks, %d KiB", fewBlocks, fewHeap>>10, actors, manyBlocks, manyHeap>>10)
	require.Less(t, manyBlocks, fewBlocks+200)
	require.Less(t, manyHeap, fewHeap+4<<20)
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Whatever is stored stays out of the value log, whose files hold their header only.
func TestTheValueLogStaysEmpty(t *testing.T) {
	t.Parallel()
	const header = 20
	dir := t.TempDir()
	b := openBadger(t, testOptions(dir))
	b.Start(newProgress())
	a := &actor{addr: "account/a"}
	for _, size := range []int{1, 1000, maxValue - 1, maxValue, maxValue + 1, 2 * maxValue, 4*maxValue - 100} {
		submit(t, b, a.snapshot(strings.Repeat("x", size)))
		submit(t, b, a.events(strings.Repeat("x", size)))
		submit(t, b, a.column("k", recp(strings.Repeat("x", size))))
	}
	require.NoError(t, b.Close())
	logs, err := filepath.Glob(filepath.Join(dir, "journal", "*.vlog"))
	require.NoError(t, err)
	require.NotEmpty(t, logs)
	for _, path := range logs {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.LessOrEqual(t, info.Size(), int64(header), path)
	}
}

// A commit that is accepted fits: the largest that Submit takes is stored, with one byte or one change more it is refused.
func TestTheLargestCommitFits(t *testing.T) {
	t.Parallel()
	b := openBadger(t, testOptions(t.TempDir()))
	p := newProgress()
	b.Start(p)
	largest := func(most int, commit func(n int) *Commit) int {
		low, high := 0, most // low fits, high does not
		for high-low > 1 {
			middle := (low + high) / 2
			if lsn, err := b.Submit(commit(middle)); err == nil {
				require.NoError(t, p.wait(lsn))
				low = middle
			} else {
				require.ErrorIs(t, err, ErrTooLarge)
				high = middle
			}
		}
		return low
	}
	bytes := largest(4<<20, func(n int) *Commit {
		return &Commit{Actor: "account/a", Columns: []Column{{Key: "k", Value: recp(strings.Repeat("x", n))}}}
	})
	require.Greater(t, bytes, 2_400_000)
	letters := largest(100_000, func(n int) *Commit {
		return Commit{Actor: "account/a", Send: make([]Letter, n)}.to("account/b")
	})
	require.Greater(t, letters, 20_000)
	_, err := b.Submit(&Commit{Actor: "account/a", DropFrom: 1, DropTo: 1 << 60})
	require.ErrorIs(t, err, ErrTooLarge)
}

// to addresses every letter.
func (c Commit) to(a Address) *Commit {
	for i := range c.Send {
		c.Send[i].To = a
	}
	return &c
}
