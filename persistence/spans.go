package persistence

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	badger "github.com/dgraph-io/badger/v4"

	"stormcell/messages/journal"
)

// Spans prove that no stretch in the middle of the log is missing. Badger drops everything behind a broken record of a
// write-ahead log and every table that its MANIFEST no longer lists, without an error; what a later file holds stays. So a
// lost stretch always ends where a file ends, and a span is about one file: every batch writes its place in the log under
// the number of the span, into one of two records by turns, so that the newest two of each span remain. They must be
// neighbours, and each span must begin where the one before ended.
//
// The batch that made Badger begin a new file still counts as the last of the old span. Were the stretch before it lost,
// the other record of that span would be no neighbour of it.

// keepSpans is how many spans are kept; older files have long been merged into others.
const keepSpans = 64

// spanWriter writes the spans of a running journal.
type spanWriter struct {
	number uint64
	first  LSN // where the span begins, 0 before its first batch
	parity byte
	dir    string
	log    int   // number of Badger's newest write-ahead log: when there is a newer one, the span is over
	filled int64 // what the log holds, at most
}

// newSpanWriter begins the span after the given one, in a database that has just been opened.
func newSpanWriter(dir string, last uint64) (*spanWriter, error) {
	logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil {
		return nil, err
	}
	newest := -1
	for _, path := range logs {
		number, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), ".mem"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		newest = max(newest, number)
	}
	if newest < 0 {
		return nil, fmt.Errorf("%s: no write-ahead log", dir)
	}
	return &spanWriter{number: last + 1, dir: dir, log: newest}, nil
}

func logPath(dir string, number int) string {
	return filepath.Join(dir, fmt.Sprintf("%05d.mem", number))
}

// encode gives what a batch writes of the span.
func (s *spanWriter) encode(first, last LSN) *encoded {
	e := &encoded{}
	if s.first == 0 {
		s.first = first
		if s.number > keepSpans {
			e.remove(appendSpanKey(nil, s.number-keepSpans, 0))
			e.remove(appendSpanKey(nil, s.number-keepSpans, 1))
		}
	}
	span := &journal.Span{First: uint64(s.first), BatchFirst: uint64(first), BatchLast: uint64(last)}
	e.put(appendSpanKey(nil, s.number, s.parity), encodeOwn(span), noLSN)
	return e
}

// Badger begins a new write-ahead log when the old one, or the memtable that mirrors it, has memtableSize bytes. To be sure
// that it has not, each entry counts entryBound bytes more than its key and value: 12 count as entryOverhead, and the
// memtable takes 40 more on average, the log less.
const (
	memtableSize = 16 << 20
	entryBound   = 72 - entryOverhead
)

// mayEnd tells whether Badger may begin a new write-ahead log with this batch. Nothing in the old one may be without a sync
// then: db.Sync syncs the newest only, and of two logs the disk may keep the newer and lose the older.
func (s *spanWriter) mayEnd(batch []*encoded) bool { return s.filled+bound(batch) >= memtableSize }

func bound(batch []*encoded) int64 {
	bytes := int64(batchBytes)
	for _, e := range batch {
		bytes += e.bytes + int64(len(e.writes))*entryBound
	}
	return bytes
}

// written is told when the batch is in the database.
func (s *spanWriter) written(batch []*encoded) error {
	s.parity ^= 1
	s.filled += bound(batch)
	next := logPath(s.dir, s.log+1)
	if _, err := os.Lstat(next); os.IsNotExist(err) {
		return nil
	} else if err != nil {
		return err
	}
	s.number, s.first, s.parity, s.log, s.filled = s.number+1, 0, 0, s.log+1, bound(batch)
	return nil
}

// span is what the database holds of one.
type span struct {
	number     uint64
	first, end LSN
}

// checkSpans checks that the spans in the database make up one stretch of the log that ends at mark, and gives the number
// of the newest, 0 when there is none.
func checkSpans(txn *badger.Txn, mark LSN) (newest uint64, err error) {
	spans, err := loadSpans(txn)
	if err != nil {
		return 0, err
	}
	if len(spans) == 0 {
		if mark != 0 {
			return 0, fmt.Errorf("%w: the log ends at commit %d, and nothing is known of how it came there", ErrCorrupt, mark)
		}
		return 0, nil
	}
	last := spans[len(spans)-1]
	next := span{number: 1, first: 1}
	if last.number > keepSpans {
		next = span{number: last.number - keepSpans + 1, first: spans[0].first}
	}
	for _, s := range spans {
		if s.number != next.number || s.first != next.first {
			return 0, fmt.Errorf("%w: commits from %d to %d are missing from the middle of the log (span %d, %d)",
				ErrCorrupt, next.first, s.first-1, next.number, s.number)
		}
		next = span{number: s.number + 1, first: s.end + 1}
	}
	if last.end != mark {
		return 0, fmt.Errorf("%w: the log ends at commit %d, its newest span at %d", ErrCorrupt, mark, last.end)
	}
	return last.number, nil
}

// loadSpans reads the spans in order and checks each by itself.
func loadSpans(txn *badger.Txn) ([]span, error) {
	var spans []span
	var pair []*journal.Span
	var number uint64
	finish := func() error {
		if len(pair) == 0 {
			return nil
		}
		s, err := joinPair(number, pair)
		spans, pair = append(spans, s), nil
		return err
	}
	err := scan(txn, []byte(spanSpace), nil, func(key, value []byte) error {
		n, _, err := parseSpanKey(key)
		if err != nil {
			return fmt.Errorf("%w: key %q: %w", ErrCorrupt, key, err)
		}
		if n != number {
			if err := finish(); err != nil {
				return err
			}
			number = n
		}
		record, err := decodeOwn[*journal.Span](key, value)
		pair = append(pair, record)
		return err
	})
	if err == nil {
		err = finish()
	}
	return spans, err
}

// joinPair makes a span of its one or two records.
func joinPair(number uint64, pair []*journal.Span) (span, error) {
	before, last := &journal.Span{First: pair[0].First, BatchLast: pair[0].First - 1}, pair[0]
	if len(pair) == 2 {
		before, last = pair[0], pair[1]
		if before.BatchLast > last.BatchLast {
			before, last = last, before
		}
	}
	s := span{number: number, first: LSN(last.First), end: LSN(last.BatchLast)}
	if before.First != last.First || before.BatchLast+1 != last.BatchFirst {
		return s, fmt.Errorf("%w: commits from %d to %d are missing from the middle of the log (span %d)",
			ErrCorrupt, before.BatchLast+1, last.BatchFirst-1, number)
	}
	return s, nil
}
