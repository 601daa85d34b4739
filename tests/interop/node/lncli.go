package node

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"time"

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
