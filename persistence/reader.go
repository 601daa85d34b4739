package persistence

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	badger "github.com/dgraph-io/badger/v4"

	"stormcell/messages/journal"
	"stormcell/messages/record"
)

// What guards a read. Every value has a checksum over itself and its key. Badger's iterators and Get end silently at a
// block of a table that they cannot read, as if its keys did not exist; so every block of every table is checked before
// Badger opens the tables, or, in a large database, as soon as it runs (verify.go), and spans prove that no stretch of the
// log is missing (spans.go). Against what breaks later, a read requires of an actor every event and the snapshot that its
// head record names, nothing beyond them, and no events or snapshot without a head. The tables are checked again at
// intervals for the sake of inboxes, columns and the live set, of which no record tells how many there are.

// Read implements Journal. An entry of the inbox is not looked at when it lies before the head's low-water mark.
func (b *Badger) Read(a Address) (*Stored, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	var s *Stored
	err := b.view(func(txn *badger.Txn) (err error) {
		s, err = readActor(txn, a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", a, err)
	}
	return s, nil
}

func readActor(txn *badger.Txn, a Address) (*Stored, error) {
	s := &Stored{}
	mark, _, err := getOwn[*journal.Mark](txn, []byte(markKey))
	if err != nil {
		return nil, err
	}
	s.AsOf = LSN(mark.GetLsn())
	if s.Head, _, err = getOwn[*journal.Head](txn, []byte(headSpace+string(a))); err != nil {
		return nil, err
	}
	if s.Snapshot, err = readSnapshot(txn, a, s.Head); err != nil {
		return nil, err
	}
	if s.Events, err = readEvents(txn, a, s.Head); err != nil {
		return nil, err
	}
	s.Inbox, err = readInbox(txn, a, s.Head)
	return s, err
}

func readSnapshot(txn *badger.Txn, a Address, head *journal.Head) (*record.Record, error) {
	key := []byte(snapshotSpace + string(a))
	snapshot, err := getRecord(txn, key)
	switch {
	case err != nil:
		return nil, err
	case snapshot == nil && head.GetHasSnapshot():
		return nil, fmt.Errorf("%w: key %q: the head names a snapshot, and there is none", ErrCorrupt, key)
	case snapshot != nil && !head.GetHasSnapshot():
		return nil, fmt.Errorf("%w: key %q: there is a snapshot that no head names", ErrCorrupt, key)
	}
	return snapshot, nil
}

func readEvents(txn *badger.Txn, a Address, head *journal.Head) ([]record.Record, error) {
	var events []record.Record
	prefix := appendActorPrefix(nil, eventSpace, a)
	next, last := head.GetSnapshotEvent()+1, head.GetLastEvent()
	err := scan(txn, prefix, appendEventKey(nil, a, next), func(key, value []byte) error {
		number, err := parseEventNumber(key, prefix)
		if err != nil {
			return fmt.Errorf("%w: key %q: %w", ErrCorrupt, key, err)
		}
		if number > last {
			return fmt.Errorf("%w: key %q: event %d lies behind the last that the head names, %d", ErrCorrupt, key, number, last)
		}
		if number != next {
			return missingEvent(a, next, last)
		}
		event, err := openRecord(txn, key, value)
		if err != nil {
			return err
		}
		events = append(events, event)
		next++
		return nil
	})
	if err == nil && next <= last {
		err = missingEvent(a, next, last)
	}
	return events, err
}

func missingEvent(a Address, number, last uint64) error {
	return fmt.Errorf("%w: key %q: event %d of %d is missing", ErrCorrupt, appendEventKey(nil, a, number), number, last)
}

func readInbox(txn *badger.Txn, a Address, head *journal.Head) ([]Letter, error) {
	var inbox []Letter
	prefix := appendActorPrefix(nil, inboxSpace, a)
	low := InboxID{LSN: LSN(head.GetInboxLsn()), N: head.GetInboxN()}
	err := scan(txn, prefix, appendInboxKey(nil, a, low), func(key, value []byte) error {
		id, err := parseInboxID(key, prefix)
		if err != nil {
			return fmt.Errorf("%w: key %q: %w", ErrCorrupt, key, err)
		}
		e, err := openValue(txn, key, value, true)
		if err != nil {
			return err
		}
		inbox = append(inbox, Letter{ID: id, From: e.from, To: a, Body: e.rec})
		return nil
	})
	return inbox, err
}

// Column implements Journal.
func (b *Badger) Column(key string) (*record.Record, error) {
	var value *record.Record
	err := b.view(func(txn *badger.Txn) (err error) {
		value, err = getRecord(txn, []byte(columnSpace+key))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read column: %w", err)
	}
	return value, nil
}

// Columns implements Journal.
func (b *Badger) Columns(p Page) ([]Column, error) {
	if p.Limit <= 0 {
		return nil, fmt.Errorf("page limit %d is not positive", p.Limit)
	}
	var page []Column
	err := b.view(func(txn *badger.Txn) (err error) {
		page, err = readPage(txn, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read columns %q: %w", p.Prefix, err)
	}
	return page, nil
}

var errPageFull = errors.New("page is full")

func readPage(txn *badger.Txn, p Page) ([]Column, error) {
	var page []Column
	add := func(key, value []byte) error {
		name := string(key[len(columnSpace):])
		if p.After != "" && (!p.Reverse && name <= p.After || p.Reverse && name >= p.After) {
			return nil
		}
		rec, err := openRecord(txn, key, value)
		if err != nil {
			return err
		}
		page = append(page, Column{Key: name, Value: &rec})
		if len(page) == p.Limit {
			return errPageFull
		}
		return nil
	}
	prefix, from := []byte(columnSpace+p.Prefix), []byte(columnSpace+p.After)
	var err error
	if p.Reverse {
		if p.After == "" {
			from = nil
		}
		err = scanReverse(txn, prefix, from, add)
	} else {
		err = scan(txn, prefix, from, add)
	}
	if err != nil && !errors.Is(err, errPageFull) {
		return nil, err
	}
	return page, nil
}

// Live implements Journal. It reads the whole set before it calls f, which may use the journal.
func (b *Badger) Live(f func(Address) bool) error {
	var live []Address
	err := b.view(func(txn *badger.Txn) error {
		return scan(txn, []byte(liveSpace), nil, func(key, value []byte) error {
			if _, err := openValue(txn, key, value, false); err != nil {
				return err
			}
			live = append(live, Address(key[len(liveSpace):]))
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("read the live set: %w", err)
	}
	for _, a := range live {
		if !f(a) {
			return nil
		}
	}
	return nil
}

// openValue checks and decodes the value under key, and joins its pieces. Its errors name the key.
func openValue(txn *badger.Txn, key, value []byte, inbox bool) (envelope, error) {
	e, err := openEnvelope(key, value, inbox)
	if err != nil {
		return envelope{}, fmt.Errorf("%w: key %q: %w", ErrCorrupt, key, err)
	}
	if e.pieces > 0 {
		if e.rec.Body, err = joinPieces(txn, key, e); err != nil {
			return envelope{}, fmt.Errorf("key %q: %w", key, err)
		}
	}
	return e, nil
}

func openRecord(txn *badger.Txn, key, value []byte) (record.Record, error) {
	e, err := openValue(txn, key, value, false)
	return e.rec, err
}

// getRecord reads one record, nil when there is none.
func getRecord(txn *badger.Txn, key []byte) (*record.Record, error) {
	value, err := get(txn, key)
	if err != nil || value == nil {
		return nil, err
	}
	rec, err := openRecord(txn, key, value)
	if err != nil {
		return nil, err
	}
	return &rec, nil
}

// get reads a copy of one value, nil when there is none.
func get(txn *badger.Txn, key []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", key, err)
	}
	return copyValue(item)
}

func copyValue(item *badger.Item) ([]byte, error) {
	value, err := item.ValueCopy(nil)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", item.Key(), err)
	}
	if value == nil {
		value = []byte{}
	}
	return value, nil
}

// scan calls f with each key that has the prefix, from the given one on, and a copy of its value. The key is valid only
// during the call.
func scan(txn *badger.Txn, prefix, from []byte, f func(key, value []byte) error) error {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	if bytes.Compare(from, prefix) < 0 {
		from = prefix
	}
	for it.Seek(from); it.Valid(); it.Next() {
		if err := visit(it.Item(), f); err != nil {
			return err
		}
	}
	return nil
}

// scanReverse is scan in descending order, from the given key down, or from the last one when from is nil.
func scanReverse(txn *badger.Txn, prefix, from []byte, f func(key, value []byte) error) error {
	it := txn.NewIterator(badger.IteratorOptions{Reverse: true})
	defer it.Close()
	behind := successor(prefix)
	if from == nil || bytes.Compare(from, behind) > 0 {
		from = behind
	}
	for it.Seek(from); it.Valid(); it.Next() {
		key := it.Item().Key()
		if bytes.Compare(key, behind) >= 0 {
			continue
		}
		if !bytes.HasPrefix(key, prefix) {
			return nil
		}
		if err := visit(it.Item(), f); err != nil {
			return err
		}
	}
	return nil
}

func visit(item *badger.Item, f func(key, value []byte) error) error {
	value, err := copyValue(item)
	if err != nil {
		return err
	}
	return f(item.Key(), value)
}

// successor is the least key behind all that have the prefix, which begins with a keyspace and so is not all 0xff.
func successor(prefix []byte) []byte {
	s := slices.Clone(prefix)
	for s[len(s)-1] == 0xff {
		s = s[:len(s)-1]
	}
	s[len(s)-1]++
	return s
}
