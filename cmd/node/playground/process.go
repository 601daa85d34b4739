package playground

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is a program that runs as long as the playground.
type process struct {
	name  string
	cmd   *exec.Cmd // nil before it was started
	said  tail
	ended chan struct{} // closed at its end
}

// launch starts a program. It does not get the signals of the terminal, but is told to stop when this process dies.
func (p *process) launch(lock *os.File, program string, args ...string) error {
	p.said = nil
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &p.said, &p.said
	cmd.ExtraFiles = []*os.File{lock}
	cmd.SysProcAttr = attached()
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd = cmd
	ended := make(chan struct{})
	p.ended = ended
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	return nil
}

// kill is kill -9.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil {
		return err
	}
	<-p.ended
	return nil
}

func (p *process) askToStop() {
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
}

// awaitStop waits until the process has ended, and kills it if it takes too long.
func (p *process) awaitStop() error {
	if p.cmd == nil || p.ended == nil {
		return nil
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience / 4):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s had to be killed", p.name)
	}
}

// failure says why a process has ended, from the end of what it said.
func (p *process) failure() error {
	said := strings.Split(strings.TrimSpace(string(p.said)), "\n")
	return fmt.Errorf("%s has ended: %s", p.name, strings.Join(said[max(0, len(said)-3):], " "))
}

// tail is the end of what a process said.
type tail []byte

func (t *tail) Write(text []byte) (int, error) {
	const most = 4096
	*t = append(*t, text...)
	*t = append((*t)[:0], (*t)[max(0, len(*t)-most):]...)
	return len(text), nil
}
