package persistence

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	badger "github.com/dgraph-io/badger/v4"
	"google.golang.org/protobuf/proto"

	"stormcell/messages/journal"
	"stormcell/messages/record"
)

// write is one change to the database.
type write struct {
	entry  badger.Entry
	remove bool
	// moot writes need not be made: what they put, their own batch removes.
	moot bool
}

// encoded is what a commit changes in the database. Whoever submits encodes, so that the one writer only writes.
type encoded struct {
	lsn    LSN
	writes []write
	// bytes is the size of writes as Badger counts it against the limit of a transaction.
	bytes int64
	// late are the writes whose keys hold the commit's LSN. number completes them.
	late []lateWrite
	// letters are the places in writes of what is sent, in order; consumes are the removals from the inbox.
	letters  []int
	consumes []consumption
	// large are the values in pieces (see pieces.go).
	large []largeValue

	buf []byte // every key and value lies in here
}

type consumption struct {
	id InboxID
	at int // in writes
}

// inPieces is the place of a letter that is stored in pieces.
const inPieces = -1

type lateWrite struct {
	key, value []byte
	lsnAt      int    // where in key the LSN belongs
	sum        uint32 // checksum of value, without the key
}

// maxDrop is more events than a transaction can drop.
const maxDrop = 1 << 16

// noLSN is the lsnAt of a key without an LSN.
const noLSN = -1

// entryOverhead is what Badger adds to the length of key and value of an entry when it counts.
const entryOverhead = 2 + 10

// encodeCommit encodes all of c but its LSN. snapshotPieces tells in how many pieces the stored snapshot is, if c has none.
func encodeCommit(c *Commit, snapshotPieces uint32) (*encoded, error) {
	if c.DropTo > c.DropFrom+maxDrop {
		return nil, fmt.Errorf("%w: commit of %s drops %d events", ErrTooLarge, c.Actor, c.DropTo-c.DropFrom+1)
	}
	writes, bytes := estimate(c)
	e := &encoded{writes: make([]write, 0, writes), buf: make([]byte, 0, bytes)}
	if c.Head != nil {
		if c.Snapshot != nil {
			snapshotPieces = piecesFor(len(c.Snapshot.Body))
		}
		if err := e.putHead(c, snapshotPieces); err != nil {
			return nil, err
		}
		for i, event := range c.Events {
			e.put(e.key(appendEventKey(e.buf, c.Actor, c.Head.LastEvent-uint64(len(c.Events)-1-i))), event, noLSN)
		}
	}
	if c.Snapshot != nil {
		e.put(e.actorKey(snapshotSpace, c.Actor), *c.Snapshot, noLSN)
	}
	for number := max(c.DropFrom, 1); number <= c.DropTo; number++ {
		e.remove(e.key(appendEventKey(e.buf, c.Actor, number)))
	}
	for i := range c.Send {
		e.putLetter(&c.Send[i], c.Actor, uint32(i))
	}
	for _, id := range c.Consume {
		e.consumes = append(e.consumes, consumption{id: id, at: len(e.writes)})
		e.remove(e.key(appendInboxKey(e.buf, c.Actor, id)))
	}
	for _, column := range c.Columns {
		appended, lsnAt := append(append(e.buf, columnSpace...), column.Key...), noLSN
		if column.Numbered {
			lsnAt = len(columnSpace) + len(column.Key)
			appended = append(appended, make([]byte, lsnSize)...)
		}
		key := e.key(appended)
		if column.Value == nil {
			e.remove(key)
		} else {
			e.put(key, *column.Value, lsnAt)
		}
	}
	if c.Leave {
		e.remove(e.actorKey(liveSpace, c.Actor))
	}
	for _, a := range c.Wake {
		e.put(e.actorKey(liveSpace, a), record.Record{}, noLSN)
	}
	return e, nil
}

// estimate gives the number of writes and a bound on the bytes of their keys and values, unless some are in pieces.
func estimate(c *Commit) (writes, bytes int) {
	perActorKey := len(eventSpace) + len(c.Actor) + 1 + inboxIDSize
	actorKeys := 3 + len(c.Events) + len(c.Consume)
	if c.DropFrom != 0 && c.DropTo >= c.DropFrom {
		actorKeys += int(c.DropTo - c.DropFrom + 1)
	}
	writes = actorKeys + len(c.Send) + len(c.Columns) + len(c.Wake)
	bytes = actorKeys*perActorKey + writes*maxEnvelope + proto.Size(c.Head)
	for i := range c.Events {
		bytes += len(c.Events[i].Body)
	}
	if c.Snapshot != nil {
		bytes += len(c.Snapshot.Body)
	}
	for i := range c.Send {
		bytes += perActorKey + len(c.Send[i].To) + len(c.Actor) + len(c.Send[i].Body.Body)
	}
	for i := range c.Columns {
		bytes += len(columnSpace) + len(c.Columns[i].Key) + lsnSize
		if v := c.Columns[i].Value; v != nil {
			bytes += len(v.Body)
		}
	}
	for _, a := range c.Wake {
		bytes += len(liveSpace) + len(a)
	}
	return writes, bytes
}

func (e *encoded) putHead(c *Commit, snapshotPieces uint32) error {
	head := c.Head
	if head.SnapshotChunks != snapshotPieces {
		head = proto.Clone(head).(*journal.Head) // the caller's stays as it is
		head.SnapshotChunks = snapshotPieces
	}
	rec, err := record.Encode(head)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Actor, err)
	}
	e.put(e.actorKey(headSpace, c.Actor), rec, noLSN)
	return nil
}

func (e *encoded) putLetter(l *Letter, from Address, n uint32) {
	key := e.key(appendInboxKey(e.buf, l.To, InboxID{N: n}))
	start := len(e.buf)
	e.buf = appendEnvelopeHeader(e.buf, l.Body.Kind, l.Body.Version)
	e.buf = binary.AppendUvarint(e.buf, uint64(len(from)))
	e.buf = append(e.buf, from...)
	at := len(e.writes)
	if piecesFor(len(l.Body.Body)) > 0 {
		at = inPieces
	}
	e.letters = append(e.letters, at)
	e.putBody(key, start, l.Body.Body, len(key)-inboxIDSize)
}

// put writes an envelope around rec.
func (e *encoded) put(key []byte, rec record.Record, lsnAt int) {
	start := len(e.buf)
	e.buf = appendEnvelopeHeader(e.buf, rec.Kind, rec.Version)
	e.putBody(key, start, rec.Body, lsnAt)
}

// putBody completes the envelope that begins at start.
func (e *encoded) putBody(key []byte, start int, body []byte, lsnAt int) {
	pieces := piecesFor(len(body))
	e.buf = binary.AppendUvarint(e.buf, uint64(pieces))
	if pieces == 0 {
		e.buf = append(e.buf, body...)
	} else {
		e.buf = binary.AppendUvarint(e.buf, uint64(len(body)))
		e.buf = binary.BigEndian.AppendUint32(e.buf, crc32.Checksum(body, castagnoli))
	}
	e.seal(key, start, lsnAt)
	if pieces > 0 {
		e.putPieces(key, body, pieces, lsnAt)
	}
}

// seal ends the value that begins at start, and writes it.
func (e *encoded) seal(key []byte, start, lsnAt int) {
	sum := crc32.Checksum(e.buf[start:], castagnoli)
	e.buf = append(e.buf, make([]byte, checksumSize)...)
	value := e.since(start)
	if lsnAt == noLSN {
		sealEnvelope(key, value, sum)
	} else {
		e.late = append(e.late, lateWrite{key: key, value: value, lsnAt: lsnAt, sum: sum})
	}
	e.add(write{entry: badger.Entry{Key: key, Value: value}})
}

func (e *encoded) remove(key []byte) { e.add(write{entry: badger.Entry{Key: key}, remove: true}) }

func (e *encoded) add(w write) {
	e.writes = append(e.writes, w)
	e.bytes += int64(len(w.entry.Key) + len(w.entry.Value) + entryOverhead)
}

// writeTo hands the writes to a transaction, which refers to them until it is over.
func (e *encoded) writeTo(txn *badger.Txn) error {
	for i := range e.writes {
		w, err := &e.writes[i], error(nil)
		switch {
		case w.moot:
		case w.remove:
			err = txn.Delete(w.entry.Key)
		default:
			err = txn.SetEntry(&w.entry)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settle makes moot what the batch both sends and consumes: half of what busy actors would write. The commits of a batch
// have consecutive LSNs.
func settle(batch []*encoded) {
	first := batch[0].lsn
	for _, e := range batch {
		for _, c := range e.consumes {
			if c.id.LSN < first || c.id.LSN >= e.lsn {
				continue
			}
			sender := batch[c.id.LSN-first]
			if int(c.id.N) < len(sender.letters) && sender.letters[c.id.N] != inPieces {
				sender.writes[sender.letters[c.id.N]].moot = true
				e.writes[c.at].moot = true
			}
		}
	}
}

// number completes the keys and checksums that depend on the commit's LSN.
func (e *encoded) number(lsn LSN) {
	e.lsn = lsn
	for _, l := range e.late {
		binary.BigEndian.PutUint64(l.key[l.lsnAt:], uint64(lsn))
		sealEnvelope(l.key, l.value, l.sum)
	}
}

// key takes the bytes that were just appended to buf as a key.
func (e *encoded) key(appended []byte) []byte {
	start := len(e.buf)
	e.buf = appended
	return e.since(start)
}

func (e *encoded) actorKey(space string, a Address) []byte {
	return e.key(append(append(e.buf, space...), a...))
}

func (e *encoded) since(start int) []byte { return e.buf[start:len(e.buf):len(e.buf)] }
