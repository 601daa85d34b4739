package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"stormcell/cmd/node/config"
	"stormcell/cmd/node/fault"
)

// networkFile says which network a data directory is for.
const networkFile = "network"

// claim makes the data directory, for one network and for ever.
func claim(c config.Common) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fault.New(fault.Data, fmt.Errorf("make the data directory: %w", err), "Choose another with --datadir.")
	}
	path := c.Path(networkFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(text) == 0 { // empty after a crash in here
		text = []byte(c.Network.String() + "\n")
		err = writeSynced(path, text)
	}
	if err != nil {
		return fault.New(fault.Data, fmt.Errorf("the data directory cannot be used: %w", err),
			"It must belong to you. Choose another with --datadir.")
	}
	if name := strings.TrimSpace(string(text)); name != c.Network.String() {
		return fault.New(fault.Data, fmt.Errorf("%s is the data directory of a node on %s, not %s", c.Dir, name, c.Network),
			"Start with --network=%s, or choose another directory with --datadir.", name)
	}
	return nil
}

// writeSynced writes a file that outlasts a crash, as what is written after it may.
func writeSynced(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// writeAddress tells clients where the daemon of this data directory answers.
func writeAddress(c config.Common, at net.Addr) error {
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return os.WriteFile(c.Path(config.AddressFile), []byte(net.JoinHostPort(host, port)+"\n"), 0o600)
}

func removeAddress(c config.Common) { _ = os.Remove(c.Path(config.AddressFile)) }

// tryListen tells early whether an address can be listened on: the node itself does so only once it has its key.
func tryListen(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}
