package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// host is to the helpers that start nodes what a test is: it ends the measurement when something fails, and cleans up.
type host struct {
	testing.TB // of which nothing is used but what is below
	ctx        context.Context
	dir        string

	mu       sync.Mutex
	dirs     int
	said     []string
	cleanups []func()
}

// failed is what a panic of FailNow carries.
type failed struct{}

// measure does something that fails as a test does, and cleans up after it. When ctx ends, so does the program.
func measure(ctx context.Context, in string, f func(*host)) (err error) {
	dir, err := os.MkdirTemp(in, "stormcell-bench-")
	if err != nil {
		return err
	}
	h := &host{ctx: ctx, dir: dir}
	stop := context.AfterFunc(ctx, func() {
		h.cleanUp()
		os.Exit(1)
	})
	defer func() {
		if !stop() {
			select {} // the program ends
		}
		if problem := recover(); problem != nil {
			if _, ok := problem.(failed); !ok {
				h.cleanUp()
				panic(problem)
			}
			err = fmt.Errorf("%v", h.said)
		}
		h.cleanUp()
	}()
	f(h)
	return nil
}

func (h *host) cleanUp() {
	h.mu.Lock()
	cleanups := h.cleanups
	h.cleanups = nil
	h.mu.Unlock()
	for i := len(cleanups) - 1; i >= 0; i-- {
		cleanups[i]()
	}
	_ = os.RemoveAll(h.dir)
}

// Helper implements testing.TB.
func (h *host) Helper() {}

// Name implements testing.TB.
func (h *host) Name() string { return "bench" }

// Context implements testing.TB.
func (h *host) Context() context.Context { return h.ctx }

// Cleanup implements testing.TB.
func (h *host) Cleanup(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cleanups = append(h.cleanups, f)
}

// TempDir implements testing.TB.
func (h *host) TempDir() string {
	h.mu.Lock()
	h.dirs++
	dir := filepath.Join(h.dir, strconv.Itoa(h.dirs))
	h.mu.Unlock()
	if err := os.Mkdir(dir, 0o700); err != nil {
		h.Errorf("%v", err)
		h.FailNow()
	}
	return dir
}

// Errorf implements testing.TB.
func (h *host) Errorf(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, fmt.Sprintf(format, args...))
}

// Failed implements testing.TB. What is interrupted has not failed.
func (h *host) Failed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.said) > 0 && h.ctx.Err() == nil
}

// FailNow implements testing.TB.
func (h *host) FailNow() { panic(failed{}) }

// Logf implements testing.TB.
func (h *host) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
