package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"stormcell/messages/lnrpc"
)

// beStormcell in the environment lets the test's binary be the program that it tests.
const beStormcell = "BE_STORMCELL"

func TestMain(m *testing.M) {
	if os.Getenv(beStormcell) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// patience is how long anything may take before a test gives up.
const patience = 30 * time.Second

const passphrase = "correct horse"

// home is a data directory, and where its node listens.
type home struct {
	dir    string
	listen string
}

func newHome(t *testing.T) *home {
	t.Helper()
	return &home{dir: t.TempDir(), listen: "127.0.0.1:0"}
}

func command(h *home, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = []string{beStormcell + "=1", "HOME=" + h.dir, "STORMCELL_NETWORK=regtest", "STORMCELL_DATADIR=" + h.dir}
	return cmd
}

// result is what a command came to.
type result struct {
	out, err string
	code     int
}

// run runs a command of the client to its end.
func (h *home) run(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	cmd := command(h, args...)
	return finish(t, cmd, stdin)
}

func finish(t *testing.T, cmd *exec.Cmd, stdin string) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	require.NoError(t, cmd.Start())
	kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	kill.Stop()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// ok is run for a command that must work.
func (h *home) ok(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	r := h.run(t, stdin, args...)
	require.Zero(t, r.code, "%v: %s", args, r.err)
	return r.out
}

// process is a running daemon.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}

	mu      sync.Mutex
	entries []map[string]any // its log
	rest    strings.Builder  // what it says besides
	news    chan struct{}    // closed by the next entry
}

// start starts a daemon, and waits until its API answers.
func (h *home) start(t *testing.T, args ...string) *process {
	t.Helper()
	p := h.launch(t, args...)
	p.waitFor(t, "waiting for the wallet to be unlocked")
	return p
}

// launch starts a daemon.
func (h *home) launch(t *testing.T, args ...string) *process {
	t.Helper()
	cmd := command(h, append([]string{
		"start", "--listen=" + h.listen, "--rpclisten=127.0.0.1:0", "--restlisten=127.0.0.1:0", "--logformat=json", "--debuglevel=debug",
	}, args...)...)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	p := &process{cmd: cmd, ended: make(chan struct{}), news: make(chan struct{})}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("%v: %s", cmd.Args, p.rest.String())
		}
	})
	go func() {
		defer close(p.ended)
		p.read(stderr)
		_ = cmd.Wait()
	}()
	return p
}

func (p *process) read(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry map[string]any
		bad := json.Unmarshal(lines.Bytes(), &entry)
		p.mu.Lock()
		if bad != nil {
			p.rest.WriteString(lines.Text() + "\n")
		}
		p.entries = append(p.entries, entry)
		close(p.news)
		p.news = make(chan struct{})
		p.mu.Unlock()
	}
}

// said tells whether there was such an entry of the log so far.
func (p *process) said(message string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.entries, func(e map[string]any) bool { return e["msg"] == message })
}

// waitFor waits for an entry of the log, and gives it.
func (p *process) waitFor(t *testing.T, message string) map[string]any {
	t.Helper()
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		news := p.news
		for _, e := range p.entries {
			if e["msg"] == message {
				p.mu.Unlock()
				return e
			}
		}
		p.mu.Unlock()
		select {
		case <-news:
		case <-p.ended:
			require.FailNow(t, "the daemon has ended", "while the test waited for %q: %s", message, p.rest.String())
		case <-deadline:
			require.FailNow(t, "the daemon does not say", "%q", message)
		}
	}
}

// wait waits for the end of the daemon, and gives its exit code and what it said besides its log.
func (p *process) wait(t *testing.T) (code int, said string) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		require.FailNow(t, "the daemon does not end")
	}
	return p.cmd.ProcessState.ExitCode(), p.rest.String()
}

// crash kills the daemon as a power cut would.
func (p *process) crash(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGKILL))
	<-p.ended
}

// create makes a wallet in a running daemon, and remembers where its node listens.
func (h *home) create(t *testing.T, p *process) {
	t.Helper()
	h.ok(t, passphrase+"\n", "create", "--passphrase-file=-", "--words-out="+filepath.Join(h.dir, "words"))
	h.listen = p.waitFor(t, "running")["listen"].(string)
}

func (h *home) unlock(t *testing.T) {
	t.Helper()
	h.ok(t, passphrase+"\n", "unlock", "--passphrase-file=-")
}

func (h *home) info(t *testing.T) *lnrpc.GetInfoResponse {
	t.Helper()
	info, err := lnrpc.NewLightningClient(h.dial(t)).GetInfo(h.admin(t), &lnrpc.GetInfoRequest{})
	require.NoError(t, err)
	return info
}

// dial connects as any lnd client does: it knows the certificate.
func (h *home) dial(t *testing.T) *grpc.ClientConn {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(h.dir, "tls.cert"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))
	at, err := os.ReadFile(filepath.Join(h.dir, "rpc.address"))
	require.NoError(t, err)
	conn, err := grpc.NewClient("passthrough:///"+strings.TrimSpace(string(at)),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool})))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// admin is a context with the macaroon that the daemon made.
func (h *home) admin(t *testing.T) context.Context {
	t.Helper()
	return withMacaroon(t, h.macaroon(t))
}

func (h *home) macaroon(t *testing.T) []byte {
	t.Helper()
	serialized, err := os.ReadFile(filepath.Join(h.dir, "admin.macaroon"))
	require.NoError(t, err)
	return serialized
}

func withMacaroon(t *testing.T, serialized []byte) context.Context {
	t.Helper()
	return metadata.AppendToOutgoingContext(t.Context(), "macaroon", hex.EncodeToString(serialized))
}
