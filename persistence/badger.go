package persistence

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	badger "github.com/dgraph-io/badger/v4"
)

// Format is the number of the journal's layout that this program writes.
const Format = 1

// Badger is the journal on disk.
type Badger struct {
	opts    Options
	log     *slog.Logger
	db      *badger.DB
	lock    *os.File
	head    *headFile
	doubt   Doubt
	mayLack bool // commits may be missing
	spans   *spanWriter
	limit   batchLimit

	durable atomic.Uint64
	// readers counts what uses db. It grows only while closed is unset.
	readers sync.WaitGroup
	closing chan struct{}
	writing sync.Once
	written chan struct{} // closed when the writer has ended
	stored  LSN           // in the database; the writer's own

	mu       sync.Mutex
	work     sync.Cond // what the writer waits for has come: see pace.go
	listener Listener
	queue    []*encoded
	last     LSN
	pieces   map[string]uint32
	closed   bool
	broken   error // why nothing more is written
	stats    Stats
	pace
}

var _ Journal = (*Badger)(nil)

// Open opens the journal in o.Dir, or creates one. Its errors are ErrInUse, ErrDiskFull, ErrCorrupt, ErrNewerFormat and
// ErrBehindHead, and those of the file system.
func Open(o Options) (*Badger, error) {
	o = o.withDefaults()
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	b := &Badger{opts: o, log: o.Logger, lock: lock, closing: make(chan struct{}), written: make(chan struct{})}
	b.work.L = &b.mu
	if err := b.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal in %s: %w", o.Dir, err), b.release())
	}
	return b, nil
}

func (b *Badger) open() error {
	if err := checkSpace(b.opts.Dir, b.opts.FreeSpaceFloor, b.opts.hooks.freeSpace); err != nil {
		return err
	}
	head, err := b.readHead()
	if err != nil {
		return err
	}
	opts := b.opts.badger()
	verified, err := checkFiles(opts, b.opts.VerifyUpTo)
	if err != nil {
		return err
	}
	if b.db, err = openDatabase(opts); err != nil {
		return err
	}
	b.limit = newBatchLimit(b.db)
	if err := guard(func() error { return b.load(head) }); err != nil {
		return err
	}
	b.readers.Add(1)
	go b.keepVerifying(!verified, b.opts.VerifyEvery)
	return nil
}

// Start implements Journal.
func (b *Badger) Start(l Listener) {
	b.mu.Lock()
	b.listener = l
	b.mu.Unlock()
	b.writing.Do(func() { go b.write() })
}

// Last implements Journal.
func (b *Badger) Last() LSN {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// Durable implements Journal.
func (b *Badger) Durable() LSN { return LSN(b.durable.Load()) }

// Doubt tells whether the journal may be an old copy.
func (b *Badger) Doubt() Doubt { return b.doubt }

// Close implements Journal. On a journal that has failed it returns the reason.
func (b *Badger) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		<-b.written
		return nil
	}
	b.closed = true
	b.work.Signal()
	b.mu.Unlock()
	close(b.closing)
	b.writing.Do(func() { go b.write() })
	<-b.written
	b.readers.Wait()
	b.mu.Lock()
	broken := b.broken
	b.mu.Unlock()
	return errors.Join(broken, b.release())
}

// closeLimit bounds how long the database may take to close: on a broken disk Badger tries for ever. Everything that was
// acknowledged is durable before.
const closeLimit = 30 * time.Second

// release closes what open opened.
func (b *Badger) release() error {
	var errs []error
	if b.db != nil {
		closed := make(chan error, 1)
		go func() { closed <- guard(b.db.Close) }()
		select {
		case err := <-closed:
			errs = append(errs, err)
		case <-time.After(closeLimit):
			return fmt.Errorf("the database does not close within %v", closeLimit)
		}
	}
	if b.head != nil {
		errs = append(errs, b.head.close())
	}
	return errors.Join(append(errs, unlockDir(b.lock))...)
}

// view runs f in a read transaction.
func (b *Badger) view(f func(*badger.Txn) error) error {
	b.mu.Lock()
	if err := b.unusable(); err != nil {
		b.mu.Unlock()
		return err
	}
	b.readers.Add(1)
	b.mu.Unlock()
	defer b.readers.Done()
	return guard(func() error { return b.db.View(f) })
}

// unusable is ErrClosed, with the reason if the journal has failed. mu is held.
func (b *Badger) unusable() error {
	switch {
	case b.broken != nil:
		return fmt.Errorf("%w: %w", ErrClosed, b.broken)
	case b.closed:
		return ErrClosed
	}
	return nil
}
