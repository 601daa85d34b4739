package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestErrorsSayWhatToDo: each of them names what is wrong, what helps, and has its exit code.
func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	running, other, locked := newHome(t), newHome(t), newHome(t)
	running.create(t, running.start(t))
	other.create(t, other.start(t))
	locked.start(t)
	at, err := os.ReadFile(filepath.Join(running.dir, "rpc.address"))
	require.NoError(t, err)
	server := "--rpcserver=" + strings.TrimSpace(string(at))

	killed := newHome(t)
	killed.start(t).crash(t)
	// Two networks side by side, as in ~/.stormcell, and a daemon on one of them.
	beside := newHome(t)
	beside.dir = filepath.Join(beside.dir, "signet")
	regtest := &home{dir: filepath.Join(filepath.Dir(beside.dir), "regtest"), listen: "127.0.0.1:0"}
	regtest.start(t)
	// A folder with what a client needs but the macaroon, and one whose macaroon nobody may use.
	keyless := newHome(t)
	copyTo := func(to *home, from *home, name string) {
		text, err := os.ReadFile(filepath.Join(from.dir, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(to.dir, name), text, 0o600))
	}
	copyTo(keyless, running, "tls.cert")

	for name, c := range map[string]struct {
		home *home
		args []string
		code int
		want []string
	}{
		"not running":       {newHome(t), []string{"getinfo"}, 3, []string{"no daemon runs on", "stormcell start", "--datadir"}},
		"killed":            {killed, []string{"getinfo"}, 3, []string{"no daemon answers at 127.0.0.1:", "stormcell start", "log"}},
		"wrong network":     {beside, []string{"getinfo", "--network=signet"}, 3, []string{"/signet", "One runs on regtest: do you mean --network=regtest?"}},
		"wrong directory":   {newHome(t), []string{"getinfo", server}, 3, []string{"certificate", "--datadir"}},
		"another's address": {other, []string{"getinfo", server}, 3, []string{"is not the daemon of", "--datadir", "--tlscert"}},
		"no wallet":         {locked, []string{"getinfo"}, 4, []string{"there is no wallet yet", "stormcell create"}},
		"no macaroon":       {keyless, []string{"getinfo", server}, 5, []string{"there is no macaroon", "--datadir", "--macaroon"}},
		"another's macaroon": {keyless, []string{"getinfo", server, "--macaroon=" + filepath.Join(other.dir, "admin.macaroon")}, 5,
			[]string{"does not accept the macaroon", "admin.macaroon"}},
		"too weak a macaroon": {running, []string{"stop", "--macaroon=" + filepath.Join(running.dir, "readonly.macaroon")}, 5,
			[]string{"permission denied"}},
		"unlocked already": {running, []string{"unlock", "--passphrase-file=-"}, 1, []string{"unlocked already", "getinfo"}},
		"no such channel":  {running, []string{"close", "1x1x1"}, 1, []string{"no open channel 1x1x1", "stormcell channels"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := c.home.run(t, passphrase+"\n", c.args...)
			require.Equal(t, c.code, r.code, r.err)
			require.Empty(t, r.out)
			require.True(t, strings.HasPrefix(r.err, "stormcell: "), r.err)
			for _, want := range c.want {
				require.Contains(t, strings.ReplaceAll(r.err, "\n", " "), want)
			}
		})
	}
}
