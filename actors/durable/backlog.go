package durable

import (
	"sync"

	"stormcell/persistence"
)

// backlog holds actors back while the disk is far behind them: their turns wait, parked, until it has caught up. Without
// it, actors that only talk to each other would fill memory with commits faster than any disk takes them.
type backlog struct {
	mu      sync.Mutex
	last    persistence.LSN
	durable persistence.LSN
	parked  []*mailbox
}

// maxBacklog is how many commits may wait for the disk before turns are held back; resumeBacklog is when they go on.
const (
	maxBacklog    = 8192
	resumeBacklog = maxBacklog / 2
)

func (b *backlog) submitted(lsn persistence.LSN) {
	b.mu.Lock()
	b.last = max(b.last, lsn)
	b.mu.Unlock()
}

// park tells whether m must wait. It will then be scheduled again. The caller holds the mailbox's mutex.
func (b *backlog) park(m *mailbox) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last-b.durable < maxBacklog {
		return false
	}
	m.parked = true
	b.parked = append(b.parked, m)
	return true
}

// size counts the commits that are not durable, and the actors that wait for them.
func (b *backlog) size() (commits, parked int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int(b.last - b.durable), len(b.parked)
}

func (b *backlog) advance(lsn persistence.LSN) {
	b.mu.Lock()
	// The disk may be done with a commit before its submitter has said that there is one.
	b.durable, b.last = lsn, max(b.last, lsn)
	var released []*mailbox
	if b.last-b.durable <= resumeBacklog {
		released, b.parked = b.parked, nil
	}
	b.mu.Unlock()
	for _, m := range released {
		m.c.mu.Lock()
		m.parked = false
		m.schedule()
		m.c.mu.Unlock()
	}
}
