package persistence

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// databaseDir is the database, in the journal's directory.
const databaseDir = "journal"

// Options says how to open a journal. The zero value of each but Dir is sensible.
type Options struct {
	// Dir holds the journal: the database in Dir/journal, and the files HEAD and LOCK. It is created when missing.
	Dir string
	// Logger defaults to slog.Default().
	Logger *slog.Logger
	// FreeSpaceFloor in bytes defaults to DefaultFreeSpaceFloor.
	FreeSpaceFloor uint64
	// AcceptLoss opens a journal that has lost its newest acknowledged commits, or whose HEAD file is broken or belongs to
	// another journal. It is for an operator who has read the error and decided.
	AcceptLoss bool
	// ConfirmMove says that a journal found elsewhere than it recorded was moved, and that no other copy of it was used: that
	// is no doubt, or is none any more.
	ConfirmMove bool
	// Restored says that the journal is an old copy: that is a doubt.
	Restored bool
	// VerifyUpTo is the size of the tables in bytes (default 1 GiB) up to which every block is checked before the journal
	// opens. A larger journal is checked in the background once it is open, and fails if a table is broken.
	VerifyUpTo uint64
	// VerifyEvery is how often an open journal checks its tables; the default is a day.
	VerifyEvery time.Duration
	// Synced, when set, hears how long each sync took. It must be quick.
	Synced func(took time.Duration)

	hooks hooks
}

// hooks are what tests replace.
type hooks struct {
	freeSpace func(dir string) (uint64, error)
	sync      func(*badger.DB) error
	tune      func(badger.Options) badger.Options
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.FreeSpaceFloor == 0 {
		o.FreeSpaceFloor = DefaultFreeSpaceFloor
	}
	if o.VerifyUpTo == 0 {
		o.VerifyUpTo = 1 << 30
	}
	if o.VerifyEvery == 0 {
		o.VerifyEvery = 24 * time.Hour
	}
	if o.hooks.freeSpace == nil {
		o.hooks.freeSpace = freeSpace
	}
	if o.hooks.sync == nil {
		o.hooks.sync = (*badger.DB).Sync
	}
	if o.hooks.tune == nil {
		o.hooks.tune = func(b badger.Options) badger.Options { return b }
	}
	return o
}

// badger gives the options of the database.
//
// The write-ahead log is synced by the writer, once per batch, because SyncWrites syncs once per transaction. A memtable
// of 16 MiB writes less to the device per sync than the default of 64. No value reaches the threshold of 1 MiB (see
// pieces.go), so the value log stays empty and its file small. Most of what is stored is keys, hashes and signatures,
// which do not compress: without compression a block is read in place and needs no cache. Nothing reads and writes in one
// transaction, so there are no conflicts to detect.
func (o Options) badger() badger.Options {
	return o.hooks.tune(badger.DefaultOptions(filepath.Join(o.Dir, databaseDir)).
		WithLogger(badgerLog{o.Logger}).
		WithSyncWrites(false).
		WithDetectConflicts(false).
		WithNumVersionsToKeep(1).
		WithMetricsEnabled(false).
		WithMemTableSize(memtableSize).
		WithValueThreshold(1 << 20).
		WithValueLogFileSize(1 << 20).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithChecksumVerificationMode(options.OnBlockRead))
}

// badgerLog passes on what Badger logs. Its Info is about its own workings, which is Debug to us.
type badgerLog struct{ to *slog.Logger }

func (l badgerLog) Errorf(f string, args ...any)   { l.log(slog.LevelError, f, args) }
func (l badgerLog) Warningf(f string, args ...any) { l.log(slog.LevelWarn, f, args) }
func (l badgerLog) Infof(f string, args ...any)    { l.log(slog.LevelDebug, f, args) }
func (l badgerLog) Debugf(string, ...any)          {}

func (l badgerLog) log(level slog.Level, format string, args []any) {
	if !l.to.Enabled(context.Background(), level) {
		return
	}
	l.to.Log(context.Background(), level, strings.TrimSpace(fmt.Sprintf(format, args...)), "from", "badger")
}
