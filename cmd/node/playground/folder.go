package playground

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"stormcell/cmd/node/fault"
)

// claimFolder locks the folder. The lock is handed to every process of the playground, so that it lasts as long as the last
// one: after a kill -9 of this process the next playground waits until the daemons of the last one have stopped.
func (p *playground) claimFolder(ctx context.Context) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(p.o.Dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(patience / 4)
	for said := false; ; said = true {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return lock, nil
		}
		if !said {
			p.say("Waiting for another playground in %s to end.", shorten(p.o.Dir))
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) {
			return nil, fault.New(fault.Failed, errors.Join(fmt.Errorf("another playground runs in %s: %w", p.o.Dir, err), lock.Close()),
				"Stop it with Ctrl-C, or say another folder with --dir.")
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), lock.Close())
		case <-time.After(pollInterval):
		}
	}
}

// shorten gives a path as seen from here, where that is shorter.
func shorten(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}
