package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Each program is built at most once; Go's build cache keeps it for the next time.
var (
	btcd  = sync.OnceValues(func() (string, error) { return tool("github.com/btcsuite/btcd", "") })
	lnd   = sync.OnceValues(func() (string, error) { return tool("github.com/lightningnetwork/lnd/cmd/lnd", lndTags) })
	lncli = sync.OnceValues(func() (string, error) { return tool("github.com/lightningnetwork/lnd/cmd/lncli", lndTags) })

	stormcell = sync.OnceValues(buildStormcell)
)

// lndTags are those of lnd's releases that the tests need.
const lndTags = "invoicesrpc,routerrpc,signrpc,walletrpc"

// Build builds all programs, so that no test waits for it. The first time takes several minutes.
func Build() error {
	var failed error
	for _, build := range []func() (string, error){btcd, lnd, lncli, stormcell} {
		_, err := build()
		failed = errors.Join(failed, err)
	}
	return failed
}

// tool builds a program that go.mod names as a tool, and gives its path in the build cache.
func tool(path, tags string) (string, error) {
	cmd := exec.Command("go", "tool", "-n", path)
	cmd.Env = append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -tags="+tags))
	return run(cmd)
}

// buildStormcell builds the daemon in its own module, with the dependencies that it has there, into the folder of what is
// built there.
func buildStormcell() (string, error) {
	root, err := run(exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "stormcell"))
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "interop", "stormcell")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/node")
	cmd.Dir = root
	_, err = run(cmd)
	return path, err
}

func run(cmd *exec.Cmd) (string, error) {
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}
