package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	badger "github.com/dgraph-io/badger/v4"

	journalpb "stormcell/messages/journal"
	"stormcell/messages/record"
	"stormcell/persistence"
)

// A measured commit is a step of a busy actor: its head record, an event and a letter. Bare Badger writes as many keys and
// bytes, in one transaction per commit with SyncWrites.
const (
	eventSize  = 400
	letterSize = 100
	headSize   = 20
)

// cell is what one number of writers came to.
type cell struct {
	latencies latencies
	took      time.Duration
	stats     persistence.Stats
}

// rounds is in how many turns a cell is measured.
const rounds = 4

func (c *cell) add(l latencies, took time.Duration, err error) error {
	c.latencies, c.took = append(c.latencies, l...), c.took+took
	slices.Sort(c.latencies)
	return err
}

func (c *cell) perSecond() float64 { return float64(len(c.latencies)) / c.took.Seconds() }

func journalSection(out io.Writer, o options) error {
	fmt.Fprintf(out, "Journal: commits of a head record, an event of %d bytes and a letter of %d bytes, %v each\n",
		eventSize, letterSize, o.each)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "writers\tbare commits/s\tp50\tp99\tmax\tjournal commits/s\tp50\tp99\tmax\tbatches/s\tsyncs/commit\t"+
		"throughput\tp50 latency\t")
	for _, writers := range []int{1, 8, 64, 256} {
		bare, ours, err := journalCells(o, writers)
		if err != nil {
			return err
		}
		batches := float64(ours.stats.Batches) * ours.perSecond() / float64(ours.stats.Commits)
		fmt.Fprintf(t, "%d\t%.0f\t%s\t%s\t%s\t%.0f\t%s\t%s\t%s\t%.0f\t%.3f\t%.1fx\t%.2fx\t\n", writers,
			bare.perSecond(), round(bare.latencies, 50), round(bare.latencies, 99), round(bare.latencies, 100),
			ours.perSecond(), round(ours.latencies, 50), round(ours.latencies, 99), round(ours.latencies, 100),
			batches, float64(ours.stats.Syncs)/float64(ours.stats.Commits), ours.perSecond()/bare.perSecond(),
			float64(ours.latencies.percentile(50))/float64(bare.latencies.percentile(50)))
	}
	return t.Flush()
}

func round(l latencies, percent int) time.Duration {
	return l.percentile(percent).Round(time.Microsecond)
}

// journalCells measures both in turns, so that what else the machine does meets both alike.
func journalCells(o options, writers int) (bare, ours cell, err error) {
	dir, remove, err := tempDir(o)
	if err != nil {
		return bare, ours, err
	}
	defer remove()
	db, err := badger.Open(badger.DefaultOptions(filepath.Join(dir, "bare")).WithLogger(nil).WithMetricsEnabled(false).
		WithSyncWrites(true).WithDetectConflicts(false).WithMemTableSize(16 << 20).WithValueLogFileSize(16 << 20))
	if err != nil {
		return bare, ours, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	j, err := persistence.Open(persistence.Options{
		Dir: filepath.Join(dir, "journal"), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return bare, ours, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	acks := &acknowledgements{}
	j.Start(acks)

	onBare, onOurs := make([]func() error, writers), make([]func() error, writers)
	for n := range writers {
		onBare[n], onOurs[n] = bareWriter(db, n), journalWriter(j, acks, n)
	}
	for range rounds {
		if err := bare.add(measure(onBare, o.each/rounds)); err != nil {
			return bare, ours, err
		}
		if err := ours.add(measure(onOurs, o.each/rounds)); err != nil {
			return bare, ours, err
		}
	}
	ours.stats = j.Stats()
	return bare, ours, nil
}

// bareWriter commits as one actor on bare Badger.
func bareWriter(db *badger.DB, n int) func() error {
	key := func(space string, i uint64) []byte {
		return binary.BigEndian.AppendUint64(fmt.Appendf(nil, "%s/actor/%04d\x00", space, n), i)
	}
	var i uint64
	return func() error {
		i++
		return db.Update(func(txn *badger.Txn) error {
			return errors.Join(
				txn.Set(fmt.Appendf(nil, "h/actor/%04d", n), payload(headSize, i)),
				txn.Set(key("e", i), payload(eventSize, i)),
				txn.Set(key("i", i), payload(letterSize, i)))
		})
	}
}

// journalWriter commits as one actor on the journal.
func journalWriter(j *persistence.Badger, acks *acknowledgements, n int) func() error {
	from := persistence.Address(fmt.Sprintf("actor/%04d", n))
	to := persistence.Address(fmt.Sprintf("actor/%04d", n+1))
	done := make(chan error, 1)
	var before *journalpb.Head
	return func() error {
		head := &journalpb.Head{LastEvent: before.GetLastEvent() + 1, InboxLsn: before.GetLastEvent()}
		lsn, err := j.Submit(&persistence.Commit{
			Actor: from, Head: head, Before: before,
			Events: []record.Record{{Kind: 1, Version: 1, Body: payload(eventSize, head.LastEvent)}},
			Send: []persistence.Letter{
				{To: to, Body: record.Record{Kind: 1, Version: 1, Body: payload(letterSize, head.LastEvent)}},
			},
		})
		if err != nil {
			return err
		}
		before = head
		acks.await(lsn, done)
		return <-done
	}
}

// payload is new for each commit, as in life, and does not compress.
func payload(size int, seed uint64) []byte {
	b := make([]byte, 0, size+8)
	for x := seed; len(b) < size; {
		x = x*6364136223846793005 + 1442695040888963407
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b[:size]
}

// acknowledgements tells writers that their commits are durable.
type acknowledgements struct {
	mu      sync.Mutex
	durable persistence.LSN
	failed  error
	waiting []waiter
}

type waiter struct {
	lsn  persistence.LSN
	done chan<- error
}

// await sends to done when lsn is durable, or has failed.
func (a *acknowledgements) await(lsn persistence.LSN, done chan<- error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if lsn <= a.durable || a.failed != nil {
		done <- a.failed
		return
	}
	a.waiting = append(a.waiting, waiter{lsn, done})
}

// Durable implements persistence.Listener.
func (a *acknowledgements) Durable(lsn persistence.LSN) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.durable = lsn
	left := a.waiting[:0]
	for _, w := range a.waiting {
		if w.lsn <= lsn {
			w.done <- nil
		} else {
			left = append(left, w)
		}
	}
	a.waiting = left
}

// Failed implements persistence.Listener.
func (a *acknowledgements) Failed(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = err
	for _, w := range a.waiting {
		w.done <- err
	}
	a.waiting = nil
}
