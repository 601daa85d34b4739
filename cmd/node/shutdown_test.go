package main

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stormcell/messages/lnrpc"
)

// stopsWithin is how long a daemon may take to end: it gives itself 5 seconds, and exits with 1 if they were not enough.
const stopsWithin = 8 * time.Second

// terminate sends SIGTERM and waits until the daemon has ended well.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	began := time.Now()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	code, said := p.wait(t)
	require.Zero(t, code, said)
	require.Less(t, time.Since(began), stopsWithin)
	p.waitFor(t, "stopped")
}

// works holds that a daemon starts, and that its wallet can be unlocked.
func (h *home) works(t *testing.T, args ...string) *process {
	t.Helper()
	p := h.start(t, args...)
	h.unlock(t)
	p.waitFor(t, "running")
	return p
}

// TestTerminateWhileUnlocking ends a daemon while it makes the key from the passphrase, and while its node starts.
func TestTerminateWhileUnlocking(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.start(t)
	h.create(t, p)
	p.terminate(t)
	for name, when := range map[string]lnrpc.WalletState{
		"the key is made": lnrpc.WalletState_LOCKED, "the node starts": lnrpc.WalletState_UNLOCKED,
	} {
		p := h.start(t)
		conn := h.dial(t)
		states, err := lnrpc.NewStateClient(conn).SubscribeState(t.Context(), &lnrpc.SubscribeStateRequest{})
		require.NoError(t, err)
		reach := func(want lnrpc.WalletState) {
			for {
				update, err := states.Recv()
				require.NoError(t, err, name)
				if update.State == want {
					return
				}
			}
		}
		reach(lnrpc.WalletState_LOCKED)
		unlocked := make(chan struct{})
		go func() {
			defer close(unlocked)
			_, _ = lnrpc.NewWalletUnlockerClient(conn).UnlockWallet(t.Context(),
				&lnrpc.UnlockWalletRequest{WalletPassword: []byte(passphrase)}) // it may be refused
		}()
		if when != lnrpc.WalletState_LOCKED {
			reach(when)
		}
		p.terminate(t)
		<-unlocked
	}
	h.works(t)
}

// TestStopWithoutAWallet stops a daemon that has no wallet yet, and one whose wallet is locked.
func TestStopWithoutAWallet(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.start(t)
	h.ok(t, "", "stop")
	code, said := p.wait(t)
	require.Zero(t, code, said)

	p = h.start(t)
	h.create(t, p)
	p.terminate(t)
	p = h.start(t)
	r := h.run(t, "", "getinfo")
	require.Equal(t, 4, r.code, r.err)
	r = h.run(t, "", "stop", "--macaroon="+filepath.Join(h.dir, "readonly.macaroon"))
	require.Equal(t, 5, r.code, r.err)
	h.ok(t, "", "stop")
	code, said = p.wait(t)
	require.Zero(t, code, said)
}

// TestTerminateWithoutAChain ends a daemon whose backend refuses connections, and one whose backend takes them and says nothing.
func TestTerminateWithoutAChain(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	for name, at := range map[string]string{"refuses": "127.0.0.1:1", "is silent": silent.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			cert := filepath.Join(h.dir, "btcd.cert")
			require.NoError(t, os.WriteFile(cert, []byte(someCertificate(t, h)), 0o600))
			args := []string{
				"--chain=btcd", "--btcd.rpchost=" + at, "--btcd.rpcuser=me", "--btcd.rpcpass=secret", "--btcd.rpccert=" + cert,
			}
			p := h.start(t, args...)
			h.create(t, p)
			p.terminate(t)
			h.works(t, args...).terminate(t)
		})
	}
}

// TestTerminateTwice: a second SIGTERM changes nothing.
func TestTerminateTwice(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.start(t)
	h.create(t, p)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.waitFor(t, "stopping")
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	code, said := p.wait(t)
	require.Zero(t, code, said)
	p.waitFor(t, "stopped")
	h.works(t).terminate(t)
}

// TestInterruptKills: who presses Ctrl-C again means it, and loses nothing.
func TestInterruptKills(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.start(t)
	h.create(t, p)
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	p.waitFor(t, "stopping")
	_ = p.cmd.Process.Signal(os.Interrupt) // it may have ended
	p.wait(t)
	h.works(t).terminate(t)
}
