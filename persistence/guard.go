package persistence

import (
	"fmt"
	"runtime/debug"
)

// guard runs f and turns a panic into an error: Badger panics on some broken files, and an unreadable sector under its
// memory maps is a fault.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: the database panics: %v", ErrCorrupt, r)
		}
	}()
	return f()
}
