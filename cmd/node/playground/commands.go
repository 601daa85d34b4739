package playground

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// pollInterval is how often something that is waited for is looked at.
const pollInterval = 100 * time.Millisecond

// enter runs a command as a user types it, and shows both, each line when it comes.
func (p *playground) enter(ctx context.Context, d *daemon, args ...string) error {
	p.say("%s", typed(d, args))
	cmd := p.client(ctx, d, args)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		p.say("  %s", lines.Text())
	}
	err = cmd.Wait()
	for line := range strings.Lines(said.String()) {
		p.say("  %s", strings.TrimSuffix(line, "\n"))
	}
	if err != nil {
		return fmt.Errorf("%s$ stormcell %s: %w", d.name, args[0], err)
	}
	return nil
}

// typed is a command line as a user types it, with what is long cut short, in as many lines as a terminal needs.
func typed(d *daemon, args []string) string {
	const width, indent = 80, "      "
	text := d.name + "$ stormcell"
	column := len(text)
	for _, arg := range args {
		arg = cutShort(arg)
		if column+len(" "+arg+" \\") > width {
			text += " \\\n" + indent + arg
			column = len(indent + arg)
			continue
		}
		text += " " + arg
		column += len(" " + arg)
	}
	return text
}

// cutShort cuts payment requests, keys and hashes short.
func cutShort(text string) string { return long.ReplaceAllString(text, "$1...") }

// long is what is cut short, and how much of it is shown.
var long = regexp.MustCompile(`\b(lnbcrt\w{18}|[0-9a-f]{10})\w{50,}`)

// ask runs a command and reads its JSON.
func (p *playground) ask(ctx context.Context, d *daemon, answer any, args ...string) error {
	var said bytes.Buffer
	cmd := p.client(ctx, d, append(args, "--json"))
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %s: %w: %s", d.name, args[0], err, strings.TrimSpace(said.String()))
	}
	return json.Unmarshal(out, answer)
}

func (p *playground) client(ctx context.Context, d *daemon, args []string) *exec.Cmd {
	return exec.CommandContext(ctx, p.program, append(args, "--network=regtest", "--datadir="+d.dir)...)
}

// until waits for a condition, while a process lives.
func (p *playground) until(ctx context.Context, lives *process, condition func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-lives.ended:
			return lives.failure()
		case <-ctx.Done():
			return fmt.Errorf("%s takes too long: %w", lives.name, ctx.Err())
		}
	}
	return nil
}

func (p *playground) say(format string, args ...any) {
	if _, err := fmt.Fprintf(p.o.Out, format+"\n", args...); err != nil {
		p.unheard()
	}
}
