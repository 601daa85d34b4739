package node

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// npmDir has the npm clients' manifest and the program that lets Go call them; installDir is where they are installed.
const (
	npmDir     = "npm"
	installDir = "../../bin/interop/npm"
)

// npmClients installs the npm clients, unless those of the lock file are there.
var npmClients = sync.OnceValue(func() error {
	locked, err := os.ReadFile(filepath.Join(npmDir, "package-lock.json"))
	if err != nil {
		return err
	}
	stamp := filepath.Join(installDir, "installed.json")
	if installed, err := os.ReadFile(stamp); err != nil || !bytes.Equal(installed, locked) {
		if err := os.RemoveAll(installDir); err != nil {
			return err
		}
		if err := os.CopyFS(installDir, os.DirFS(npmDir)); err != nil {
			return err
		}
		npm := exec.Command("npm", "ci")
		npm.Dir = installDir
		if out, err := npm.CombinedOutput(); err != nil {
			return fmt.Errorf("npm ci: %w: %s", err, out)
		}
		if err := os.WriteFile(stamp, locked, 0o600); err != nil {
			return err
		}
	}
	program, err := os.ReadFile(filepath.Join(npmDir, "bridge.mjs"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(installDir, "bridge.mjs"), program, 0o600)
})

// Npm is a process with an npm client, which calls any of some nodes.
type Npm struct {
	t       testing.TB
	process *os.Process
	in      io.Writer
	out     *bufio.Reader
}

// RequireNpm skips a test on a machine that has no Node.js.
func RequireNpm(t testing.TB) {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s in the path, so no npm client is tested: install Node.js 20 or newer, with npm", program)
		}
	}
}

// StartNpm starts an npm client for nodes. Those that have no wallet yet are asked for no more than what needs none.
func StartNpm(t testing.TB, client string, nodes ...*Lightning) *Npm {
	t.Helper()
	require.NoError(t, npmClients())
	access := map[string]map[string]string{}
	for _, l := range nodes {
		certificate, err := os.ReadFile(l.certificate)
		require.NoError(t, err)
		access[l.name] = map[string]string{"cert": base64.StdEncoding.EncodeToString(certificate), "socket": l.api}
		if macaroon := l.Macaroon(); macaroon != "" {
			access[l.name]["macaroon"] = macaroon
		}
	}
	encoded, err := json.Marshal(access)
	require.NoError(t, err)
	cmd := exec.Command("node", "--no-deprecation", "bridge.mjs", client, string(encoded))
	cmd.Dir, cmd.Stderr, cmd.SysProcAttr = installDir, os.Stderr, attached()
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &Npm{t, cmd.Process, in, bufio.NewReader(out)}
}

// Call makes a call, and gives the answer, or the error as the clients give it: an HTTP code, a name, and sometimes details.
func (n *Npm) Call(on *Lightning, call string, args map[string]any) (answer map[string]any, failed []any) {
	n.t.Helper()
	return n.exchange(map[string]any{"node": on.name, "call": call, "args": args})
}

// CallWith makes a call as Call does, with another macaroon, in base64.
func (n *Npm) CallWith(macaroon string, on *Lightning, call string, args map[string]any) (answer map[string]any, failed []any) {
	n.t.Helper()
	return n.exchange(map[string]any{"node": on.name, "macaroon": macaroon, "call": call, "args": args})
}

// Macaroon is the admin macaroon in base64, empty while there is none.
func (l *Lightning) Macaroon() string {
	serialized, err := os.ReadFile(l.macaroon)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(serialized)
}

// Subscription is a stream of events.
type Subscription struct {
	npm *Npm
	id  any
	// of tells which, and heard are the events that nobody has waited for yet.
	of    string
	heard []map[string]any
}

// Subscribe begins a subscription to events that have one of the names.
func (n *Npm) Subscribe(on *Lightning, call string, args map[string]any, events ...string) *Subscription {
	n.t.Helper()
	answer, failed := n.exchange(map[string]any{"node": on.name, "call": call, "args": args, "events": events})
	require.Empty(n.t, failed, call)
	return &Subscription{npm: n, id: answer["subscription"], of: on.name + ": " + call}
}

// Next waits for an event that meets a condition, and gives its value. Others may come before.
func (s *Subscription) Next(event string, met func(value map[string]any) bool) map[string]any {
	s.npm.t.Helper()
	for i := 0; ; i++ {
		if i == len(s.heard) {
			next, failed := s.npm.exchange(map[string]any{"next": s.id})
			require.Empty(s.npm.t, failed, s.of)
			require.NotEqual(s.npm.t, "error", next["event"], "%s: %v", s.of, next["value"])
			s.heard = append(s.heard, next)
		}
		value, _ := s.heard[i]["value"].(map[string]any) // some events have none
		if s.heard[i]["event"] == event && met(value) {
			s.heard = slices.Delete(s.heard, i, i+1)
			return value
		}
	}
}

func (n *Npm) exchange(request map[string]any) (answer map[string]any, failed []any) {
	n.t.Helper()
	encoded, err := json.Marshal(request)
	require.NoError(n.t, err)
	_, err = n.in.Write(append(encoded, '\n'))
	require.NoError(n.t, err)
	impatient := time.AfterFunc(patience, func() { _ = n.process.Kill() })
	defer impatient.Stop()
	line, err := n.out.ReadBytes('\n')
	require.NoError(n.t, err, "there is no answer to %s", encoded)
	var said struct {
		Answer map[string]any
		Error  []any
	}
	require.NoError(n.t, json.Unmarshal(line, &said), string(line))
	return said.Answer, said.Error
}
