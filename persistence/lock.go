package persistence

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockFileName is locked while a journal is open. Badger locks its own directory too, but the files are looked at, and
// HEAD is read, before it does.
const lockFileName = "LOCK"

// lockDir takes the lock of dir, which lasts until the file is closed or the process ends.
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
