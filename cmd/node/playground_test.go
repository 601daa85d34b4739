package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// playground runs the playground in a folder until it says something, then ends it in some way, and gives what it said.
func playground(t *testing.T, dir, btcd, until string, end func(cmd *exec.Cmd, read *os.File)) (said string) {
	t.Helper()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0], "playground")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, write, write
	cmd.Env = append(os.Environ(), beStormcell+"=1", "HOME="+dir, "PATH="+filepath.Dir(btcd)+":"+os.Getenv("PATH"))
	require.NoError(t, cmd.Start())
	require.NoError(t, write.Close())
	tooLong := time.AfterFunc(10*patience, func() { _ = cmd.Process.Signal(os.Interrupt) })
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
	err = cmd.Wait()
	require.True(t, ended, all.String())
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() {
		require.NoError(t, err, all.String())
	}
	return all.String()
}

// buildBtcd builds the btcd that the tests against other programs use too.
func buildBtcd(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "btcd")
	build := exec.Command("go", "build", "-o", path, "github.com/btcsuite/btcd")
	build.Dir = filepath.Join("..", "..", "tests", "interop")
	said, err := build.CombinedOutput()
	require.NoError(t, err, "the playground needs btcd, which cannot be built from its module: %s", said)
	return path
}

// TestPlayground sees the whole story, and goes on with the same network after each way to end.
func TestPlayground(t *testing.T) {
	t.Parallel()
	btcd, dir := buildBtcd(t), t.TempDir()
	interrupt := func(cmd *exec.Cmd, _ *os.File) { require.NoError(t, cmd.Process.Signal(os.Interrupt)) }
	said := playground(t, dir, btcd, "Ctrl-C stops everything", interrupt)
	require.Contains(t, said, "paid 1,200,000 sat in 3 parts, fee 0 sat")
	_, afterwards, killed := strings.Cut(said, "Bob's process is killed with kill -9.")
	require.True(t, killed, said)
	require.Contains(t, afterwards, "goes on with the payment when it runs again")
	require.Contains(t, afterwards, "paid 1,000,000 sat in 2 parts, fee 0 sat")
	require.Equal(t, 3, strings.Count(said, "openchannel"))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, ".stormcell", left[0].Name())

	// The second time it goes on with the same nodes and payments. When it is killed itself, they stop by themselves.
	said = playground(t, dir, btcd, "Ctrl-C stops everything", func(cmd *exec.Cmd, _ *os.File) {
		require.NoError(t, cmd.Process.Kill())
	})
	require.NotContains(t, said, "create")
	require.NotContains(t, said, "openchannel")
	require.Contains(t, said, "1  paid")

	// The next one waits for that, and stops when nobody reads any more.
	said = playground(t, dir, btcd, "bob$ stormcell unlock", func(_ *exec.Cmd, read *os.File) { require.NoError(t, read.Close()) })
	require.NotContains(t, said, "create")
	for _, name := range []string{"alice", "bob", "carol"} {
		require.NoFileExists(t, filepath.Join(dir, ".stormcell/playground", name, "rpc.address"), "it runs still")
	}
}

// TestPlaygroundWithoutBtcd says what is missing.
func TestPlaygroundWithoutBtcd(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	cmd := command(h, "playground", "--dir="+filepath.Join(h.dir, "playground"))
	cmd.Env = append(cmd.Env, "PATH="+h.dir)
	r := finish(t, cmd, "")
	require.Equal(t, 1, r.code, r.err)
	require.Contains(t, r.err, "needs btcd")
	require.Contains(t, r.err, "make run")
}
