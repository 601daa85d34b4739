package persistence

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	badger "github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"
)

// lockFileName is locked while a journal is open. Badger locks its own directory too, but the files are looked at, and
// HEAD is read, before it does.
const lockFileName = "LOCK"

// lockDir takes the lock of dir, which lasts until unlockDir or the end of the process.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockFileName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("%w: %s is locked", ErrInUse, path)
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// unlockDir ends the lock. Closing the file alone would not: a child that is just being forked has the file open too,
// until it runs its program.
func unlockDir(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}

// forkLimit is how long such a child may keep Badger's own lock, which Badger ends by closing its file.
const forkLimit = time.Second

// openDatabase is badger.Open, and ErrInUse when some other program has the database open.
func openDatabase(o badger.Options) (*badger.DB, error) {
	for started := time.Now(); ; time.Sleep(forkLimit / 100) {
		var db *badger.DB
		err := guard(func() (err error) {
			db, err = badger.Open(o)
			return err
		})
		switch {
		case err == nil:
			return db, nil
		case !strings.Contains(err.Error(), "Cannot acquire directory lock"): // Badger gives no error to compare with
			return nil, fmt.Errorf("%s: %w", o.Dir, err)
		case time.Since(started) > forkLimit:
			return nil, fmt.Errorf("%w: %w", ErrInUse, err)
		}
	}
}
