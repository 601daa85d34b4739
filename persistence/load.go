package persistence

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"

	badger "github.com/dgraph-io/badger/v4"

	"stormcell/messages/journal"
	"stormcell/messages/record"
)

// found is what a database knows of itself when it is opened.
type found struct {
	meta   *journal.Meta // nil in a new database
	mark   LSN
	span   uint64
	pieces map[string]uint32
}

// load reads what the database knows of itself, compares it with HEAD and with where it lies, and makes the journal
// ready to write.
func (b *Badger) load(head *headMark) error {
	var f found
	err := b.db.View(func(txn *badger.Txn) (err error) {
		f, err = readFound(txn)
		return err
	})
	if err != nil {
		return err
	}
	place, err := findPlace(b.opts.Dir)
	if err != nil {
		return err
	}
	if f.meta == nil {
		if err := b.checkHead(head, [journalIDSize]byte{}, 0); err != nil {
			return err
		}
		if f.meta, err = b.create(place); err != nil {
			return err
		}
	} else if err := b.checkHead(head, [journalIDSize]byte(f.meta.JournalId), f.mark); err != nil {
		return err
	}
	if err := b.settleDoubt(f.meta, place); err != nil {
		return err
	}
	if b.spans, err = newSpanWriter(b.db.Opts().Dir, f.span); err != nil {
		return err
	}
	b.head, err = createHeadFile(b.opts.Dir, headMark{journalID: [journalIDSize]byte(f.meta.JournalId), lsn: f.mark})
	b.last, b.pieces = f.mark, f.pieces
	b.durable.Store(uint64(f.mark))
	b.stored = f.mark
	return err
}

func readFound(txn *badger.Txn) (f found, err error) {
	f.pieces = map[string]uint32{}
	meta, ok, err := getOwn[*journal.Meta](txn, []byte(metaKey))
	if errors.Is(err, record.ErrNewerVersion) {
		return f, fmt.Errorf("%w: format %d is the newest that this program knows: %w", ErrNewerFormat, Format, err)
	}
	if err != nil {
		return f, err
	}
	if !ok {
		return f, checkEmpty(txn)
	}
	if meta.Format > Format {
		return f, fmt.Errorf("%w: it has format %d, this program knows up to %d", ErrNewerFormat, meta.Format, Format)
	}
	if meta.Format == 0 || len(meta.JournalId) != journalIDSize {
		return f, fmt.Errorf("%w: key %q: format %d, id of %d bytes", ErrCorrupt, metaKey, meta.Format, len(meta.JournalId))
	}
	f.meta = meta
	mark, _, err := getOwn[*journal.Mark](txn, []byte(markKey))
	if err != nil {
		return f, err
	}
	f.mark = LSN(mark.GetLsn())
	if f.span, err = checkSpans(txn, f.mark); err != nil {
		return f, err
	}
	f.pieces, err = loadPieceIndex(txn)
	return f, err
}

// checkEmpty accepts a database without a meta record only if it holds nothing at all.
func checkEmpty(txn *badger.Txn) error {
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	if it.Rewind(); it.Valid() {
		return fmt.Errorf("%w: key %q is missing, but there is %q", ErrCorrupt, metaKey, it.Item().Key())
	}
	return nil
}

// create makes a journal of the empty database.
func (b *Badger) create(place Place) (*journal.Meta, error) {
	id := make([]byte, journalIDSize)
	rand.Read(id)
	meta := &journal.Meta{Format: Format, JournalId: id, Directory: place.Directory, Machine: place.Machine}
	return meta, b.storeMeta(meta)
}

func (b *Badger) storeMeta(meta *journal.Meta) error {
	e := &encoded{}
	e.put([]byte(metaKey), encodeOwn(meta), noLSN)
	if err := b.store(e); err != nil {
		return err
	}
	return b.flush()
}

// readHead reads the HEAD file; nil when there is none, or when it is unreadable and the operator accepts that.
func (b *Badger) readHead() (*headMark, error) {
	head, err := readHeadFile(b.opts.Dir)
	if errors.Is(err, errHeadBroken) && b.opts.AcceptLoss {
		b.log.Warn("journal's HEAD file is broken and will be written anew", "err", err)
		b.mayLack = true
		return nil, nil
	}
	return head, err
}

// checkHead compares HEAD with the journal of that id, which ends at mark.
func (b *Badger) checkHead(head *headMark, id [journalIDSize]byte, mark LSN) error {
	path := filepath.Join(b.opts.Dir, headFileName)
	if head == nil {
		if mark != 0 {
			b.log.Warn("journal has no HEAD file: whether it lost commits cannot be told", "path", path, "lsn", mark)
			b.mayLack = true
		}
		return nil
	}
	var err error
	switch {
	case mark == 0 && head.lsn > 0 && id == [journalIDSize]byte{}:
		err = fmt.Errorf("%w: all %d of them are missing: %s names commit %d, and the database is new",
			ErrBehindHead, head.lsn, path, head.lsn)
	case id != [journalIDSize]byte{} && head.journalID != id:
		err = fmt.Errorf("%w: %s belongs to journal %x, the database is journal %x: put the HEAD file that belongs to it "+
			"beside it, or open with AcceptLoss", ErrCorrupt, path, head.journalID, id)
	case head.lsn > mark:
		err = fmt.Errorf("%w: %d are missing: %s names commit %d, the database ends at %d",
			ErrBehindHead, head.lsn-mark, path, head.lsn, mark)
	}
	if err != nil && b.opts.AcceptLoss {
		b.log.Warn("journal opens although commits may be lost, as the operator asked", "err", err)
		b.mayLack = true
		return nil
	}
	return err
}
