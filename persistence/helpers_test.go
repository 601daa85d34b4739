package persistence

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"sync"
	"testing"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"stormcell/messages/journal"
	"stormcell/messages/record"
)

// testKind is the record kind of what tests store; the journal does not look into it.
const testKind = 900

func rec(body string) record.Record {
	return record.Record{Kind: testKind, Version: 1, Body: []byte(body)}
}

func recp(body string) *record.Record {
	r := rec(body)
	return &r
}

// progress is a Listener that remembers, and can be waited for.
type progress struct {
	mu      sync.Mutex
	changed *sync.Cond
	durable []LSN
	failed  []error
}

func newProgress() *progress {
	p := &progress{}
	p.changed = sync.NewCond(&p.mu)
	return p
}

func (p *progress) Durable(lsn LSN) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.durable = append(p.durable, lsn)
	p.changed.Broadcast()
}

func (p *progress) Failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = append(p.failed, err)
	p.changed.Broadcast()
}

// wait returns when lsn is durable, or the failure that came first.
func (p *progress) wait(lsn LSN) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if len(p.durable) > 0 && p.durable[len(p.durable)-1] >= lsn {
			return nil
		}
		if len(p.failed) > 0 {
			return p.failed[0]
		}
		p.changed.Wait()
	}
}

// failure waits for the journal to fail.
func (p *progress) failure() error { return p.wait(1 << 62) }

// actor builds correct commits of one actor.
type actor struct {
	addr Address
	head *journal.Head
}

// step is a commit with the actor's next head; change may complete head and commit.
func (a *actor) step(change func(h *journal.Head, c *Commit)) *Commit {
	head := &journal.Head{}
	if a.head != nil {
		head = proto.Clone(a.head).(*journal.Head)
	}
	c := &Commit{Actor: a.addr, Head: head, Before: a.head}
	change(head, c)
	a.head = head
	return c
}

func (a *actor) events(bodies ...string) *Commit {
	return a.step(func(h *journal.Head, c *Commit) {
		for _, b := range bodies {
			c.Events = append(c.Events, rec(b))
		}
		h.LastEvent += uint64(len(bodies))
	})
}

// snapshot replaces the events since the last one.
func (a *actor) snapshot(body string) *Commit {
	return a.step(func(h *journal.Head, c *Commit) {
		c.Snapshot = recp(body)
		if h.LastEvent > h.SnapshotEvent {
			c.DropFrom, c.DropTo = h.SnapshotEvent+1, h.LastEvent
		}
		h.SnapshotEvent, h.HasSnapshot = h.LastEvent, true
	})
}

func (a *actor) send(to Address, bodies ...string) *Commit {
	return a.step(func(_ *journal.Head, c *Commit) {
		for _, b := range bodies {
			c.Send = append(c.Send, Letter{To: to, Body: rec(b)})
		}
	})
}

// consume removes letters, and moves the low-water mark to low.
func (a *actor) consume(low InboxID, ids ...InboxID) *Commit {
	return a.step(func(h *journal.Head, c *Commit) {
		c.Consume = ids
		h.InboxLsn, h.InboxN = uint64(low.LSN), low.N
	})
}

func (a *actor) column(key string, value *record.Record) *Commit {
	return a.step(func(_ *journal.Head, c *Commit) { c.Columns = []Column{{Key: key, Value: value}} })
}

func submit(t testing.TB, j Journal, c *Commit) LSN {
	t.Helper()
	lsn, err := j.Submit(c)
	require.NoError(t, err)
	return lsn
}

func bodies(records []record.Record) []string {
	var out []string
	for _, r := range records {
		out = append(out, string(r.Body))
	}
	return out
}

// describe says all that the contract promises of what is stored, and nothing that is up to an implementation.
func describe(s *Stored) string {
	out := ""
	if s.Head != nil {
		head := proto.Clone(s.Head).(*journal.Head)
		head.SnapshotChunks = 0
		text, _ := proto.MarshalOptions{Deterministic: true}.Marshal(head)
		out += fmt.Sprintf("head %x\n", text)
	}
	if s.Snapshot != nil {
		out += fmt.Sprintf("snapshot %+v\n", *s.Snapshot)
	}
	for _, e := range s.Events {
		out += fmt.Sprintf("event %+v\n", e)
	}
	for _, l := range s.Inbox {
		out += fmt.Sprintf("letter %s %s>%s %+v\n", l.ID, l.From, l.To, l.Body)
	}
	return out
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func testOptions(dir string) Options {
	return Options{Dir: dir, Logger: quiet, FreeSpaceFloor: 1}
}

func openBadger(t testing.TB, o Options) *Badger {
	t.Helper()
	j, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// pieceKeys counts the pieces in the database, indexedPieces those that the journal knows.
func pieceKeys(t require.TestingT, b *Badger) int {
	n := 0
	require.NoError(t, b.view(func(txn *badger.Txn) error {
		return scan(txn, []byte(pieceSpace), nil, func(_, _ []byte) error { n++; return nil })
	}))
	return n
}

func indexedPieces(b *Badger) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, count := range b.pieces {
		n += int(count)
	}
	return n
}

// resealHead makes the checksum of a HEAD record right.
func resealHead(b []byte) {
	binary.BigEndian.PutUint32(b[headChecksumAt:], crc32.Checksum(b[:headChecksumAt], castagnoli))
}
