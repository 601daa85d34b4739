package persistence

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"

	"stormcell/messages/journal"
	"stormcell/messages/record"
)

// filled is the directory of a closed journal with so many commits of one actor.
func filled(t *testing.T, commits int) string {
	t.Helper()
	dir := t.TempDir()
	b := openBadger(t, testOptions(dir))
	b.Start(newProgress())
	a := &actor{addr: "account/a"}
	for range commits {
		submit(t, b, a.events("e"))
	}
	require.NoError(t, b.Close())
	return dir
}

// edit changes the database behind the journal's back.
func edit(t *testing.T, dir string, change func(txn *badger.Txn) error) {
	t.Helper()
	db, err := openDatabase(testOptions(dir).withDefaults().badger())
	require.NoError(t, err)
	require.NoError(t, db.Update(change))
	require.NoError(t, db.Close())
}

// plant writes a record under a key, with a right checksum.
func plant(key string, r record.Record) func(*badger.Txn) error {
	e := &encoded{}
	e.put([]byte(key), r, noLSN)
	return e.writeTo
}

func TestASecondOpenIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := openBadger(t, testOptions(dir))
	_, err := Open(testOptions(dir))
	require.ErrorIs(t, err, ErrInUse)
	require.NoError(t, b.Close())

	var acked [crashWriters]uint64
	c := startChild(t, dir, &acked)
	c.await(t, 1)
	_, err = Open(testOptions(dir))
	require.ErrorIs(t, err, ErrInUse)
	c.kill()
	require.NoError(t, checkCrashed(testOptions(dir), &acked))
}

func TestAForeignProgramOnTheDatabaseIsNoticed(t *testing.T) {
	t.Parallel()
	dir := filled(t, 1)
	db, err := openDatabase(testOptions(dir).withDefaults().badger())
	require.NoError(t, err)
	_, err = Open(testOptions(dir))
	require.ErrorIs(t, err, ErrInUse)
	require.NoError(t, db.Close())
	openBadger(t, testOptions(dir))
}

func TestNewerFormatsAreRefused(t *testing.T) {
	t.Parallel()
	meta := &journal.Meta{Format: Format + 1, JournalId: make([]byte, journalIDSize)}
	future := encodeOwn(meta)
	future.Version = 9
	for name, planted := range map[string]record.Record{"format": encodeOwn(meta), "meta record": future} {
		dir := filled(t, 1)
		edit(t, dir, plant(metaKey, planted))
		_, err := Open(testOptions(dir))
		require.ErrorIs(t, err, ErrNewerFormat, name)
		if name == "format" {
			require.ErrorContains(t, err, "it has format 2, this program knows up to 1")
		}
	}
	dir := filled(t, 1)
	path := filepath.Join(dir, headFileName)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b[headVersionAt+3] = headVersion + 1
	resealHead(b)
	require.NoError(t, os.WriteFile(path, b, 0o600))
	_, err = Open(testOptions(dir))
	require.ErrorIs(t, err, ErrNewerFormat)
}

func TestHeadFile(t *testing.T) {
	t.Parallel()
	head := func(dir string) string { return filepath.Join(dir, headFileName) }
	rewrite := func(t *testing.T, dir string, change func(m *headMark)) {
		m, err := readHeadFile(dir)
		require.NoError(t, err)
		change(m)
		require.NoError(t, os.WriteFile(head(dir), m.encode(), 0o600))
	}
	for name, c := range map[string]struct {
		damage func(t *testing.T, dir string)
		want   error
		says   string
		last   LSN
	}{
		"ahead of the database": {
			func(t *testing.T, dir string) { rewrite(t, dir, func(m *headMark) { m.lsn += 7 }) },
			ErrBehindHead, "7 are missing", 10,
		},
		"of another journal": {
			func(t *testing.T, dir string) { rewrite(t, dir, func(m *headMark) { m.journalID[0] ^= 1 }) },
			ErrCorrupt, "belongs to journal", 10,
		},
		"of a database that is gone": {
			func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(filepath.Join(dir, "journal"))) },
			ErrBehindHead, "all 10", 0,
		},
		"broken": {
			func(t *testing.T, dir string) { require.NoError(t, os.WriteFile(head(dir), []byte("x"), 0o600)) },
			ErrCorrupt, "HEAD", 10,
		},
		"behind the database": {
			func(t *testing.T, dir string) { rewrite(t, dir, func(m *headMark) { m.lsn = 3 }) }, nil, "", 10,
		},
		"missing": {
			func(t *testing.T, dir string) { require.NoError(t, os.Remove(head(dir))) }, nil, "", 10,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filled(t, 10)
			c.damage(t, dir)
			o := testOptions(dir)
			if c.want != nil {
				_, err := Open(o)
				require.ErrorIs(t, err, c.want)
				require.ErrorContains(t, err, c.says)
				o.AcceptLoss = true
			}
			b := openBadger(t, o)
			require.Equal(t, c.last, b.Last())
			require.NoError(t, b.Close())
			openBadger(t, testOptions(dir)) // HEAD is right again
		})
	}
}

func TestFreeSpaceFloor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left := uint64(100 << 20)
	o := testOptions(dir)
	o.FreeSpaceFloor = 64 << 20
	o.hooks.freeSpace = func(string) (uint64, error) { return left, nil }
	b := openBadger(t, o)
	p := newProgress()
	b.Start(p)
	a := &actor{addr: "account/a"}
	require.NoError(t, p.wait(submit(t, b, a.events("1"))))

	left = 63 << 20
	submit(t, b, a.events("2"))
	require.ErrorIs(t, p.failure(), ErrDiskFull)
	require.ErrorIs(t, b.Close(), ErrDiskFull)
	_, err := Open(o)
	require.ErrorIs(t, err, ErrDiskFull)
	require.ErrorContains(t, err, "63 MiB left, the journal needs 64 MiB")

	left = 64 << 20
	b = openBadger(t, o)
	require.Equal(t, []string{"1"}, bodies(read(t, b, a.addr).Events))
}

func TestAFailedSyncEndsTheJournalOnce(t *testing.T) {
	t.Parallel()
	errDisk := errors.New("disk on fire")
	o := testOptions(t.TempDir())
	broken := false
	o.hooks.sync = func(db *badger.DB) error {
		if broken {
			return errDisk
		}
		return db.Sync()
	}
	b := openBadger(t, o)
	p := newProgress()
	b.Start(p)
	a := &actor{addr: "account/a"}
	require.NoError(t, p.wait(submit(t, b, a.events("1"))))
	broken = true
	for range 20 { // some of them reach the queue before the failure, some do not
		if _, err := b.Submit(a.events("2")); err != nil {
			require.ErrorIs(t, err, ErrClosed)
			require.ErrorIs(t, err, errDisk)
		}
	}
	require.ErrorIs(t, p.failure(), errDisk)
	_, err := b.Submit(a.events("3"))
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, err, errDisk)
	_, err = b.Read(a.addr)
	require.ErrorIs(t, err, ErrClosed)
	require.Equal(t, LSN(1), b.Durable())
	require.ErrorIs(t, b.Close(), errDisk)
	require.Len(t, p.failed, 1)
	require.Equal(t, []LSN{1}, p.durable)

	broken = false
	b = openBadger(t, o)
	require.GreaterOrEqual(t, b.Last(), LSN(1))
	events := bodies(read(t, b, a.addr).Events)
	require.Len(t, events, int(b.Last()), "a prefix")
	require.Equal(t, "1", events[0])
}

// A large journal is checked once it is open; what is broken ends it.
func TestABrokenTableFoundInTheBackgroundFailsTheJournal(t *testing.T) {
	t.Parallel()
	dir := filled(t, 2000)
	tables, err := filepath.Glob(filepath.Join(dir, "journal", "*.sst"))
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	content, err := os.ReadFile(tables[0])
	require.NoError(t, err)
	content[len(content)/3] ^= 1
	require.NoError(t, os.WriteFile(tables[0], content, 0o600))

	_, err = Open(testOptions(dir))
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, filepath.Base(tables[0]))

	o := testOptions(dir)
	o.VerifyUpTo = 1
	b, err := Open(o)
	if err == nil { // the broken block may be one that opening reads
		p := newProgress()
		b.Start(p)
		require.ErrorIs(t, p.failure(), ErrCorrupt)
		err = b.Close()
	}
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, filepath.Base(tables[0]))
}
