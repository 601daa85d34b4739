// Package persistence is the journal: one log of commits, durable in prefixes, and what can be read of it. It has two
// implementations of one contract: Badger for the node, and memory for tests.
package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"stormcell/messages/journal"
	"stormcell/messages/record"
)

// Errors that callers decide on. They arrive wrapped with the actor and the key they are about.
var (
	// ErrTooLarge refuses a commit that no single transaction could hold. Nothing of it was written.
	ErrTooLarge = errors.New("commit is larger than a transaction allows")
	// ErrClosed answers a call on a journal that was closed or has failed.
	ErrClosed = errors.New("journal is closed")
	// ErrCorrupt says that stored bytes are not what was written: a checksum, a gap, a record that does not parse.
	ErrCorrupt = errors.New("journal is corrupt")
	// ErrNewerFormat refuses a journal written by a later program.
	ErrNewerFormat = errors.New("journal was written by a newer program")
	// ErrInUse refuses a directory that another process has open.
	ErrInUse = errors.New("journal is in use by another process")
	// ErrBehindHead refuses a journal that has lost commits it once acknowledged.
	ErrBehindHead = errors.New("journal has lost acknowledged commits")
	// ErrDiskFull refuses to go on when the file system is nearly full.
	ErrDiskFull = errors.New("too little free disk space")
	// ErrBadAddress refuses an address the journal cannot use as a key.
	ErrBadAddress = errors.New("bad address")
)

// LSN numbers commits in the order of their submission, from 1.
type LSN uint64

// Address names one durable actor: its kind, a slash, and its id within the kind: "channel/ab12", "shard/ab12/3".
type Address string

// MaxAddress is the longest address in bytes.
const MaxAddress = 512

// Kind is the part of the address before the first slash.
func (a Address) Kind() string {
	kind, _, _ := strings.Cut(string(a), "/")
	return kind
}

// Validate checks that a is usable as a key: printable ASCII without spaces, a kind, a slash and an id.
func (a Address) Validate() error {
	kind, id, ok := strings.Cut(string(a), "/")
	if !ok || kind == "" || id == "" {
		return fmt.Errorf("%w %q: want kind/id", ErrBadAddress, string(a))
	}
	if len(a) > MaxAddress {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrBadAddress, len(a), MaxAddress)
	}
	for i := range len(a) {
		if a[i] <= ' ' || a[i] >= 0x7f {
			return fmt.Errorf("%w %q: byte %d is not printable ASCII", ErrBadAddress, string(a), i)
		}
	}
	return nil
}

// InboxID is the place of a message in its receiver's inbox: the commit that sent it and its number within that commit.
// Inbox order is log order.
type InboxID struct {
	LSN LSN
	N   uint32
}

// Less is log order.
func (i InboxID) Less(o InboxID) bool { return i.LSN < o.LSN || i.LSN == o.LSN && i.N < o.N }

// IsZero tells whether the id names no inbox entry: the id of a message that is not durable.
func (i InboxID) IsZero() bool { return i == InboxID{} }

func (i InboxID) String() string { return fmt.Sprintf("%d.%d", i.LSN, i.N) }

// Letter is a durable message on its way: written into the receiver's inbox by the sender's commit.
type Letter struct {
	// ID is set by Submit and by reading; a commit to be submitted leaves it zero.
	ID       InboxID
	From, To Address
	Body     record.Record
}

// Column is a record of its own beside an actor's state, under a key of the caller's choosing. A nil Value deletes.
type Column struct {
	Key   string
	Value *record.Record
	// Numbered completes the key with the LSN of its commit, 8 bytes in big-endian order. So columns of many actors have one
	// order, that of the log, and whoever reads them sees no gap that is filled later.
	Numbered bool
}

// NumberOf is the LSN that completes the key of a numbered column; false if the key is none.
func NumberOf(prefix, key string) (LSN, bool) {
	if len(key) != len(prefix)+lsnSize || !strings.HasPrefix(key, prefix) {
		return 0, false
	}
	return LSN(binary.BigEndian.Uint64([]byte(key[len(prefix):]))), true
}

// NumberedKey is the key of the numbered column of a commit.
func NumberedKey(prefix string, lsn LSN) string {
	return string(binary.BigEndian.AppendUint64([]byte(prefix), uint64(lsn)))
}

const lsnSize = 8

// MaxColumnKey is the longest column key in bytes.
const MaxColumnKey = 1024

// Commit is one step: stored whole or not at all.
type Commit struct {
	// Actor took the step.
	Actor Address
	// Head replaces the actor's head record; nil leaves it (a step of an address where nothing is stored).
	// Head.LastEvent counts the Events of this commit.
	Head *journal.Head
	// Before is the head that Head replaces, nil for the first: it tells how many chunks the old snapshot had.
	Before *journal.Head
	// Events are appended: the last of them gets number Head.LastEvent.
	Events []record.Record
	// Snapshot replaces the stored one and includes every event up to Head.SnapshotEvent, which is Head.LastEvent: a commit
	// has either events or a snapshot.
	Snapshot *record.Record
	// DropFrom to DropTo (inclusive, none when DropTo is zero) are stored events that the snapshot made unnecessary.
	DropFrom, DropTo uint64
	// Send goes into other actors' inboxes.
	Send []Letter
	// Consume removes entries of this actor's inbox.
	Consume []InboxID
	// Columns are written or deleted.
	Columns []Column
	// Wake enters addresses into the live set; Leave takes Actor out of it.
	Wake  []Address
	Leave bool
	// Patient says that nothing waits for this commit yet: it may become durable together with what follows, or when Hurry
	// asks for it, or after a moment (some ten milliseconds).
	Patient bool
}

// validate refuses keys that no journal could store.
func (c *Commit) validate() error {
	if err := c.Actor.Validate(); err != nil {
		return err
	}
	for i := range c.Send {
		if err := c.Send[i].To.Validate(); err != nil {
			return fmt.Errorf("%s sends: %w", c.Actor, err)
		}
	}
	for _, a := range c.Wake {
		if err := a.Validate(); err != nil {
			return fmt.Errorf("%s wakes: %w", c.Actor, err)
		}
	}
	for _, col := range c.Columns {
		if len(col.Key) == 0 || len(col.Key) > MaxColumnKey {
			return fmt.Errorf("%w: %s: column key of %d bytes, want 1 to %d", ErrBadAddress, c.Actor, len(col.Key), MaxColumnKey)
		}
		if col.Numbered && col.Value == nil {
			return fmt.Errorf("%w: %s: a numbered column is not deleted by its number", ErrBadAddress, c.Actor)
		}
	}
	return nil
}

// Stored is what one read transaction found of an actor.
type Stored struct {
	// Head is nil when nothing is stored at the address; the inbox may still hold messages.
	Head     *journal.Head
	Snapshot *record.Record
	// Events are those after the snapshot, without gaps, up to Head.LastEvent.
	Events []record.Record
	// Inbox is in log order, from the head's low-water mark.
	Inbox []Letter
	// AsOf is the LSN that the read saw: every commit up to it and none after it.
	AsOf LSN
}

// Listener hears how the log proceeds. Calls come one after the other, from one goroutine, and must be quick.
type Listener interface {
	// Durable says that every commit up to lsn survives a crash from now on.
	Durable(lsn LSN)
	// Failed says that the commit after the last durable one, and all later ones, are not stored and never will be. It
	// comes at most once, and nothing comes after it.
	Failed(err error)
}

// Page asks for columns with a prefix, in key order.
type Page struct {
	Prefix string
	// After starts behind this key (before it when Reverse); empty starts at the end that the direction says.
	After   string
	Reverse bool
	// Limit is the most that is returned; it must be positive.
	Limit int
}

// Journal is the contract. All methods are safe for concurrent use.
type Journal interface {
	// Start names who hears of the log's progress. It is called once, before the first Submit.
	Start(Listener)
	// Submit puts a commit at the end of the log, sets the IDs of its letters, and returns its LSN. It does not wait for
	// the disk. ErrTooLarge and ErrBadAddress store nothing and leave the log usable; ErrClosed is final.
	Submit(*Commit) (LSN, error)
	// Hurry says that somebody waits for the commits up to lsn.
	Hurry(lsn LSN)
	// Last is the LSN of the newest submitted commit, Durable of the newest durable one.
	Last() LSN
	Durable() LSN
	// Read gives what is stored of an actor.
	Read(Address) (*Stored, error)
	// Column gives one column, nil when there is none.
	Column(key string) (*record.Record, error)
	// Columns gives a page of columns.
	Columns(Page) ([]Column, error)
	// Live calls f for each address in the live set, in key order, until it returns false.
	Live(f func(Address) bool) error
	// Close makes what was submitted durable, tells the listener, and ends the journal.
	Close() error
}
