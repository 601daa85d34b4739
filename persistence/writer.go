package persistence

import (
	"fmt"
	"slices"
	"time"

	badger "github.com/dgraph-io/badger/v4"

	"stormcell/messages/journal"
)

// Submit implements Journal.
func (b *Badger) Submit(c *Commit) (LSN, error) {
	if err := c.validate(); err != nil {
		return 0, err
	}
	e, err := encodeCommit(c, b.snapshotPieces(c))
	if err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.unusable(); err != nil {
		return 0, err
	}
	lsn := b.last + 1
	e.number(lsn)
	change := settlePieces(b.pieces, e)
	if !b.limit.fits(len(e.writes), e.bytes) {
		return 0, fmt.Errorf("%w: commit of %s makes %d changes of %d bytes in all, at most %d of %d", ErrTooLarge,
			c.Actor, len(e.writes), e.bytes, b.limit.count-1, b.limit.bytes-1)
	}
	applyPieces(b.pieces, change)
	for i := range c.Send {
		c.Send[i].From, c.Send[i].ID = c.Actor, InboxID{LSN: lsn, N: uint32(i)}
	}
	b.last = lsn
	b.queue = append(b.queue, e)
	if !c.Patient {
		b.wanted = lsn
	}
	b.wake()
	return lsn, nil
}

// snapshotPieces is the number of pieces of the stored snapshot that a head record without a new one goes on naming.
func (b *Badger) snapshotPieces(c *Commit) uint32 {
	if !c.Head.GetHasSnapshot() || c.Snapshot != nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pieces) == 0 {
		return 0
	}
	return b.pieces[snapshotSpace+string(c.Actor)]
}

// batchLimit is what one transaction of the database holds besides the records that each batch adds. Badger refuses at the
// limit, not past it.
type batchLimit struct {
	count, bytes int64
}

// Each batch adds a mark and a span, and at times the removal of two old spans; Badger counts an end marker.
const (
	batchWrites = 5
	batchBytes  = 512
)

func newBatchLimit(db *badger.DB) batchLimit {
	return batchLimit{count: db.MaxBatchCount() - batchWrites, bytes: db.MaxBatchSize() - batchBytes}
}

func (l batchLimit) fits(count int, bytes int64) bool {
	return int64(count) < l.count && bytes < l.bytes
}

// write is the writer: the one goroutine that writes to the database and calls the listener.
func (b *Badger) write() {
	defer close(b.written)
	var waiting []*encoded
	for {
		var err error
		if waiting, err = b.collect(waiting); err != nil {
			b.fail(err)
			return
		}
		if len(waiting) == 0 && b.stored == b.Durable() {
			return
		}
		n := b.cut(waiting)
		if err := guard(func() error { return b.advance(waiting[:n]) }); err != nil {
			b.fail(err)
			return
		}
		waiting = slices.Delete(waiting, 0, n)
	}
}

// advance writes a batch, which may be empty, and makes all that is written durable if somebody waits for it.
func (b *Badger) advance(batch []*encoded) error {
	if len(batch) > 0 {
		if err := b.writeBatch(batch); err != nil {
			return err
		}
	}
	if b.stored == b.Durable() || !b.wantsSync() {
		return nil
	}
	return b.sync()
}

// cut tells how many of waiting fit in one transaction.
func (b *Badger) cut(waiting []*encoded) int {
	var count int
	var bytes int64
	for n, e := range waiting {
		count, bytes = count+len(e.writes), bytes+e.bytes
		if !b.limit.fits(count, bytes) {
			return n
		}
	}
	return len(waiting)
}

// writeBatch writes commits, and the batch's place in the log, in one transaction.
func (b *Badger) writeBatch(batch []*encoded) error {
	if err := checkSpace(b.opts.Dir, b.opts.FreeSpaceFloor, b.opts.hooks.freeSpace); err != nil {
		return err
	}
	if b.stored > b.Durable() && b.spans.mayEnd(batch) {
		if err := b.sync(); err != nil {
			return err
		}
	}
	settle(batch)
	first, last := batch[0].lsn, batch[len(batch)-1].lsn
	place := b.spans.encode(first, last)
	place.put([]byte(markKey), encodeOwn(&journal.Mark{Lsn: uint64(last)}), noLSN)
	if err := b.store(place, batch...); err != nil {
		return fmt.Errorf("write commits %d to %d: %w", first, last, err)
	}
	b.mu.Lock()
	b.stats.Batches++
	b.stats.Commits += uint64(len(batch))
	b.mu.Unlock()
	b.stored = last
	return b.spans.written(batch)
}

// store writes commits and what the journal itself has to say to the database, in one transaction.
func (b *Badger) store(own *encoded, commits ...*encoded) error {
	txn := b.db.NewTransaction(true)
	defer txn.Discard()
	bytes := own.bytes
	for _, e := range commits {
		bytes += e.bytes
		if err := e.writeTo(txn); err != nil {
			return err
		}
	}
	if err := own.writeTo(txn); err != nil {
		return err
	}
	if err := txn.Commit(); err != nil {
		return err
	}
	b.mu.Lock()
	b.stats.Bytes += uint64(bytes)
	b.mu.Unlock()
	return nil
}

// flush syncs the database.
func (b *Badger) flush() error {
	started := time.Now()
	if err := b.opts.hooks.sync(b.db); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	b.countSync(time.Since(started))
	return nil
}

// sync makes everything written durable, and says so.
func (b *Badger) sync() error {
	last := b.stored
	if err := b.flush(); err != nil {
		return fmt.Errorf("commits up to %d: %w", last, err)
	}
	if err := b.head.set(last); err != nil {
		return err
	}
	b.mu.Lock()
	b.together = int(last - b.Durable())
	b.durable.Store(uint64(last))
	listener := b.listener
	b.mu.Unlock()
	if listener != nil {
		listener.Durable(last)
	}
	return nil
}

// breakDown lets the writer fail.
func (b *Badger) breakDown(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken == nil {
		b.broken = err
	}
	b.work.Signal()
}

// fail ends the journal: what is not durable is dropped, and the listener hears why.
func (b *Badger) fail(err error) {
	b.mu.Lock()
	if b.broken == nil {
		b.broken = err
	}
	b.queue = nil
	listener := b.listener
	b.mu.Unlock()
	b.log.Error("journal has failed; nothing more is written", "durable", b.Durable(), "err", err)
	if listener != nil {
		listener.Failed(err)
	}
}
