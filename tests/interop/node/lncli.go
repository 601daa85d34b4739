package node

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
)

// cliPatience is how long a call of lncli may take.
const cliPatience = time.Minute

// Lncli runs lncli against the node, and gives what it prints and what it complains of, if it fails.
func (l *Lightning) Lncli(args ...string) (printed, complaint string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), cliPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, l.lncliPath(), append(l.lncliFlags(), args...)...)
	cmd.Env = append(os.Environ(), "HOME="+l.t.TempDir())
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	require.NoError(l.t, ctx.Err(), "lncli %s has no end with %s: %s%s", strings.Join(args, " "), l, &out, &errs)
	if err != nil {
		return out.String(), strings.TrimSpace(errs.String() + out.String())
	}
	return out.String(), ""
}

func (l *Lightning) lncliPath() string {
	l.t.Helper()
	path, err := lncli()
	require.NoError(l.t, err)
	return path
}

func (l *Lightning) lncliFlags() []string {
	return []string{
		"--rpcserver=" + l.api, "--tlscertpath=" + l.certificate, "--macaroonpath=" + l.macaroon, "--network=regtest",
	}
}

// Line is something that lncli asks for at a terminal, and the answer.
type Line struct{ Prompt, Answer string }

// LncliAtTerminal runs lncli as somebody at a terminal does, and gives all that is on the screen in the end.
func (l *Lightning) LncliAtTerminal(dialogue []Line, args ...string) string {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), cliPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, l.lncliPath(), append(l.lncliFlags(), args...)...)
	cmd.Env = append(os.Environ(), "HOME="+l.t.TempDir())
	terminal, err := pty.Start(cmd)
	require.NoError(l.t, err)
	defer terminal.Close()
	var screen strings.Builder
	seen, buffer := 0, make([]byte, 4096)
	for {
		n, err := terminal.Read(buffer)
		screen.Write(buffer[:n])
		for len(dialogue) > 0 && strings.Contains(screen.String()[seen:], dialogue[0].Prompt) {
			seen = screen.Len()
			_, err := terminal.WriteString(dialogue[0].Answer + "\n")
			require.NoError(l.t, err)
			dialogue = dialogue[1:]
		}
		if err != nil { // the program has ended, and with it the terminal
			break
		}
	}
	require.NoError(l.t, cmd.Wait(), "%s", &screen)
	require.Empty(l.t, dialogue, "%s", &screen)
	return screen.String()
}
