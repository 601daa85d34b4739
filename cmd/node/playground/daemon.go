package playground

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/BurntSushi/toml"
)

// daemon is one node of the network.
type daemon struct {
	process
	dir      string
	key, uri string // who it is, and where: key@host:port
	isNew    bool   // its wallet was made now
}

func (p *playground) node(name string) *daemon {
	return &daemon{process: process{name: name}, dir: filepath.Join(p.o.Dir, name)}
}

// settings is a daemon's configuration file.
type settings struct {
	Chain         string       `toml:"chain"`
	Listen        string       `toml:"listen"`
	RPCListen     string       `toml:"rpclisten"`
	RESTListen    string       `toml:"restlisten"`
	AcceptKeysend bool         `toml:"accept-keysend"`
	Btcd          btcdSettings `toml:"btcd"`
}

type btcdSettings struct {
	Host        string `toml:"rpchost"`
	User        string `toml:"rpcuser"`
	Password    string `toml:"rpcpass"`
	Certificate string `toml:"rpccert"`
}

// configure writes the daemon's configuration file. It listens where it did the last time, for its peers to find it.
func (p *playground) configure(d *daemon) error {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(d.dir, "stormcell.toml")
	var s settings
	if _, err := toml.DecodeFile(path, &s); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var err error
	if s.Listen, err = freeAddress(s.Listen); err != nil {
		return err
	}
	s.Chain, s.RPCListen, s.RESTListen, s.AcceptKeysend, s.Btcd = "btcd", loopback, loopback, true, p.chain.settings()
	text, err := toml.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// loopback is any port of this machine that is free.
const loopback = "127.0.0.1:0"

// freeAddress is an address that can be listened on: one that was used before, if possible.
func freeAddress(before string) (string, error) {
	if before != "" {
		if l, err := net.Listen("tcp", before); err == nil {
			return before, l.Close()
		}
	}
	l, err := net.Listen("tcp", loopback)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// start starts a daemon, and makes or unlocks its wallet.
func (p *playground) start(ctx context.Context, d *daemon) error {
	if err := p.boot(d); err != nil {
		return err
	}
	return p.open(ctx, d)
}

// boot starts a daemon.
func (p *playground) boot(d *daemon) error {
	if err := p.configure(d); err != nil {
		return err
	}
	p.say("%s$ stormcell start", d.name)
	return d.launch(p.lock, p.program, "start", "--network=regtest", "--datadir="+d.dir)
}

// open makes or unlocks a daemon's wallet.
func (p *playground) open(ctx context.Context, d *daemon) error {
	var state struct{ State string }
	err := p.until(ctx, &d.process, func() bool { return p.ask(ctx, d, &state, "state") == nil })
	if err != nil {
		return err
	}
	unlock := []string{"unlock", "--passphrase-file=" + shorten(p.passphrase)}
	if d.isNew = state.State == "NON_EXISTING"; d.isNew {
		unlock = []string{
			"create", "--passphrase-file=" + shorten(p.passphrase), "--words-out=" + shorten(filepath.Join(d.dir, "words")),
		}
	}
	if err := p.enter(ctx, d, unlock...); err != nil {
		return err
	}
	var info struct {
		Key  string `json:"identity_pubkey"`
		URIs []string
	}
	if err := p.ask(ctx, d, &info, "getinfo"); err != nil {
		return err
	}
	if len(info.URIs) == 0 {
		return fmt.Errorf("%s does not say where it is", d.name)
	}
	d.key, d.uri = info.Key, info.URIs[0]
	return nil
}
