package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/stretchr/testify/require"
)

// profile writes CPU profiles of a pair while f runs, if they are wanted, to files that have the number of payments at once in
// their names.
func (p *pair) profile(o options, atOnce int, f func() *cell) *cell {
	if o.profiles == "" || p.members[0].profiler == "" {
		return f()
	}
	done := make(chan error, len(p.members))
	for i, m := range p.members {
		path := filepath.Join(o.profiles, fmt.Sprintf("%d-channels-%d-at-once-node-%d.pprof", p.channels, atOnce, i+1))
		go func() { done <- fetchProfile(m.profiler, o.each, path) }()
	}
	c := f()
	for range p.members {
		require.NoError(p.host, <-done)
	}
	return c
}

func fetchProfile(address string, d time.Duration, path string) error {
	answer, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", address, max(int(d.Seconds()), 1)))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(file, answer.Body)
	return err
}
