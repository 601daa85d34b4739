package persistence

import "time"

// When the writer writes and syncs. A sync costs as much as a hundred commits, so as many as possible share one: those that
// nobody waits for wait for the next that somebody does wait for.

// Commits that nobody waits for yet are written when there are so many of them, and synced when they are so old, or at most
// twice as old.
const (
	patientCommits = 64
	patience       = 20 * time.Millisecond
)

// pace is what the writer waits for. The journal's mu guards it.
type pace struct {
	wanted  LSN  // somebody waits for the commits up to here, or they have waited long enough
	ticking bool // a clock runs for commits that nobody waits for
	// together is how many commits the last sync made durable.
	together int
	// While gathering, the writer is not woken before the queue holds so many, or gathered is set.
	gathering int
	gathered  bool
}

// Hurry implements Journal.
func (b *Badger) Hurry(lsn LSN) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wanted = max(b.wanted, lsn)
	b.wake()
}

// due tells whether there is something to write or to sync, and it has waited long enough. The caller holds b.mu.
func (b *Badger) due() bool { return len(b.queue) >= patientCommits || b.syncDue() }

// syncDue tells whether somebody waits for what is not durable yet, or it has waited long enough. The caller holds b.mu.
func (b *Badger) syncDue() bool {
	durable := b.Durable()
	return min(b.wanted, b.last) > durable || b.closed && b.last > durable
}

func (b *Badger) wantsSync() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.syncDue()
}

// wake wakes the writer when something is due, and starts the clock for what is not. The caller holds b.mu.
func (b *Badger) wake() {
	if len(b.queue) >= b.gathering && b.due() {
		b.work.Signal()
	}
	if b.ticking || b.over() || b.last == b.Durable() {
		return
	}
	b.ticking = true
	waits := b.last
	time.AfterFunc(patience, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.ticking = false
		b.wanted = max(b.wanted, waits) // no more than that: younger ones get another clock
		b.wake()
	})
}

// collect adds to waiting what is in the queue, once something is due. It adds nothing when the journal is closed and all
// is written.
func (b *Badger) collect(waiting []*encoded) ([]*encoded, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	underWay := b.together + len(b.queue)
	for len(waiting) == 0 && !b.due() && !b.over() {
		b.work.Wait()
	}
	b.gather(underWay - len(waiting))
	waiting = append(waiting, b.queue...)
	clear(b.queue)
	b.queue = b.queue[:0]
	return waiting, b.broken
}

// gather waits until the queue holds so many commits, though not for long. Whoever the last sync woke is about to submit
// again. Written without them, those who came during it would make up a batch of their own, and the callers would take turns
// in two halves, each of which needs a sync. The caller holds b.mu.
func (b *Badger) gather(commits int) {
	if len(b.queue) >= commits || b.over() {
		return
	}
	b.gathering, b.gathered = commits, false
	clock := time.AfterFunc(b.stats.LastSync/4, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.gathered = true
		b.work.Signal()
	})
	for len(b.queue) < commits && !b.gathered && !b.over() {
		b.work.Wait()
	}
	clock.Stop()
	b.gathering = 0
}

// over tells that nothing more will come. The caller holds b.mu.
func (b *Badger) over() bool { return b.closed || b.broken != nil }
