package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stormcell/messages/lnrpc"
)

// sees waits until one node lists the other as a peer, or does not.
func (h *home) sees(t *testing.T, want bool, other string) {
	t.Helper()
	client, ctx := lnrpc.NewLightningClient(h.dial(t)), h.admin(t)
	require.Eventually(t, func() bool {
		answer, err := client.ListPeers(ctx, &lnrpc.ListPeersRequest{})
		require.NoError(t, err)
		for _, p := range answer.Peers {
			if p.PubKey == other {
				return want
			}
		}
		return !want
	}, patience, 10*time.Millisecond)
}

func TestPeersComeBackAfterKill(t *testing.T) {
	t.Parallel()
	alice, bob := newHome(t), newHome(t)
	alice.create(t, alice.start(t))
	bobRuns := bob.start(t)
	bob.create(t, bobRuns)
	a, b := alice.info(t), bob.info(t)

	require.Contains(t, alice.ok(t, "", "connect", "--perm", b.Uris[0]), "staying connected")
	alice.sees(t, true, b.IdentityPubkey)
	bob.sees(t, true, a.IdentityPubkey)
	require.Contains(t, bob.ok(t, "", "peers"), a.IdentityPubkey)
	require.Equal(t, uint32(1), alice.info(t).NumPeers)

	bobRuns.crash(t)
	alice.sees(t, false, b.IdentityPubkey)
	bob.start(t)
	bob.unlock(t)
	alice.sees(t, true, b.IdentityPubkey)
	bob.sees(t, true, a.IdentityPubkey)

	require.Contains(t, alice.ok(t, "", "disconnect", b.IdentityPubkey), "disconnected")
	alice.sees(t, false, b.IdentityPubkey)
	require.Contains(t, bob.ok(t, "", "connect", a.Uris[0]), "connected")
	alice.sees(t, true, b.IdentityPubkey)
}

func TestStopsOnSignals(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": os.Interrupt} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alice, bob := newHome(t), newHome(t)
			p := alice.start(t)
			alice.create(t, p)
			bob.create(t, bob.start(t))
			alice.ok(t, "", "connect", bob.info(t).Uris[0])

			began := time.Now()
			require.NoError(t, p.cmd.Process.Signal(signal))
			code, said := p.wait(t)
			require.Less(t, time.Since(began), 5*time.Second)
			require.Zero(t, code, said)
			p.waitFor(t, "stopped")
			require.NoFileExists(t, filepath.Join(alice.dir, "rpc.address"))
			bob.sees(t, false, "")
		})
	}
}

func TestStartRefusals(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()

	badFile := newHome(t)
	write := func(text string) *home {
		f := newHome(t)
		require.NoError(t, os.WriteFile(filepath.Join(f.dir, "stormcell.toml"), []byte(text), 0o600))
		return f
	}
	for name, c := range map[string]struct {
		home *home
		args []string
		code int
		want []string // in what it says
	}{
		"same directory twice":   {h, nil, 6, []string{"in use by another process", "--datadir"}},
		"another network":        {h, []string{"--network=signet"}, 6, []string{"a node on regtest, not signet", "--network=regtest"}},
		"disk nearly full":       {badFile, []string{"--minfreespace=1000000000"}, 6, []string{"MiB left", "--minfreespace"}},
		"not a directory":        {newHome(t), []string{"--datadir=/dev/null/x"}, 6, []string{"data directory"}},
		"address of peers taken": {newHome(t), []string{"--listen=" + taken.Addr().String()}, 1, []string{"address already in use", "--listen"}},
		"address of API taken":   {newHome(t), []string{"--rpclisten=" + taken.Addr().String()}, 1, []string{"address already in use", "--rpclisten"}},
		"unknown flag":           {newHome(t), []string{"--lisen=x"}, 2, []string{"unknown flag", "start --help"}},
		"unknown network":        {newHome(t), []string{"--network=moon"}, 2, []string{`no network "moon"`, "regtest"}},
		"bad address":            {newHome(t), []string{"--listen=9735"}, 2, []string{`"9735" is not host:port`}},
		"bad level":              {newHome(t), []string{"--debuglevel=loud"}, 2, []string{`"loud" is none of`}},
		"unknown in file":        {write("lisen = 'x'"), nil, 2, []string{"stormcell.toml", `no setting "lisen": did you mean listen?`}},
		"broken file":            {write("listen = "), nil, 2, []string{"stormcell.toml", "line 1"}},
		"bad value in file":      {write("minfreespace = 'much'"), nil, 2, []string{"minfreespace", "much"}},
		"network in file":        {write("network = 'regtest'"), nil, 2, []string{"network cannot be set here"}},
		"a decision in the file": {write("moved = true"), nil, 2, []string{`no setting "moved"`}},
	} {
		t.Run(name, func(t *testing.T) {
			code, said := c.home.launch(t, c.args...).wait(t)
			require.Equal(t, c.code, code, said)
			for _, want := range c.want {
				require.Contains(t, strings.ReplaceAll(said, "\n", " "), want)
			}
		})
	}
}

// TestSafeMode: what may be an old copy starts, and says what it does not do and why, at each start until that is settled.
func TestSafeMode(t *testing.T) {
	t.Parallel()
	origin := newHome(t)
	origin.start(t).crash(t)
	h := newHome(t)
	require.NoError(t, os.CopyFS(filepath.Join(h.dir, "copy"), os.DirFS(origin.dir)))
	h.dir = filepath.Join(h.dir, "copy")
	for _, step := range []struct {
		args []string
		why  string // empty: no safe mode
	}{
		{nil, "another directory"}, {nil, "another directory"}, {[]string{"--moved"}, ""}, {nil, ""},
		{[]string{"--restored"}, "restored"}, {[]string{"--moved"}, "restored"},
	} {
		p := h.start(t, step.args...)
		const safe = "safe mode: this node's data may be an old copy"
		if step.why == "" {
			require.False(t, p.said(safe))
		} else {
			require.Contains(t, p.waitFor(t, safe)["why"], step.why)
		}
		p.crash(t)
	}
}

// TestPrecedence: a flag, then the environment, then the file, then the default.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "stormcell.toml"),
		[]byte("debuglevel = 'nonsense'\nlisten = 'nonsense'\nmetricslisten = '127.0.0.1:0'\nminfreespace = 1"), 0o600))
	cmd := command(h, "start", "--listen=127.0.0.1:0", "--rpclisten=127.0.0.1:0", "--restlisten=127.0.0.1:0")
	cmd.Env = append(cmd.Env, "STORMCELL_DEBUGLEVEL=loud", "STORMCELL_LISTEN=wrong")
	r := finish(t, cmd, "")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, `debuglevel: "loud"`)

	h.start(t) // both flags are on its command line
}

// TestUnknownVariable: what looks like a setting in the environment and is none stops every command, as in the file.
func TestUnknownVariable(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	for _, args := range [][]string{{"start"}, {"getinfo"}} {
		cmd := command(h, args...)
		cmd.Env = append(cmd.Env, "STORMCELL_RPC_LISTEN=127.0.0.1:0")
		r := finish(t, cmd, "")
		require.Equal(t, 2, r.code)
		said := strings.ReplaceAll(r.err, "\n", " ")
		require.Contains(t, said, "STORMCELL_RPC_LISTEN, and there is no such setting: did you mean STORMCELL_RPCLISTEN?")
		require.Contains(t, said, "stormcell help start")
	}
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.start(t, "--pprof=127.0.0.1:0")
	at := p.waitFor(t, "serving profiles")["address"].(string)
	answer, err := http.Get("http://" + at + "/debug/pprof/goroutine?debug=1")
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Contains(t, string(text), "goroutine profile: total")

	r := finish(t, command(newHome(t), "start", "--pprof=0.0.0.0:0"), "")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, "pprof")
}

// TestJournalFailureEndsTheDaemon fills the disk under a daemon, in a file system that nobody else fills.
func TestJournalFailureEndsTheDaemon(t *testing.T) {
	t.Parallel()
	const memory, mib = "/dev/shm", 1 << 20
	var fs unix.Statfs_t
	if err := unix.Statfs(memory, &fs); err != nil || fs.Bavail*uint64(fs.Bsize) < 1<<30 {
		t.Skip("there is no roomy file system in memory")
	}
	dir, err := os.MkdirTemp(memory, "stormcell-test-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &home{dir: dir, listen: "127.0.0.1:0"}
	floor := fs.Bavail*uint64(fs.Bsize)/mib - 64
	p := h.start(t, fmt.Sprintf("--minfreespace=%d", floor))
	h.create(t, p)

	filler, err := os.Create(filepath.Join(dir, "filler"))
	require.NoError(t, err)
	defer filler.Close()
	require.NoError(t, unix.Fallocate(int(filler.Fd()), 0, 0, 128*mib))
	r := h.run(t, "", "connect", "--perm", "02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619@127.0.0.1:1")
	require.NotZero(t, r.code, "what is not in the journal must not be answered")
	code, said := p.wait(t)
	require.Equal(t, 7, code, said)
	require.Contains(t, strings.ReplaceAll(said, "\n", " "), "MiB left")
	require.Contains(t, said, "Free some space")
}
