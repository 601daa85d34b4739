package ctl

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"stormcell/cmd/node/fault"
)

// minPassphrase is the shortest passphrase in bytes that the daemon takes.
const minPassphrase = 8

// prompt asks the user. Questions go to stderr, so that stdout has the answer alone.
type prompt struct {
	ctx context.Context // of the command: it ends with Ctrl-C
	in  *bufio.Reader
	tty int // file descriptor of stdin if that is a terminal, else -1
	err io.Writer
}

func newPrompt(cmd *cobra.Command) *prompt {
	p := &prompt{ctx: cmd.Context(), in: bufio.NewReader(cmd.InOrStdin()), tty: -1, err: cmd.ErrOrStderr()}
	if f, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.tty = int(f.Fd())
	}
	return p
}

// passphrase reads the passphrase from a file, or asks for it.
func (p *prompt) passphrase(question, file string) ([]byte, error) {
	switch file {
	case "":
		return p.secret(question)
	case "-":
		return p.line()
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.Usage, fmt.Errorf("the passphrase: %w", err), "Check --passphrase-file.")
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	return bytes.TrimSuffix(first, []byte("\r")), nil
}

// newPassphrase is passphrase for one that is chosen now.
func (p *prompt) newPassphrase(file string) ([]byte, error) {
	chosen, err := p.passphrase(fmt.Sprintf("New passphrase (at least %d characters): ", minPassphrase), file)
	if err != nil {
		return nil, err
	}
	if len(chosen) < minPassphrase {
		return nil, fault.New(fault.Usage, errors.New("the passphrase is too short"),
			"Choose one of at least %d characters.", minPassphrase)
	}
	if file != "" || p.tty < 0 {
		return chosen, nil
	}
	again, err := p.secret("Once more: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(chosen, again) {
		return nil, fault.New(fault.Usage, errors.New("the passphrases are not the same"), "Try again.")
	}
	return chosen, nil
}

// seedWords asks for the words of a seed to restore, or has a new one made.
func (p *prompt) seedWords(restore bool, generate func() ([]string, error)) ([]string, error) {
	if !restore {
		return generate()
	}
	fmt.Fprintln(p.err, "The 24 words, with spaces between them, on one line:")
	text, err := p.line()
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(text)), nil
}

// show shows the words of a new seed, and waits until the user has them where there is one.
func (p *prompt) show(words []string) error {
	fmt.Fprintf(p.err, "\nThese words are your wallet. Write them down, in this order, on paper:\n\n")
	const columns = 4
	for i, word := range words {
		fmt.Fprintf(p.err, "  %2d. %-12s", i+1, word)
		if i%columns == columns-1 {
			fmt.Fprintln(p.err)
		}
	}
	fmt.Fprintln(p.err)
	if p.tty < 0 {
		return nil
	}
	fmt.Fprint(p.err, "They are not shown again. Press Enter when you have them: ")
	_, err := p.line()
	return err
}

// confirm asks people whether they mean it. Programs do.
func (p *prompt) confirm(question string) error {
	if p.tty < 0 {
		return nil
	}
	fmt.Fprintf(p.err, "%s [y/N] ", question)
	answer, err := p.line()
	if err != nil {
		return err
	}
	if yes := strings.ToLower(strings.TrimSpace(string(answer))); yes != "y" && yes != "yes" {
		return errNotConfirmed
	}
	return nil
}

// secret asks for a line that is not shown on a terminal.
func (p *prompt) secret(question string) ([]byte, error) {
	if p.tty < 0 {
		return p.line()
	}
	before, err := term.GetState(p.tty)
	if err != nil {
		return nil, err
	}
	fmt.Fprint(p.err, question)
	defer fmt.Fprintln(p.err)
	typed, err := p.await(func() ([]byte, error) { return term.ReadPassword(p.tty) })
	if p.ctx.Err() != nil {
		_ = term.Restore(p.tty, before) // the reader still waits, and would leave the terminal silent
	}
	return typed, err
}

func (p *prompt) line() ([]byte, error) {
	text, err := p.await(func() ([]byte, error) { return p.in.ReadBytes('\n') })
	if errors.Is(err, errInterrupted) {
		return nil, err
	}
	if err != nil && (err != io.EOF || len(text) == 0) {
		return nil, fault.New(fault.Usage, errors.New("there is nothing to read on stdin"),
			"Run this in a terminal, or say --passphrase-file.")
	}
	return bytes.TrimRight(text, "\r\n"), nil
}

var (
	errInterrupted  = errors.New("interrupted")
	errNotConfirmed = errors.New("nothing was done")
)

// await reads what the user types, until they give up.
func (p *prompt) await(read func() ([]byte, error)) ([]byte, error) {
	type result struct {
		typed []byte
		err   error
	}
	results := make(chan result, 1)
	go func() {
		typed, err := read()
		results <- result{typed, err}
	}()
	select {
	case r := <-results:
		return r.typed, r.err
	case <-p.ctx.Done():
		return nil, errInterrupted
	}
}
