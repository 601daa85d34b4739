// Package playground runs a small Lightning network on this machine, to look at: a chain of its own, daemons as a user starts
// them, and the commands that a user would type.
package playground

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// patience is how long a step may take.
const patience = time.Minute

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
	lock       *os.File
	unheard    func() // called when nobody reads what is said any more

	chain             *chain
	alice, bob, carol *daemon
}

// Run starts the network, shows what it does the first time, and keeps it until the context ends.
func Run(ctx context.Context, o Options) (err error) {
	// A child is told when the thread that started it ends: one thread starts all of them, and ends with this process.
	runtime.LockOSThread()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A reader that goes away must not take this process with it: the daemons are to be stopped in order.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	p := &playground{o: o, passphrase: filepath.Join(o.Dir, "passphrase"), unheard: cancel}
	if err := p.claim(ctx); err != nil {
		return err
	}
	defer p.lock.Close()
	p.alice, p.bob, p.carol = p.node("alice"), p.node("bob"), p.node("carol")
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := p.play(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	return p.keep(ctx)
}

// claim makes the folder this playground's.
func (p *playground) claim(ctx context.Context) error {
	var err error
	if p.program, err = os.Executable(); err != nil {
		return err
	}
	if err := os.MkdirAll(p.o.Dir, 0o700); err != nil {
		return err
	}
	if p.lock, err = p.claimFolder(ctx); err != nil {
		return err
	}
	return os.WriteFile(p.passphrase, []byte("playground\n"), 0o600)
}

// play brings the network up, and shows what it does if nobody has seen it.
func (p *playground) play(ctx context.Context) error {
	for _, step := range []func(context.Context) error{p.startChain, p.startNodes, p.connect} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	told, err := p.storyWasTold(ctx)
	if err != nil {
		return err
	}
	if told {
		return p.showWhatIsThere(ctx)
	}
	for _, step := range []func(context.Context) error{p.fund, p.openChannels, p.awaitChannels, p.tellStory} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// showWhatIsThere shows the network as it was left.
func (p *playground) showWhatIsThere(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, patience/10)
	defer cancel()
	_ = p.awaitChannels(short) // one that was left closing does not come back
	p.say("\nThe network of the last time goes on: what Alice has, and what she has paid.")
	return errors.Join(p.enter(ctx, p.alice, "channels"), p.enter(ctx, p.alice, "payments"))
}

// keep keeps the network up until the context ends. A daemon that is killed is started again.
func (p *playground) keep(ctx context.Context) error {
	p.invite()
	for {
		var died *daemon
		select {
		case <-ctx.Done():
			return nil
		case err := <-p.chain.failed:
			return err
		case <-p.alice.ended:
			died = p.alice
		case <-p.bob.ended:
			died = p.bob
		case <-p.carol.ended:
			died = p.carol
		}
		if died.cmd.ProcessState.Success() {
			p.say("%s was stopped. Ctrl-C stops the others.", died.name)
			died.ended = nil // which is never ready
			continue
		}
		p.say("%s has died. Starting it again:", died.name)
		if err := p.start(ctx, died); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// stop stops the daemons, and then the chain.
func (p *playground) stop() error {
	p.say("Stopping everything.")
	var stopped error
	daemons := []*daemon{p.alice, p.bob, p.carol}
	for _, d := range daemons {
		d.askToStop()
	}
	for _, d := range daemons {
		stopped = errors.Join(stopped, d.awaitStop())
	}
	if p.chain != nil {
		stopped = errors.Join(stopped, p.chain.stop())
	}
	return stopped
}

// invite says what to try.
func (p *playground) invite() {
	p.say("\nEverything keeps running. In another terminal, in this folder, say who is who,\n")
	for _, d := range []*daemon{p.alice, p.bob, p.carol} {
		p.say("  alias %s='%s --datadir=%s'", d.name, shorten(p.program), shorten(d.dir))
	}
	p.say("\nand try:\n")
	for _, line := range []string{
		"bob invoice 25000sat --memo=cake    # gives a payment request, to be paid with",
		"alice pay lnbcrt250u1...",
		"bob invoices", "alice payments 1", "alice channels", "carol balance",
		"alice pay --keysend KEY --amount=9sat    # KEY: see 'carol getinfo'",
		"alice close CHANNEL --wait               # CHANNEL: see 'alice channels'",
		"alice help",
	} {
		p.say("  %s", line)
	}
	p.say("\nBlocks are mined when transactions wait. A daemon that you kill is restarted.")
	p.say("Logs are in %s/*. Ctrl-C stops everything.", shorten(p.o.Dir))
}
