package persistence

import (
	"errors"
	"sync"
	"testing"
	"time"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"
)

// TestStats: what waits for the disk, what each sync took, how much room the journal takes, and whether it has failed.
func TestStats(t *testing.T) {
	t.Parallel()
	errDisk := errors.New("disk on fire")
	var mu sync.Mutex
	var broken bool
	var synced []time.Duration
	o := testOptions(t.TempDir())
	o.FreeSpaceFloor = 7
	o.hooks.freeSpace = func(string) (uint64, error) { return 1 << 40, nil }
	entered, goOn := make(chan struct{}, 1), make(chan struct{})
	o.Synced = func(took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		synced = append(synced, took)
	}
	b := openBadger(t, o)
	b.opts.hooks.sync = func(db *badger.DB) error {
		entered <- struct{}{}
		<-goOn
		mu.Lock()
		defer mu.Unlock()
		if broken {
			return errDisk
		}
		return db.Sync()
	}
	p := newProgress()
	b.Start(p)
	began, before := time.Now(), b.Stats()
	a := &actor{addr: "account/a"}

	lsn := submit(t, b, a.events("1"))
	<-entered
	require.EqualValues(t, 1, b.Stats().Undurable)
	goOn <- struct{}{}
	require.NoError(t, p.wait(lsn))
	after := b.Stats()
	require.Zero(t, after.Undurable)
	require.Equal(t, before.Syncs+1, after.Syncs)
	require.Equal(t, before.SyncTime+after.LastSync, after.SyncTime)
	require.False(t, after.LastSyncAt.Before(began))
	mu.Lock()
	require.Equal(t, after.LastSync, synced[len(synced)-1])
	require.Len(t, synced, int(after.Syncs))
	mu.Unlock()

	space, err := b.Space()
	require.NoError(t, err)
	require.Equal(t, uint64(1)<<40, space.Free)
	require.EqualValues(t, 7, space.Floor)
	require.Positive(t, space.Used)
	require.Less(t, space.Used, uint64(16<<20), "not what is only reserved")

	require.NoError(t, b.Broken())
	mu.Lock()
	broken = true
	mu.Unlock()
	submit(t, b, a.events("2"))
	<-entered
	goOn <- struct{}{}
	require.ErrorIs(t, p.failure(), errDisk)
	require.ErrorIs(t, b.Broken(), errDisk)
	require.Error(t, b.Close())
}
