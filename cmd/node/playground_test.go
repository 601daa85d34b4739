package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// playground runs the playground in a folder until it says something, then ends it in some way, and gives what it said.
func playground(t *testing.T, dir, until string, end func(cmd *exec.Cmd, read *os.File)) (said string) {
	t.Helper()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0], "playground")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, write, write
	cmd.Env = append(os.Environ(), beStormcell+"=1", "HOME="+dir)
	require.NoError(t, cmd.Start())
	require.NoError(t, write.Close())
	tooLong := time.AfterFunc(4*patience, func() { _ = cmd.Process.Signal(os.Interrupt) })
	defer tooLong.Stop()
	var all strings.Builder
	lines := bufio.NewScanner(read)
	ended := false
	for lines.Scan() {
		all.WriteString(lines.Text() + "\n")
		if !ended && strings.Contains(lines.Text(), until) {
			ended = true
			end(cmd, read)
		}
	}
	require.NoError(t, cmd.Wait(), all.String())
	require.True(t, ended, all.String())
	return all.String()
}

func TestPlayground(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	interrupt := func(cmd *exec.Cmd, _ *os.File) { require.NoError(t, cmd.Process.Signal(os.Interrupt)) }
	said := playground(t, dir, "Ctrl-C stops both", interrupt)
	require.Contains(t, said, "it connected")
	require.Contains(t, said, "create")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, ".stormcell", left[0].Name())

	// The second time it goes on with the same nodes, and stops when nobody reads any more.
	said = playground(t, dir, "bob$ stormcell unlock", func(_ *exec.Cmd, read *os.File) { require.NoError(t, read.Close()) })
	require.NotContains(t, said, "create")
	for _, name := range []string{"alice", "bob"} {
		require.NoFileExists(t, filepath.Join(dir, ".stormcell/playground", name, "rpc.address"), "it runs still")
	}
}
