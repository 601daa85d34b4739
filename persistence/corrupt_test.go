package persistence

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"

	"stormcell/messages/journal"
)

// The corruption tests break one file of a journal and then open it and read all of it. Either everything is there and
// right, or an error says what is wrong. A commit of the specimen is whole or missing; missing ones are the last.

const (
	specimenCommits = 300
	specimenActors  = 5
)

func specimenActor(i int) Address { return Address(fmt.Sprintf("account/%d", i)) }

func specimenBody(n int) string { return strings.Repeat(fmt.Sprintf("%06d", n), 40) }

// errSilent is what must not happen.
var errSilent = errors.New("silent loss or change")

// writeSpecimen writes a commit of an event, a letter and a column.
func writeSpecimen(t testing.TB, b *Badger, actors []*actor, n int) {
	t.Helper()
	a := actors[n%specimenActors]
	submit(t, b, a.step(func(h *journal.Head, c *Commit) {
		c.Events = append(c.Events, rec(specimenBody(n)))
		h.LastEvent++
		c.Send = []Letter{{To: "sink/1", Body: rec(specimenBody(n))}}
		c.Columns = []Column{{Key: fmt.Sprintf("n/%06d", n), Value: recp(specimenBody(n))}}
		c.Wake = []Address{a.addr}
	}))
}

// checkSpecimen reads everything, and gives how many commits are there.
func checkSpecimen(b *Badger) (int, error) {
	sink, err := b.Read("sink/1")
	if err != nil {
		return 0, err
	}
	columns, err := b.Columns(Page{Prefix: "n/", Limit: 10 * specimenCommits})
	if err != nil {
		return 0, err
	}
	count := len(sink.Inbox)
	if len(columns) != count || b.Last() != LSN(count) {
		return 0, fmt.Errorf("%w: %d letters, %d columns, the log ends at %d", errSilent, count, len(columns), b.Last())
	}
	for i := range count {
		if want := specimenBody(i + 1); string(sink.Inbox[i].Body.Body) != want || string(columns[i].Value.Body) != want {
			return 0, fmt.Errorf("%w: commit %d", errSilent, i+1)
		}
	}
	lives := 0
	if err := b.Live(func(Address) bool { lives++; return true }); err != nil {
		return 0, err
	}
	if want := min(count, specimenActors); lives != want {
		return 0, fmt.Errorf("%w: %d are live, not %d", errSilent, lives, want)
	}
	for i := range specimenActors {
		s, err := b.Read(specimenActor(i))
		if err != nil {
			return 0, err
		}
		want := 0
		for n := 1; n <= count; n++ {
			if n%specimenActors != i {
				continue
			}
			if want >= len(s.Events) || string(s.Events[want].Body) != specimenBody(n) {
				return 0, fmt.Errorf("%w: event %d of %s", errSilent, want+1, specimenActor(i))
			}
			want++
		}
		if len(s.Events) != want {
			return 0, fmt.Errorf("%w: half a commit: %s has %d events, not %d", errSilent, specimenActor(i), len(s.Events), want)
		}
	}
	return count, nil
}

// file is a stored file without the zeros at its end, and its length with them.
type file struct {
	content []byte
	length  int64
}

var specimen struct {
	once  sync.Once
	files map[string]file
}

// specimenFiles are those of a journal that was left as a killed process leaves it: two thirds of it in two tables, the rest
// in the write-ahead log.
func specimenFiles(t testing.TB) map[string]file {
	specimen.once.Do(func() {
		dir := t.TempDir()
		actors := make([]*actor, specimenActors)
		for i := range actors {
			actors[i] = &actor{addr: specimenActor(i)}
		}
		const part = specimenCommits / 3
		for first := 1; first <= specimenCommits; first += part {
			b := openBadger(t, testOptions(dir))
			p := newProgress()
			b.Start(p)
			for n := first; n < first+part; n++ {
				writeSpecimen(t, b, actors, n)
				require.NoError(t, p.wait(b.Last()))
			}
			if b.Last() == specimenCommits {
				specimen.files = readFiles(t, dir)
			}
			require.NoError(t, b.Close())
		}
	})
	require.NotEmpty(t, specimen.files)
	return specimen.files
}

func readFiles(t testing.TB, dir string) map[string]file {
	files := map[string]file{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == lockFileName {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files[name] = file{content: bytes.TrimRight(content, "\x00"), length: int64(len(content))}
		return err
	}))
	return files
}

func writeFiles(t testing.TB, dir string, files map[string]file) {
	for name, f := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, f.content, 0o600))
		require.NoError(t, os.Truncate(path, f.length))
	}
}

// damage is what happens to one file.
type damage struct {
	file string
	// mask is applied to the byte at offset; a zero mask cuts the file off there.
	offset int64
	mask   byte
}

func (d damage) apply(t testing.TB, dir string) {
	path := filepath.Join(dir, d.file)
	if d.mask == 0 {
		require.NoError(t, os.Truncate(path, d.offset))
		return
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], d.offset)
	require.NoError(t, err)
	b[0] ^= d.mask
	_, err = f.WriteAt(b[:], d.offset)
	require.NoError(t, err)
}

// survive damages a copy of the specimen, opens it and reads it. It fails the test unless everything is there or an error
// says what is wrong, which it returns.
func survive(t testing.TB, d damage) error {
	dir := t.TempDir()
	writeFiles(t, dir, specimenFiles(t))
	d.apply(t, dir)
	b, err := Open(testOptions(dir))
	if err != nil {
		return err
	}
	defer b.Close()
	count, err := checkSpecimen(b)
	if errors.Is(err, errSilent) {
		t.Fatalf("%+v: %v", d, err)
	}
	if err == nil && count != specimenCommits {
		t.Fatalf("%+v: %d of %d commits are left, without an error", d, count, specimenCommits)
	}
	return err
}

// damages are bits flipped and ends cut off all over a file, densely where it begins and ends.
func damages(name string, f file) []damage {
	n := int64(len(f.content))
	var all []damage
	for i := range int64(32) {
		for _, offset := range []int64{i, n * i / 32, n - 1 - i} {
			if offset >= 0 && offset < n {
				all = append(all, damage{name, offset, 1 << (i % 8)})
			}
		}
		if i%4 == 0 {
			all = append(all, damage{name, n * i / 32, 0}, damage{name, max(0, n-1-i), 0})
		}
	}
	return all
}

func TestBrokenFilesAreNoticed(t *testing.T) {
	t.Parallel()
	for name, f := range specimenFiles(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			noticed := 0
			for _, d := range damages(name, f) {
				if err := survive(t, d); err != nil {
					noticed++
				}
			}
			t.Logf("%d of %d noticed", noticed, len(damages(name, f)))
			switch filepath.Ext(name) {
			case ".sst", ".mem", "":
				if name != "journal/DISCARD" && name != "journal/KEYREGISTRY" {
					require.Positive(t, noticed)
				}
			}
		})
	}
}

func TestMissingFilesAreNoticed(t *testing.T) {
	t.Parallel()
	for name := range specimenFiles(t) {
		dir := t.TempDir()
		writeFiles(t, dir, specimenFiles(t))
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
		b, err := Open(testOptions(dir))
		switch filepath.Base(name) {
		case headFileName, "DISCARD", "KEYREGISTRY", "000001.vlog", "000002.vlog", "000003.vlog": // hold nothing of the log
			require.NoError(t, err, name)
			count, err := checkSpecimen(b)
			require.NoError(t, err, name)
			require.Equal(t, specimenCommits, count, name)
			require.NoError(t, b.Close())
		default:
			require.Error(t, err, name)
			t.Log(err)
		}
	}
}

// The MANIFEST loses its last record, the creation of the second table: Badger then deletes that table. What came before it
// and after it is still there.
func TestALostTableInTheMiddleIsNoticed(t *testing.T) {
	t.Parallel()
	manifest := specimenFiles(t)["journal/"+badger.ManifestFilename]
	err := survive(t, damage{"journal/" + badger.ManifestFilename, int64(len(manifest.content)) - 1, 0})
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, fmt.Sprintf("commits from %d to %d are missing",
		specimenCommits/3+1, 2*specimenCommits/3))
}

func FuzzBrokenFiles(f *testing.F) {
	var names []string
	for name, file := range specimenFiles(f) {
		names = append(names, name)
		f.Add(len(names)-1, int64(len(file.content)/2), byte(1))
	}
	slices.Sort(names)
	f.Fuzz(func(t *testing.T, which int, offset int64, mask byte) {
		name := names[uint(which)%uint(len(names))]
		length := specimenFiles(t)[name].length
		_ = survive(t, damage{name, int64(uint64(offset) % uint64(length)), mask})
	})
}

// Whatever bytes lie under a key, reading them gives a record or an error.
func FuzzEnvelope(f *testing.F) {
	e := &encoded{}
	e.put([]byte("e/key"), rec("body"), noLSN)
	f.Add(e.writes[0].entry.Value, true)
	f.Add([]byte{0x84, 0x07, 1, 0xff, 0xff, 0xff, 0xff, 0x0f}, false)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, value []byte, sealed bool) {
		key := []byte("e/key")
		if sealed && len(value) >= checksumSize { // get past the checksum
			sealEnvelope(key, value, crc32.Checksum(value[:len(value)-checksumSize], castagnoli))
		}
		for _, inbox := range []bool{false, true} {
			e, err := openEnvelope(key, value, inbox)
			if err == nil {
				require.LessOrEqual(t, len(e.rec.Body)+len(e.from), len(value))
			}
		}
	})
}

func FuzzHeadFile(f *testing.F) {
	f.Add(headMark{lsn: 7}.encode())
	f.Add([]byte(headMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeHeadMark(b); err == nil {
			require.Equal(t, b, append(m.encode()[:0:0], m.encode()...))
		}
	})
}
