// Package config is what can be set: by a flag, else by the environment, else in the configuration file, else a default.
//
// A setting has one name everywhere: the flag --rpclisten is STORMCELL_RPCLISTEN in the environment, and a line
// rpclisten = "..." in the file stormcell.toml of the data directory. --btcd.rpcuser is STORMCELL_BTCD_RPCUSER, and a line
// btcd.rpcuser = "...", or rpcuser = "..." in a section [btcd]. The settings that find this file, network and datadir, cannot
// stand in it.
package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/BurntSushi/toml"
	"github.com/spf13/pflag"

	"stormcell/chain/backend"
	"stormcell/cmd/node/fault"
	"stormcell/cmd/node/levels"
)

// Files in the data directory.
const (
	// FileName is the configuration file.
	FileName = "stormcell.toml"
	// AddressFile has the host:port where the daemon of this directory answers, while it runs.
	AddressFile = "rpc.address"
)

// Common is what every command needs.
type Common struct {
	Network backend.Network
	// Dir is the data directory, absolute.
	Dir string
}

// Path is a file in the data directory.
func (c Common) Path(name string) string { return filepath.Join(c.Dir, name) }

// Daemon is what the daemon needs.
type Daemon struct {
	Common
	Listen     string // host:port for peers
	RPCListen  string // host:port for clients
	RESTListen string // host:port for clients of REST; empty for none
	// TLSDomains and TLSIPs are what clients call this machine, besides what it knows itself.
	TLSDomains, TLSIPs []string
	MetricsListen      string // host:port for Prometheus; empty for none
	ProfileListen      string // host:port on loopback for Go's profiler; empty for none
	LogLevels          *levels.Levels
	LogJSON            bool
	Chain              Chain
	Channels           Channels
	// AcceptKeysend takes payments that no invoice asked for.
	AcceptKeysend bool
	// FreeSpaceFloor in bytes: with less the daemon neither starts nor goes on.
	FreeSpaceFloor uint64
	// Moved, Restored and AcceptLoss are what the operator says at this start, on the command line only.
	Moved, Restored, AcceptLoss bool
}

// Client is what a command that talks to the daemon needs.
type Client struct {
	Common
	// Server is the daemon's host:port; empty if the data directory knows.
	Server string
	// Macaroon and Certificate are files; empty for those in the data directory.
	Macaroon, Certificate string
}

// decisions are no settings: they stand on the command line only.
var decisions = []string{"moved", "restored", "accept-loss"}

// CommonFlags adds the flags that every command has.
func CommonFlags(fs *pflag.FlagSet) {
	fs.String("network", "signet", "the `NETWORK`: regtest, simnet, signet, testnet3, testnet4 or mainnet")
	fs.String("datadir", "", "the `FOLDER` with the node's data (default ~/.stormcell/NETWORK)")
}

// DaemonFlags adds the daemon's flags.
func DaemonFlags(fs *pflag.FlagSet) {
	fs.String("listen", "", "`HOST:PORT` for peers (default all addresses, the network's usual port)")
	fs.String("rpclisten", "127.0.0.1:10009", "`HOST:PORT` for clients: gRPC, over TLS, with a macaroon")
	fs.String("restlisten", "127.0.0.1:8080", "`HOST:PORT` for clients: lnd's REST, over TLS, with a macaroon; empty for none")
	fs.StringSlice("tlsextradomain", nil, "`DOMAINS` that the TLS certificate is for, besides this machine's name")
	fs.StringSlice("tlsextraip", nil, "`IPS` that the TLS certificate is for, besides this machine's addresses")
	fs.String("metricslisten", "", "`HOST:PORT` for Prometheus, without TLS (default none)")
	fs.String("pprof", "", "`HOST:PORT` for Go's profiler, on this machine only (default none)")
	fs.String("debuglevel", "info", "the least `LEVEL` that is logged: trace, debug, info, warn, error, critical or off;\nfor parts of the daemon ('warn,PEER=debug') see 'stormcell loglevel'")
	fs.String("logformat", "text", "the log's `FORMAT`: text or json")
	fs.Uint64("minfreespace", 256, "`MiB` of free disk below which the daemon stops before the disk is full")
	fs.Bool("accept-keysend", false, "take payments that no invoice asked for")
	channelFlags(fs)
	chainFlags(fs)
	fs.Bool("moved", false, "confirm that the data directory was moved, and that no other copy of it was used")
	fs.Bool("restored", false, "say that the data directory is an old copy: start in safe mode")
	fs.Bool("accept-loss", false, "open a journal that has lost its newest commits, in safe mode")
}

// ClientFlags adds the flags of commands that talk to the daemon.
func ClientFlags(fs *pflag.FlagSet) {
	fs.String("rpcserver", "", "`HOST:PORT` of the daemon (default what runs on the data directory)")
	fs.String("macaroon", "", "the `FILE` with the macaroon to show (default admin.macaroon in the data directory)")
	fs.String("tlscert", "", "the `FILE` with the daemon's certificate (default tls.cert in the data directory)")
}

// LoadDaemon gives what the daemon's flags, the environment and the file say. Its errors are faults.
func LoadDaemon(fs *pflag.FlagSet) (Daemon, error) {
	common, err := load(fs)
	if err != nil {
		return Daemon{}, wrong(err)
	}
	d := Daemon{Common: common}
	d.Listen, _ = fs.GetString("listen")
	d.RPCListen, _ = fs.GetString("rpclisten")
	d.RESTListen, _ = fs.GetString("restlisten")
	d.TLSDomains, _ = fs.GetStringSlice("tlsextradomain")
	d.TLSIPs, _ = fs.GetStringSlice("tlsextraip")
	d.MetricsListen, _ = fs.GetString("metricslisten")
	d.ProfileListen, _ = fs.GetString("pprof")
	d.AcceptKeysend, _ = fs.GetBool("accept-keysend")
	d.Moved, _ = fs.GetBool("moved")
	d.Restored, _ = fs.GetBool("restored")
	d.AcceptLoss, _ = fs.GetBool("accept-loss")
	if d.Listen == "" {
		d.Listen = fmt.Sprintf(":%d", PeerPort(common.Network))
	}
	for name, value := range map[string]string{
		"listen": d.Listen, "rpclisten": d.RPCListen, "restlisten": d.RESTListen, "metricslisten": d.MetricsListen,
	} {
		if _, _, err := net.SplitHostPort(value); err != nil && value != "" {
			return Daemon{}, wrong(fmt.Errorf("%s: %q is not host:port", name, value))
		}
	}
	for _, ip := range d.TLSIPs {
		if net.ParseIP(ip) == nil {
			return Daemon{}, wrong(fmt.Errorf("tlsextraip: %q is no IP address", ip))
		}
	}
	if d.ProfileListen != "" && !isLoopback(d.ProfileListen) {
		return Daemon{}, wrong(fmt.Errorf("pprof: %q is not an IP address of this machine's loopback and a port", d.ProfileListen))
	}
	spec, _ := fs.GetString("debuglevel")
	if d.LogLevels, err = levels.New(spec); err != nil {
		return Daemon{}, wrong(fmt.Errorf("debuglevel: %w", err))
	}
	format, _ := fs.GetString("logformat")
	if format != "text" && format != "json" {
		return Daemon{}, wrong(fmt.Errorf("logformat: %q is neither text nor json", format))
	}
	d.LogJSON = format == "json"
	mib, _ := fs.GetUint64("minfreespace")
	if mib == 0 || mib > 1<<30 {
		return Daemon{}, wrong(errors.New("minfreespace: want 1 MiB to 1 PiB: a full disk would kill the daemon"))
	}
	d.FreeSpaceFloor = mib << 20
	if d.Channels, err = loadChannels(fs); err != nil {
		return Daemon{}, wrong(err)
	}
	if d.Chain, err = loadChain(fs, common); err != nil {
		return Daemon{}, wrong(err)
	}
	return d, nil
}

// isLoopback tells whether only programs of this machine reach an address.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && net.ParseIP(host).IsLoopback()
}

// LoadClient gives what a client command's flags, the environment and the file say. Its errors are faults.
func LoadClient(fs *pflag.FlagSet) (Client, error) {
	common, err := load(fs)
	if err != nil {
		return Client{}, wrong(err)
	}
	c := Client{Common: common}
	c.Server, _ = fs.GetString("rpcserver")
	c.Macaroon, _ = fs.GetString("macaroon")
	c.Certificate, _ = fs.GetString("tlscert")
	return c, nil
}

func wrong(err error) error {
	return fault.New(fault.Usage, err, "See 'stormcell help start' for all settings.")
}

// load sets the flags that the command line does not set, and gives what is common.
func load(fs *pflag.FlagSet) (Common, error) {
	if err := fromEnvironment(fs); err != nil {
		return Common{}, err
	}
	name, _ := fs.GetString("network")
	network, err := backend.ParseNetwork(name)
	if err != nil {
		return Common{}, err
	}
	dir, _ := fs.GetString("datadir")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return Common{}, fmt.Errorf("no home directory for the data, say --datadir: %w", err)
		}
		dir = filepath.Join(home, ".stormcell", network.String())
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return Common{}, fmt.Errorf("datadir: %w", err)
	}
	return Common{Network: network, Dir: dir}, fromFile(fs, filepath.Join(dir, FileName))
}

// fromFile reads the file if there is one. It may set what the present command has no flag for, but nothing unknown.
func fromFile(fs *pflag.FlagSet, path string) error {
	sections := map[string]any{}
	_, err := toml.DecodeFile(path, &sections)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil // whether there is a data directory is another question
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	known, values := settings(), map[string]string{}
	flatten("", sections, values)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case name == "network" || name == "datadir":
			return fmt.Errorf("%s: %s cannot be set here: it says where this file is", path, name)
		case !slices.Contains(known, name):
			return fmt.Errorf("%s: there is no setting %q%s", path, name, didYouMean(name, known))
		}
		f := fs.Lookup(name)
		if f == nil || f.Changed {
			continue
		}
		if err := fs.Set(name, values[name]); err != nil {
			return fmt.Errorf("%s: %s: %w", path, name, err)
		}
	}
	return nil
}

// flatten gives the values of a file by their settings' names, as a flag takes them.
func flatten(prefix string, values map[string]any, flat map[string]string) {
	for name, value := range values {
		switch value := value.(type) {
		case map[string]any:
			flatten(prefix+name+".", value, flat)
		case []any:
			items := make([]string, len(value))
			for i, item := range value {
				items[i] = fmt.Sprint(item)
			}
			flat[prefix+name] = strings.Join(items, ",")
		default:
			flat[prefix+name] = fmt.Sprint(value)
		}
	}
}

// settings are the names of what the environment and the file may set, whatever the command.
func settings() []string {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	CommonFlags(all)
	DaemonFlags(all)
	ClientFlags(all)
	var names []string
	all.VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(decisions, f.Name) {
			names = append(names, f.Name)
		}
	})
	return names
}
