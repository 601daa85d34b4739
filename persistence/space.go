package persistence

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Badger writes through memory maps of files with holes: on a full disk that is a SIGBUS, not an error. So the journal
// stops while there is still room for what Badger does in the background.

// DefaultFreeSpaceFloor is the free space in bytes below which the journal neither opens nor writes. A batch is 2.5 MB at
// most, and flushing and compaction write some 100 MB before they delete what they replace.
const DefaultFreeSpaceFloor = 256 << 20

// freeSpace is the space in bytes that is left to this process on the file system of dir.
func freeSpace(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil
}

// checkSpace is cheap enough (under a microsecond) to run before every batch.
func checkSpace(dir string, floor uint64, free func(string) (uint64, error)) error {
	left, err := free(dir)
	if err != nil {
		return err
	}
	if left < floor {
		return fmt.Errorf("%w: %s has %d MiB left, the journal needs %d MiB", ErrDiskFull, dir, left>>20, floor>>20)
	}
	return nil
}
