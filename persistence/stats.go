package persistence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Stats counts since the journal was opened.
type Stats struct {
	// Commits were written in Batches, one transaction each; a sync makes one or more batches durable. Syncs counts those
	// of opening too.
	Commits, Batches, Syncs uint64
	// Bytes are those of keys and values, as the database counts them.
	Bytes uint64
	// SyncTime is how long all syncs took, LastSync the newest, which ended at LastSyncAt.
	SyncTime, LastSync time.Duration
	LastSyncAt         time.Time
	// Undurable is how many commits were submitted and do not survive a crash yet.
	Undurable uint64
}

// Stats is cheap enough to be called at any time.
func (b *Badger) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.stats
	out.Undurable = uint64(b.last) - b.durable.Load()
	return out
}

// countSync adds a sync.
func (b *Badger) countSync(took time.Duration) {
	b.mu.Lock()
	b.stats.Syncs++
	b.stats.SyncTime += took
	b.stats.LastSync, b.stats.LastSyncAt = took, time.Now()
	b.mu.Unlock()
	if b.opts.Synced != nil {
		b.opts.Synced(took)
	}
}

// Broken is why nothing more is written, nil while the journal works.
func (b *Badger) Broken() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broken
}

// Space is what the journal takes on its disk, and what is left there, in bytes.
type Space struct {
	Used, Free uint64
	// Floor is what Free must not fall below: the journal would fail.
	Floor uint64
}

// Space looks at every file of the journal, a few for each hundred megabytes.
func (b *Badger) Space() (Space, error) {
	s := Space{Floor: b.opts.FreeSpaceFloor}
	var err error
	if s.Free, err = b.opts.hooks.freeSpace(b.opts.Dir); err != nil {
		return Space{}, err
	}
	dir := filepath.Join(b.opts.Dir, databaseDir)
	files, err := os.ReadDir(dir)
	if err != nil {
		return Space{}, fmt.Errorf("size of the journal: %w", err)
	}
	for _, f := range files {
		var st unix.Stat_t
		switch err := unix.Stat(filepath.Join(dir, f.Name()), &st); {
		case errors.Is(err, fs.ErrNotExist): // compacted away meanwhile
		case err != nil:
			return Space{}, fmt.Errorf("size of the journal: %s: %w", f.Name(), err)
		default:
			s.Used += uint64(st.Blocks) * 512 // files that are written through memory maps are larger than what they hold
		}
	}
	return s, nil
}
