// Package playground runs a small network on this machine, to look at: daemons as a user starts them, and the commands that
// a user would type. There is no chain in it yet, and so no channels.
package playground

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// patience is how long a step may take.
const patience = 30 * time.Second

// Options of a playground.
type Options struct {
	// Dir holds everything; it is made when missing. A playground that was there before goes on.
	Dir string
	Out io.Writer
}

// playground is a network under way.
type playground struct {
	o          Options
	program    string // this one
	passphrase string // file
	unheard    func() // called when nobody reads what is said any more
}

// daemon is one node of the network.
type daemon struct {
	name, dir string
	listen    string // for peers; a port of its own choice at first
	cmd       *exec.Cmd
	said      bytes.Buffer
	ended     chan struct{}
}

// Run starts the network, shows what it does, and keeps it until the context ends.
func Run(ctx context.Context, o Options) (err error) {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A reader that goes away must not take this process with it: the daemons would stay.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	p := &playground{o: o, program: program, passphrase: filepath.Join(o.Dir, "passphrase"), unheard: cancel}
	if err := os.WriteFile(p.passphrase, []byte("playground\n"), 0o600); err != nil {
		return err
	}
	alice, bob := p.node("alice"), p.node("bob")
	defer func() {
		p.say("Stopping both.")
		err = errors.Join(err, alice.stop(), bob.stop())
	}()
	if err := p.show(ctx, alice, bob); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	p.invite(alice, bob)
	select {
	case <-ctx.Done():
		return nil
	case <-alice.ended:
		return alice.failure()
	case <-bob.ended:
		return bob.failure()
	}
}

// show plays the story.
func (p *playground) show(ctx context.Context, alice, bob *daemon) error {
	p.say("Starting two nodes on regtest, in %s.\n", shorten(p.o.Dir))
	for _, d := range []*daemon{alice, bob} {
		if err := p.start(ctx, d); err != nil {
			return err
		}
	}
	uri, key, err := p.identity(ctx, bob)
	if err != nil {
		return err
	}
	p.say("\nAlice connects to Bob, and stays connected from now on:")
	if err := p.enter(ctx, alice, "connect", "--perm", uri); err != nil {
		return err
	}
	if err := p.connected(ctx, alice, key, true); err != nil {
		return err
	}
	if err := p.enter(ctx, alice, "peers"); err != nil {
		return err
	}

	p.say("\nNow Bob's process is killed with kill -9, and started again:")
	if err := bob.cmd.Process.Kill(); err != nil {
		return err
	}
	<-bob.ended
	if err := p.connected(ctx, alice, key, false); err != nil {
		return err
	}
	p.say("Alice has noticed.")
	if err := p.start(ctx, bob); err != nil {
		return err
	}
	p.say("Alice tries again by herself, after a second, two, four ...")
	if err := p.connected(ctx, alice, key, true); err != nil {
		return err
	}
	return p.enter(ctx, bob, "peers")
}

// invite says what to try.
func (p *playground) invite(alice, bob *daemon) {
	p.say("\nBoth keep running. In another terminal, try:\n")
	for _, line := range []string{
		p.line(alice, "getinfo"), p.line(alice, "peers"), p.line(bob, "getinfo --json"), p.line(bob, "stop"),
		shorten(p.program) + " help",
	} {
		p.say("  %s", line)
	}
	p.say("\nTheir logs are in the same folders. Ctrl-C stops both.")
}

func (p *playground) node(name string) *daemon {
	return &daemon{name: name, dir: filepath.Join(p.o.Dir, name), listen: "127.0.0.1:0", ended: make(chan struct{})}
}

// start starts a daemon, and makes or unlocks its wallet.
func (p *playground) start(ctx context.Context, d *daemon) error {
	d.said.Reset()
	d.ended = make(chan struct{})
	d.cmd = exec.Command(p.program, "start", "--network=regtest", "--datadir="+d.dir,
		"--listen="+d.listen, "--rpclisten=127.0.0.1:0")
	d.cmd.Stderr = &d.said
	p.say("%s$ stormcell start", d.name)
	if err := d.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = d.cmd.Wait()
		close(d.ended)
	}()
	var state struct{ State string }
	err := p.until(ctx, d, func() bool { return p.ask(ctx, d, &state, "state") == nil })
	if err != nil {
		return err
	}
	if state.State == "NON_EXISTING" {
		return p.enter(ctx, d, "create", "--passphrase-file="+shorten(p.passphrase),
			"--words-out="+shorten(filepath.Join(d.dir, "words")))
	}
	return p.enter(ctx, d, "unlock", "--passphrase-file="+shorten(p.passphrase))
}

// identity asks a node who it is: key@host:port, and the key.
func (p *playground) identity(ctx context.Context, d *daemon) (uri, key string, err error) {
	var info struct {
		Key  string `json:"identity_pubkey"`
		URIs []string
	}
	if err := p.ask(ctx, d, &info, "getinfo"); err != nil {
		return "", "", err
	}
	if len(info.URIs) == 0 {
		return "", "", fmt.Errorf("%s does not say where it is", d.name)
	}
	_, d.listen, _ = strings.Cut(info.URIs[0], "@") // where it comes back
	return info.URIs[0], info.Key, nil
}

// connected waits until a node lists another as a peer, or does not.
func (p *playground) connected(ctx context.Context, d *daemon, key string, want bool) error {
	return p.until(ctx, d, func() bool {
		var answer struct {
			Peers []struct {
				Key string `json:"pub_key"`
			}
		}
		if p.ask(ctx, d, &answer, "peers") != nil {
			return false
		}
		found := false
		for _, peer := range answer.Peers {
			found = found || peer.Key == key
		}
		return found == want
	})
}

// until waits for a condition, while the daemon lives.
func (p *playground) until(ctx context.Context, d *daemon, condition func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-d.ended:
			return d.failure()
		case <-ctx.Done():
			return fmt.Errorf("%s takes too long: %w", d.name, ctx.Err())
		}
	}
	return nil
}

// enter runs a command as a user types it, and shows both.
func (p *playground) enter(ctx context.Context, d *daemon, args ...string) error {
	p.say("%s$ stormcell %s", d.name, strings.Join(args, " "))
	out, err := p.command(ctx, d, args...)
	for line := range strings.Lines(out) {
		p.say("  %s", strings.TrimRight(line, "\n"))
	}
	return err
}

// ask runs a command and reads its JSON.
func (p *playground) ask(ctx context.Context, d *daemon, answer any, args ...string) error {
	out, err := p.command(ctx, d, append(args, "--json")...)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(out), answer)
}

func (p *playground) command(ctx context.Context, d *daemon, args ...string) (string, error) {
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, p.program, append(args, "--network=regtest", "--datadir="+d.dir)...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return out.String(), nil
}

// line is a command as a user types it.
func (p *playground) line(d *daemon, args string) string {
	return fmt.Sprintf("%s --datadir=%s %s", shorten(p.program), shorten(d.dir), args)
}

func (p *playground) say(format string, args ...any) {
	if _, err := fmt.Fprintf(p.o.Out, format+"\n", args...); err != nil {
		p.unheard()
	}
}

// stop asks the daemon to stop, and waits until it has.
func (d *daemon) stop() error {
	if d.cmd == nil || d.cmd.Process == nil {
		return nil
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
		return nil
	case <-time.After(patience):
		_ = d.cmd.Process.Kill()
		<-d.ended
		return fmt.Errorf("%s had to be killed", d.name)
	}
}

// failure says why a daemon has ended, from the end of what it said.
func (d *daemon) failure() error {
	if d.cmd.ProcessState.Success() {
		return nil
	}
	said := strings.Split(strings.TrimSpace(d.said.String()), "\n")
	return fmt.Errorf("%s has ended: %s", d.name, strings.Join(said[max(0, len(said)-3):], " "))
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
