package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestABackendThatIsAway: the daemon says so, and works as far as it can.
func TestABackendThatIsAway(t *testing.T) {
	t.Parallel()
	const password = "hunter2hunter2"
	h := newHome(t)
	cert := filepath.Join(h.dir, "btcd.cert")
	require.NoError(t, os.WriteFile(cert, []byte(someCertificate(t, h)), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "stormcell.toml"), []byte(
		"chain = \"btcd\"\n[btcd]\nrpchost = \"127.0.0.1:1\"\nrpcuser = \"me\"\nrpcpass = \""+password+"\"\n"), 0o600))
	p := h.start(t, "--btcd.rpccert="+cert)
	h.create(t, p)
	away := p.waitFor(t, "the chain backend is away; trying again")
	require.Equal(t, "btcd", away["chain"])
	require.Equal(t, "127.0.0.1:1", away["at"])
	require.Contains(t, away["error"], "refused")
	info := h.info(t)
	require.False(t, info.SyncedToChain)
	require.Zero(t, info.BlockHeight)

	began := time.Now()
	h.ok(t, "", "stop")
	code, said := p.wait(t)
	require.Zero(t, code, said)
	require.Less(t, time.Since(began), 5*time.Second)
	log, err := os.ReadFile(filepath.Join(h.dir, "stormcell.log"))
	require.NoError(t, err)
	require.NotContains(t, string(log), password)
}

// someCertificate is the certificate that a daemon made for itself.
func someCertificate(t *testing.T, h *home) string {
	t.Helper()
	p := h.start(t)
	pem, err := os.ReadFile(filepath.Join(h.dir, "tls.cert"))
	require.NoError(t, err)
	p.crash(t)
	return string(pem)
}

// TestWithoutPeers: a light client that finds nobody is no reason not to run.
func TestWithoutPeers(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.start(t)
	h.create(t, p)
	p.waitFor(t, "the wallet follows the chain")
	require.False(t, h.info(t).SyncedToChain)
	h.ok(t, "", "stop")
	code, said := p.wait(t)
	require.Zero(t, code, said)

	// What the wallet knows of the chain can be removed, but not be another seed's.
	p = h.start(t)
	h.unlock(t)
	p.waitFor(t, "the wallet follows the chain")
	p.crash(t)
	require.NoError(t, os.RemoveAll(filepath.Join(h.dir, "wallet")))
	other := newHome(t)
	q := other.start(t)
	other.create(t, q)
	h.ok(t, "", "stop", "--datadir="+other.dir)
	q.wait(t)
	require.NoError(t, os.Rename(filepath.Join(other.dir, "wallet"), filepath.Join(h.dir, "wallet")))
	p = h.start(t)
	h.run(t, passphrase+"\n", "unlock", "--passphrase-file=-")
	code, said = p.wait(t)
	require.Equal(t, 6, code)
	require.Contains(t, strings.ReplaceAll(said, "\n", " "), "another seed")
}

func TestChainSettings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"unknown backend":   {[]string{"--chain=geth"}, `"geth" is none of neutrino, btcd, bitcoind`},
		"no credentials":    {[]string{"--chain=bitcoind"}, "bitcoind needs bitcoind.rpcuser and bitcoind.rpcpass, or bitcoind.rpccookie"},
		"no certificate":    {[]string{"--chain=btcd", "--btcd.rpcuser=u", "--btcd.rpcpass=p"}, "rpc.cert"},
		"strange host":      {[]string{"--chain=bitcoind", "--bitcoind.rpchost=http://x/"}, "neither a host nor host:port"},
		"fallback of 0":     {[]string{"--fallbackfeerate=0"}, "want 1 to 1000 sat/vB"},
		"two kinds of peer": {[]string{"--neutrino.connect=a", "--neutrino.addpeer=b"}, "no other nodes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newHome(t).run(t, "", append([]string{"start"}, c.args...)...)
			require.Equal(t, 2, r.code, r.err)
			require.Contains(t, strings.ReplaceAll(r.err, "\n", " "), c.says)
		})
	}
}
