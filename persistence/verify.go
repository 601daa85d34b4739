package persistence

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"
)

// What is checked before Badger opens the files, and why. Badger opens tables in goroutines of its own, where a panic ends
// the process; it leaves out a table with a broken checksum; it takes a directory without MANIFEST for a new one and
// deletes the tables in it; and its compaction drops the rest of a table behind a block that it cannot read. So the tables
// are checked before it runs. It also cuts off the MANIFEST and each write-ahead log behind their first broken record:
// that is right after a power cut, and what is lost otherwise is found by spans.go and headfile.go.

// checkFiles checks the layout of the database's directory and its tables: every block of them if they have at most
// fullUpTo bytes in all, else only what Badger needs to open them; full says which.
func checkFiles(opts badger.Options, fullUpTo uint64) (full bool, err error) {
	manifest, err := os.Open(filepath.Join(opts.Dir, badger.ManifestFilename))
	if errors.Is(err, os.ErrNotExist) {
		return true, checkNew(opts.Dir)
	}
	if err != nil {
		return false, err
	}
	defer manifest.Close()
	var listed badger.Manifest
	err = guard(func() (err error) {
		listed, _, err = badger.ReplayManifestFile(manifest, opts.ExternalMagicVersion, opts)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("%w: %s: %w", ErrCorrupt, manifest.Name(), err)
	}
	var size uint64
	for id := range listed.Tables {
		info, err := os.Stat(table.NewFilename(id, opts.Dir))
		if err != nil {
			return false, fmt.Errorf("%w: table %d is missing: %w", ErrCorrupt, id, err)
		}
		size += uint64(info.Size())
	}
	full = size <= fullUpTo
	for _, id := range slices.Sorted(maps.Keys(listed.Tables)) {
		path := table.NewFilename(id, opts.Dir)
		err := guard(func() error { return checkTable(path, listed.Tables[id].Compression, opts.BlockSize, full) })
		if err != nil {
			return false, brokenTable(path, err)
		}
	}
	return full, nil
}

func brokenTable(path string, err error) error {
	if !errors.Is(err, ErrCorrupt) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return fmt.Errorf("table %s does not verify: %w", path, err)
}

// checkNew accepts a directory in which Badger may create a database.
func checkNew(dir string) error {
	for _, pattern := range []string{"*.sst", "*.mem", "*.vlog"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return fmt.Errorf("%w: %s is there, but no %s", ErrCorrupt, found[0], badger.ManifestFilename)
		}
	}
	return nil
}

func checkTable(path string, compression options.CompressionType, blockSize int, full bool) error {
	file, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	mode := options.OnBlockRead
	if full {
		mode = options.OnTableAndBlockRead
	}
	t, err := table.OpenTable(file, table.Options{
		ReadOnly: true, ChkMode: mode, Compression: compression, BlockSize: blockSize,
	})
	if err != nil {
		return err
	}
	return t.Close(-1)
}

// verifyTables checks every block of every table of the open database. It stops early when the journal closes.
func (b *Badger) verifyTables() error {
	started, opts := time.Now(), b.db.Opts()
	for _, info := range b.db.Tables() {
		select {
		case <-b.closing:
			return nil
		default:
		}
		path := table.NewFilename(info.ID, opts.Dir)
		err := guard(func() error { return checkTable(path, opts.Compression, opts.BlockSize, true) })
		if err != nil && b.hasTable(info.ID) { // else compaction has just deleted it
			return brokenTable(path, err)
		}
	}
	b.log.Debug("journal tables verified", "took", time.Since(started))
	return nil
}

func (b *Badger) hasTable(id uint64) bool {
	return slices.ContainsFunc(b.db.Tables(), func(t badger.TableInfo) bool { return t.ID == id })
}

// keepVerifying checks the tables now, if that is still to be done, and then at intervals. What it finds broken fails the
// journal: its listener hears of it as of a failed write.
func (b *Badger) keepVerifying(now bool, every time.Duration) {
	defer b.readers.Done()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if now {
			if err := b.verifyTables(); err != nil {
				b.breakDown(err)
				return
			}
		}
		now = true
		select {
		case <-ticker.C:
		case <-b.closing:
			return
		}
	}
}
