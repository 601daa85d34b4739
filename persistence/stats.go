package persistence

import "time"

// Stats counts since the journal was opened.
type Stats struct {
	// Commits were written in Batches, one transaction each; a sync makes one or more batches durable. Syncs counts those
	// of opening too.
	Commits, Batches, Syncs uint64
	// Bytes are those of keys and values, as the database counts them.
	Bytes uint64
	// SyncTime is how long all syncs took, LastSync the newest.
	SyncTime, LastSync time.Duration
}

// Stats is cheap enough to be called at any time.
func (b *Badger) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stats
}

// countSync adds a sync.
func (b *Badger) countSync(took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Syncs++
	b.stats.SyncTime += took
	b.stats.LastSync = took
}
