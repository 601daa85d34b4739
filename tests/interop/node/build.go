package node

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Each program is built at most once; Go's build cache makes the next time short.
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

// tool builds a program that go.mod names as a tool. It is built like any other: "go tool" heeds no build tags.
func tool(path, tags string) (string, error) {
	to, err := built(filepath.Base(path))
	if err != nil {
		return "", err
	}
	_, err = run(exec.Command("go", "build", "-tags="+tags, "-o", to, path))
	return to, err
}

// built is the path of a program in the folder of what is built here.
func built(name string) (string, error) {
	root, err := root()
	return filepath.Join(root, "bin", "interop", name), err
}

// root is the folder of the module that is tested.
func root() (string, error) {
	return run(exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "stormcell"))
}

// buildStormcell builds the daemon in its own module, with the dependencies that it has there.
func buildStormcell() (string, error) {
	path, err := built("stormcell")
	if err != nil {
		return "", err
	}
	root, err := root()
	if err != nil {
		return "", err
	}
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
