package persistence

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// The HEAD file lies beside the database and holds the LSN of the newest durable batch. Badger drops everything behind a
// broken record of its write-ahead log without an error; a database that ends before HEAD shows it. HEAD is not synced:
// after a power cut it may be behind the database, which says nothing, but it is never ahead of it.

const headFileName = "HEAD"

// headRecord is the layout of the file: magic:8, version:4, journal id:16, LSN:8, zeros, CRC-32C:4. All numbers are
// big-endian. It lies within one sector, so that no write is torn.
const (
	headRecordSize  = 64
	headMagic       = "STRMHEAD"
	headVersion     = 1
	headVersionAt   = 8
	headJournalIDAt = 12
	headLSNAt       = 28
	headChecksumAt  = headRecordSize - checksumSize
	journalIDSize   = 16
)

// headMark is what the file says.
type headMark struct {
	journalID [journalIDSize]byte
	lsn       LSN
}

func (m headMark) encode() []byte {
	b := make([]byte, headRecordSize)
	copy(b, headMagic)
	binary.BigEndian.PutUint32(b[headVersionAt:], headVersion)
	copy(b[headJournalIDAt:], m.journalID[:])
	binary.BigEndian.PutUint64(b[headLSNAt:], uint64(m.lsn))
	binary.BigEndian.PutUint32(b[headChecksumAt:], crc32.Checksum(b[:headChecksumAt], castagnoli))
	return b
}

var errHeadBroken = errors.New("file is broken")

func decodeHeadMark(b []byte) (headMark, error) {
	if len(b) != headRecordSize || !bytes.HasPrefix(b, []byte(headMagic)) ||
		binary.BigEndian.Uint32(b[headChecksumAt:]) != crc32.Checksum(b[:headChecksumAt], castagnoli) {
		return headMark{}, errHeadBroken
	}
	if v := binary.BigEndian.Uint32(b[headVersionAt:]); v != headVersion {
		return headMark{}, fmt.Errorf("%w: HEAD file of version %d, this program knows %d", ErrNewerFormat, v, headVersion)
	}
	m := headMark{lsn: LSN(binary.BigEndian.Uint64(b[headLSNAt:]))}
	copy(m.journalID[:], b[headJournalIDAt:])
	return m, nil
}

// headFile is the open file.
type headFile struct {
	file *os.File
	mark headMark
}

// readHeadFile gives nil when there is no file.
func readHeadFile(dir string) (*headMark, error) {
	path := filepath.Join(dir, headFileName)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := decodeHeadMark(b)
	if errors.Is(err, errHeadBroken) {
		return nil, fmt.Errorf("%w: %s: %w: whether commits were lost cannot be told; check the disk, then either restore a "+
			"backup or open with AcceptLoss", ErrCorrupt, path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &m, nil
}

// createHeadFile writes the file anew, durably, and leaves it open for set.
func createHeadFile(dir string, m headMark) (*headFile, error) {
	path := filepath.Join(dir, headFileName)
	file, err := os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	h := &headFile{file: file, mark: m}
	err = h.set(m.lsn)
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), file.Close())
	}
	return h, nil
}

// set records that every commit up to lsn is durable.
func (h *headFile) set(lsn LSN) error {
	h.mark.lsn = lsn
	_, err := h.file.WriteAt(h.mark.encode(), 0)
	return err
}

func (h *headFile) close() error { return errors.Join(h.file.Sync(), h.file.Close()) }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
