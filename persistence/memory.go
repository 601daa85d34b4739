package persistence

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"stormcell/messages/record"
)

// Memory is the journal in memory, for tests. It keeps the same contract as Badger and is stricter about its callers: a
// commit that no correct caller could submit is refused with ErrBreach.
//
// Made by NewMemory it becomes durable by itself. Made by NewStepped it becomes durable only as Advance says, so that a
// simulation decides how far the disk lags behind, and what a crash leaves.
type Memory struct {
	mu       sync.Mutex
	work     *sync.Cond // wakes the writer of a self-driven journal
	stepped  bool
	done     chan struct{}
	listener Listener

	ahead    *image    // every submitted commit
	stored   *image    // every durable commit
	pending  []*Commit // submitted, not durable, in log order
	failAt   LSN
	failed   error
	closed   bool
	maxBytes int
}

// ErrBreach refuses a commit that breaks the contract of Commit. Only Memory looks for it.
var ErrBreach = errors.New("commit breaks the journal's contract")

// memoryLimit is near Badger's limit with the memtable size that the node uses.
const memoryLimit = 2_500_000

// NewMemory returns an empty journal that becomes durable by itself.
func NewMemory() *Memory {
	m := newMemory(false)
	go m.write()
	return m
}

// NewStepped returns an empty journal that becomes durable by Advance only.
func NewStepped() *Memory { return newMemory(true) }

func newMemory(stepped bool) *Memory {
	m := &Memory{stepped: stepped, ahead: newImage(), stored: newImage(), done: make(chan struct{}), maxBytes: memoryLimit}
	m.work = sync.NewCond(&m.mu)
	if stepped {
		close(m.done)
	}
	return m
}

// Start implements Journal.
func (m *Memory) Start(l Listener) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listener = l
}

// Submit implements Journal.
func (m *Memory) Submit(c *Commit) (LSN, error) {
	if err := c.validate(); err != nil {
		return 0, err
	}
	if size := c.size(); size > m.maxBytes {
		return 0, fmt.Errorf("%w: commit of %s has %d bytes, at most %d", ErrTooLarge, c.Actor, size, m.maxBytes)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.failed != nil {
		return 0, errors.Join(ErrClosed, m.failed)
	}
	if err := m.ahead.check(c); err != nil {
		return 0, err
	}
	lsn := m.ahead.lsn + 1
	for i := range c.Send {
		c.Send[i].From = c.Actor
		c.Send[i].ID = InboxID{LSN: lsn, N: uint32(i)}
	}
	m.ahead.apply(c)
	m.pending = append(m.pending, c)
	m.work.Signal()
	return lsn, nil
}

// Hurry implements Journal. There is nothing to hurry: a self-driven journal is never patient, a stepped one obeys Advance.
func (m *Memory) Hurry(LSN) {}

// Last implements Journal.
func (m *Memory) Last() LSN {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ahead.lsn
}

// Durable implements Journal.
func (m *Memory) Durable() LSN {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stored.lsn
}

// Read implements Journal.
func (m *Memory) Read(a Address) (*Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stored.read(a)
}

// ReadAhead is Read as if every submitted commit were durable.
func (m *Memory) ReadAhead(a Address) (*Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ahead.read(a)
}

// Column implements Journal.
func (m *Memory) Column(key string) (*record.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, ok := m.stored.columns[key]; ok {
		return &r, nil
	}
	return nil, nil
}

// Columns implements Journal.
func (m *Memory) Columns(p Page) ([]Column, error) {
	if p.Limit <= 0 {
		return nil, fmt.Errorf("page limit %d is not positive", p.Limit)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stored.page(p), nil
}

// Live implements Journal.
func (m *Memory) Live(f func(Address) bool) error {
	m.mu.Lock()
	live := sortedKeys(m.stored.live)
	m.mu.Unlock()
	for _, a := range live {
		if !f(a) {
			return nil
		}
	}
	return nil
}

// Close implements Journal.
func (m *Memory) Close() error {
	if m.stepped {
		if err := m.Advance(m.Last()); err != nil {
			return err
		}
	}
	m.mu.Lock()
	m.closed = true
	m.work.Signal()
	m.mu.Unlock()
	<-m.done
	return m.failed
}

// Advance makes every commit up to the given one durable and tells the listener.
func (m *Memory) Advance(to LSN) error {
	m.mu.Lock()
	from, err := m.stored.lsn, error(nil)
	for m.stored.lsn < to && len(m.pending) > 0 && err == nil {
		if m.failAt != 0 && m.stored.lsn+1 >= m.failAt {
			err = fmt.Errorf("commit %d: write failed as the test asked", m.failAt)
			m.failed = err
			break
		}
		m.stored.apply(m.pending[0])
		m.pending = m.pending[1:]
	}
	durable, l := m.stored.lsn, m.listener
	m.mu.Unlock()
	if l != nil && durable > from {
		l.Durable(durable)
	}
	if l != nil && err != nil {
		l.Failed(err)
	}
	return err
}

// FailAt lets the write of a commit, and so of all later ones, fail.
func (m *Memory) FailAt(lsn LSN) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failAt = lsn
}

// Crash is the journal that the next process finds: what was durable, and of the rest what the disk happened to hold, up
// to keep. The old journal answers ErrClosed from then on.
func (m *Memory) Crash(keep LSN) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.stored.lsn < keep && len(m.pending) > 0 {
		m.stored.apply(m.pending[0])
		m.pending = m.pending[1:]
	}
	next := newMemory(m.stepped)
	next.stored = m.stored
	next.ahead = m.stored.clone()
	m.pending, m.closed, m.stored, m.ahead = nil, true, newImage(), newImage()
	m.work.Signal()
	if !next.stepped {
		go next.write()
	}
	return next
}

// write is the writer of a self-driven journal.
func (m *Memory) write() {
	defer close(m.done)
	for {
		m.mu.Lock()
		for len(m.pending) == 0 && !m.closed {
			m.work.Wait()
		}
		last, over := m.ahead.lsn, len(m.pending) == 0
		m.mu.Unlock()
		if over || m.Advance(last) != nil {
			return
		}
	}
}

// image is what a prefix of the log amounts to.
type image struct {
	lsn     LSN
	actors  map[Address]*actorImage
	columns map[string]record.Record
	live    map[Address]struct{}
}

type actorImage struct {
	stored Stored // without Events and AsOf
	events map[uint64]record.Record
}

func newImage() *image {
	return &image{
		actors: map[Address]*actorImage{}, columns: map[string]record.Record{}, live: map[Address]struct{}{},
	}
}

func (im *image) actor(a Address) *actorImage {
	ai := im.actors[a]
	if ai == nil {
		ai = &actorImage{events: map[uint64]record.Record{}}
		im.actors[a] = ai
	}
	return ai
}

// check refuses what no correct caller submits.
func (im *image) check(c *Commit) error {
	ai := im.actors[c.Actor]
	if ai == nil {
		ai = &actorImage{}
	}
	var before uint64
	if ai.stored.Head != nil {
		before = ai.stored.Head.LastEvent
	}
	if (c.Before != nil) != (ai.stored.Head != nil) && c.Head != nil {
		return fmt.Errorf("%w: %s: the head before is not the stored one", ErrBreach, c.Actor)
	}
	if c.Snapshot != nil && (len(c.Events) > 0 || c.Head == nil || c.Head.SnapshotEvent != c.Head.LastEvent) {
		return fmt.Errorf("%w: %s: a snapshot stands alone and includes every event", ErrBreach, c.Actor)
	}
	if c.Head != nil && c.Snapshot == nil && c.Head.LastEvent != before+uint64(len(c.Events)) {
		return fmt.Errorf("%w: %s: event %d follows %d with %d events", ErrBreach, c.Actor,
			c.Head.LastEvent, before, len(c.Events))
	}
	if c.Head == nil && len(c.Events) > 0 {
		return fmt.Errorf("%w: %s: events without a head", ErrBreach, c.Actor)
	}
	for _, id := range c.Consume {
		if !slices.ContainsFunc(ai.stored.Inbox, func(l Letter) bool { return l.ID == id }) {
			return fmt.Errorf("%w: %s consumes %s, which is not in its inbox", ErrBreach, c.Actor, id)
		}
	}
	return nil
}

// apply folds in the next commit.
func (im *image) apply(c *Commit) {
	im.lsn++
	ai := im.actor(c.Actor)
	if c.Head != nil {
		for i, e := range c.Events {
			ai.events[c.Head.LastEvent-uint64(len(c.Events)-1-i)] = e
		}
		ai.stored.Head = c.Head
	}
	if c.Snapshot != nil {
		ai.stored.Snapshot = c.Snapshot
	}
	for n := c.DropFrom; c.DropTo != 0 && n <= c.DropTo; n++ {
		delete(ai.events, n)
	}
	for _, l := range c.Send {
		to := im.actor(l.To)
		to.stored.Inbox = append(to.stored.Inbox, l)
	}
	for _, id := range c.Consume {
		ai.stored.Inbox = slices.DeleteFunc(ai.stored.Inbox, func(l Letter) bool { return l.ID == id })
	}
	for _, col := range c.Columns {
		switch {
		case col.Value == nil:
			delete(im.columns, col.Key)
		case col.Numbered:
			im.columns[NumberedKey(col.Key, im.lsn)] = *col.Value
		default:
			im.columns[col.Key] = *col.Value
		}
	}
	if c.Leave {
		delete(im.live, c.Actor)
	}
	for _, a := range c.Wake {
		im.live[a] = struct{}{}
	}
	if ai.stored.Head == nil && len(ai.stored.Inbox) == 0 {
		delete(im.actors, c.Actor)
	}
}

func (im *image) read(a Address) (*Stored, error) {
	out := &Stored{AsOf: im.lsn}
	ai := im.actors[a]
	if ai == nil {
		return out, nil
	}
	out.Inbox = slices.Clone(ai.stored.Inbox)
	if ai.stored.Head == nil {
		return out, nil
	}
	out.Head, out.Snapshot = ai.stored.Head, ai.stored.Snapshot
	if out.Head.HasSnapshot && out.Snapshot == nil {
		return nil, fmt.Errorf("%w: %s: the head names a snapshot that is not there", ErrCorrupt, a)
	}
	for n := out.Head.SnapshotEvent + 1; n <= out.Head.LastEvent; n++ {
		e, ok := ai.events[n]
		if !ok {
			return nil, fmt.Errorf("%w: %s: event %d of %d is missing", ErrCorrupt, a, n, out.Head.LastEvent)
		}
		out.Events = append(out.Events, e)
	}
	low := InboxID{LSN: LSN(out.Head.InboxLsn), N: out.Head.InboxN}
	if len(out.Inbox) > 0 && out.Inbox[0].ID.Less(low) {
		return nil, fmt.Errorf("%w: %s: inbox entry %s lies before the low-water mark %s", ErrCorrupt, a, out.Inbox[0].ID, low)
	}
	return out, nil
}

func (im *image) page(p Page) []Column {
	keys := sortedKeys(im.columns)
	if p.Reverse {
		slices.Reverse(keys)
	}
	var out []Column
	for _, k := range keys {
		inside := len(k) >= len(p.Prefix) && k[:len(p.Prefix)] == p.Prefix
		behind := p.After == "" || !p.Reverse && k > p.After || p.Reverse && k < p.After
		if !inside || !behind {
			continue
		}
		v := im.columns[k]
		out = append(out, Column{Key: k, Value: &v})
		if len(out) == p.Limit {
			break
		}
	}
	return out
}

// clone copies what apply changes; records and heads are never changed in place.
func (im *image) clone() *image {
	c := newImage()
	c.lsn = im.lsn
	for a, ai := range im.actors {
		n := &actorImage{stored: ai.stored, events: make(map[uint64]record.Record, len(ai.events))}
		n.stored.Inbox = slices.Clone(ai.stored.Inbox)
		for k, e := range ai.events {
			n.events[k] = e
		}
		c.actors[a] = n
	}
	for k, v := range im.columns {
		c.columns[k] = v
	}
	for a := range im.live {
		c.live[a] = struct{}{}
	}
	return c
}

func sortedKeys[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// size is near enough to what Badger counts for a test of the limit.
func (c *Commit) size() int {
	n := len(c.Actor)
	if c.Head != nil {
		n += proto.Size(c.Head)
	}
	for _, e := range c.Events {
		n += len(e.Body) + 64
	}
	if c.Snapshot != nil {
		n += len(c.Snapshot.Body) + 64
	}
	for _, l := range c.Send {
		n += len(l.Body.Body) + len(l.To) + 64
	}
	n += 64 * len(c.Consume)
	for _, col := range c.Columns {
		n += len(col.Key) + lsnSize + 64
		if col.Value != nil {
			n += len(col.Value.Body)
		}
	}
	return n
}
