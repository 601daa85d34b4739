package newcomer

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long one command may take.
const patience = 30 * time.Minute

// newcomer has a clone of the repository's last commit, and a home where nothing was built before. Only the modules that it
// needs are there already.
type newcomer struct {
	t         *testing.T
	dir, home string
	env       []string
}

func clone(t *testing.T) *newcomer {
	t.Helper()
	base := t.TempDir()
	n := &newcomer{t: t, dir: filepath.Join(base, "stormcell"), home: filepath.Join(base, "home")}
	require.NoError(t, os.Mkdir(n.home, 0o700))
	n.env = append(os.Environ(),
		wanted+"=", "HOME="+n.home, "XDG_CACHE_HOME=", "XDG_CONFIG_HOME=", "GOCACHE="+filepath.Join(base, "cache"),
		"GOFLAGS=-mod=readonly", "MAKEFLAGS=", "MAKELEVEL=")
	for _, kept := range []string{"GOMODCACHE", "GOENV"} {
		value, err := exec.Command("go", "env", kept).Output()
		require.NoError(t, err)
		n.env = append(n.env, kept+"="+strings.TrimSpace(string(value)))
	}
	root, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	require.NoError(t, err)
	said, err := exec.Command("git", "clone", "--quiet", strings.TrimSpace(string(root)), n.dir).CombinedOutput()
	require.NoError(t, err, string(said))
	return n
}

// result is what a command said, how it ended, and what it and its children cost.
type result struct {
	said  string
	ended *os.ProcessState
	cpu   time.Duration
}

// run runs a command that must work, and shows what it says.
func (n *newcomer) run(command []string) result {
	n.t.Helper()
	r := n.watch(command, func(*exec.Cmd, string) {})
	require.True(n.t, r.ended.Success(), "%v: %v", command, r.ended)
	return r
}

// play runs the playground until everything stands, does something meanwhile, and ends it as Ctrl-C in a terminal does.
func (n *newcomer) play(command []string, meanwhile func(said string)) result {
	n.t.Helper()
	ended := false
	r := n.watch(command, func(cmd *exec.Cmd, said string) {
		if ended || !strings.HasSuffix(said, "Ctrl-C stops everything.\n") {
			return
		}
		ended = true
		if meanwhile != nil {
			meanwhile(said)
		}
		require.NoError(n.t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	})
	// make ends by the signal, once the playground has stopped everything.
	require.True(n.t, r.ended.Success() || r.ended.Sys().(syscall.WaitStatus).Signal() == syscall.SIGINT, "%v: %v", command, r.ended)
	n.nothingRuns()
	return r
}

// watch runs a command and calls back with what was said so far, after each line.
func (n *newcomer) watch(command []string, look func(cmd *exec.Cmd, said string)) result {
	n.t.Helper()
	read, write, err := os.Pipe()
	require.NoError(n.t, err)
	defer read.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = n.dir, n.env, write, write
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	began := time.Now()
	require.NoError(n.t, cmd.Start())
	require.NoError(n.t, write.Close())
	n.t.Cleanup(func() {
		if cmd.ProcessState == nil { // the test has failed in the midst of it
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
			_ = cmd.Wait()
		}
	})
	tooLong := time.AfterFunc(patience, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) })
	defer tooLong.Stop()
	var said strings.Builder
	lines := bufio.NewScanner(read)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		fmt.Fprintln(n.t.Output(), lines.Text())
		look(cmd, said.String())
	}
	_ = cmd.Wait() // the caller judges how it ended
	r := result{said.String(), cmd.ProcessState, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	n.t.Logf("%v took %v, and %v of computing", command[:2], time.Since(began).Round(time.Second), r.cpu.Round(time.Second))
	return r
}

// nothingRuns holds that no process of the playground is left: each of them has its lock.
func (n *newcomer) nothingRuns() {
	n.t.Helper()
	lock, err := os.Open(filepath.Join(n.dir, ".stormcell/playground/lock"))
	require.NoError(n.t, err)
	defer lock.Close()
	require.NoError(n.t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), "a process of the playground runs still")
}

// leavesNothing holds that there is nothing new in the clone but what is named, and nothing in the home but Go's own.
func (n *newcomer) leavesNothing(but ...string) {
	n.t.Helper()
	status := exec.Command("git", "status", "--porcelain", "--ignored")
	status.Dir = n.dir
	said, err := status.Output()
	require.NoError(n.t, err)
	var want []string
	for _, folder := range but {
		want = append(want, "!! "+folder+"/")
	}
	require.Equal(n.t, strings.Join(want, "\n"), strings.TrimSpace(string(said)))
	var home []string
	require.NoError(n.t, filepath.WalkDir(n.home, func(path string, d os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(n.home, path); err == nil && !d.IsDir() && !strings.HasPrefix(rel, ".config/go/") && !strings.HasPrefix(rel, ".cache/") {
			home = append(home, rel)
		}
		return err
	}))
	require.Empty(n.t, home)
	require.NoDirExists(n.t, filepath.Join(n.home, ".btcd"))
	require.NoDirExists(n.t, filepath.Join(n.home, ".stormcell"))
}
