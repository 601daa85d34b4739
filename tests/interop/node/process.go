package node

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a program that a test runs, stops and starts again. What it says goes to a file.
type process struct {
	path string
	args []string
	env  []string // besides the test's own

	t     testing.TB
	said  string // path of the file
	cmd   *exec.Cmd
	ended chan struct{} // closed when the present cmd has ended
}

func newProcess(t testing.TB, path string, args ...string) *process {
	t.Helper()
	return &process{path: path, args: args, t: t, said: filepath.Join(t.TempDir(), "output")}
}

// start runs the program. It ends with the test, which shows the end of what it said if it fails.
func (p *process) start() {
	p.t.Helper()
	output, err := os.OpenFile(p.said, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(p.t, err)
	defer output.Close()
	if p.cmd == nil {
		p.t.Cleanup(p.cleanUp)
	}
	p.cmd = exec.Command(p.path, p.args...)
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = output, output
	p.cmd.SysProcAttr = attached()
	require.NoError(p.t, p.cmd.Start())
	cmd, ended := p.cmd, make(chan struct{})
	p.ended = ended
	go func() {
		_ = cmd.Wait() // how it ended is in its state
		close(ended)
	}()
}

// Pid is the process's id.
func (p *process) Pid() int { return p.cmd.Process.Pid }

// running tells whether the program has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends the program as a power cut would, if it runs.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
}

// interrupt asks the program to stop, and fails the test if it does not or does not do so well.
func (p *process) interrupt(patience time.Duration) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGINT))
	select {
	case <-p.ended:
		require.Zero(p.t, p.cmd.ProcessState.ExitCode(), "%s stopped badly", filepath.Base(p.path))
	case <-time.After(patience):
		require.FailNow(p.t, "the program does not stop", p.path)
	}
}

func (p *process) cleanUp() {
	p.kill()
	if !p.t.Failed() {
		return
	}
	const shown = 60_000
	if output, err := os.ReadFile(p.said); err == nil {
		p.t.Logf("the end of what %s said:\n%s", filepath.Base(p.path), output[max(0, len(output)-shown):])
	}
}

// terminate sends SIGTERM, once or more often, and gives how the program ended and how long that took.
func (p *process) terminate(times int, patience time.Duration) (*os.ProcessState, time.Duration) {
	p.t.Helper()
	began := time.Now()
	for range times {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended after the first
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		require.FailNow(p.t, "the program does not stop", p.path)
	}
	return p.cmd.ProcessState, time.Since(began)
}
