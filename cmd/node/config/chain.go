package config

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/pflag"

	"stormcell/chain/backend"
	"stormcell/chain/backend/light"
	"stormcell/chain/backend/rpc"
	"stormcell/chain/fees"
)

// Backends that a node can have.
const (
	Neutrino = "neutrino"
	Btcd     = "btcd"
	Bitcoind = "bitcoind"
)

// directory of the light client, in the data directory.
const neutrinoDir = "neutrino"

// Chain says where the node gets the chain from.
type Chain struct {
	// Backend is Neutrino, Btcd or Bitcoind.
	Backend string
	// Light is for Neutrino, Server for the others; its password is secret.
	Light  light.Config
	Server rpc.Config
	// FallbackFeeRate is used while the backend has no estimate.
	FallbackFeeRate fees.SatPerKW
}

// String says for people where the chain comes from.
func (c Chain) String() string {
	if c.Backend == Neutrino {
		return "the embedded light client"
	}
	return c.Backend + " at " + c.Server.Address
}

func chainFlags(fs *pflag.FlagSet) {
	fs.String("chain", Neutrino, "the `SOURCE` of the chain: neutrino (a light client, needs no server), btcd or bitcoind")
	fs.Uint32("fallbackfeerate", 10, "`SAT/VB` for transactions while the chain backend has no estimate")
	fs.StringSlice("neutrino.connect", nil, "`HOST:PORT,...` of the only Bitcoin nodes that the light client asks")
	fs.StringSlice("neutrino.addpeer", nil, "`HOST:PORT,...` of Bitcoin nodes that the light client asks besides those it finds")
	for _, server := range []string{Btcd, Bitcoind} {
		fs.String(server+".rpchost", "", "`HOST[:PORT]` of "+server+" (default localhost, the network's usual port)")
		fs.String(server+".rpcuser", "", "the `NAME` to log in with at "+server)
		fs.String(server+".rpcpass", "", "the `PASSWORD` at "+server+"; better in the configuration file than on the command line")
	}
	fs.String("btcd.rpccert", "", "the `FILE` with btcd's certificate (default ~/.btcd/rpc.cert)")
	fs.String("bitcoind.rpccookie", "", "bitcoind's cookie `FILE`, instead of user and password")
}

// loadChain reads the settings of chainFlags.
func loadChain(fs *pflag.FlagSet, common Common) (Chain, error) {
	c := Chain{}
	c.Backend, _ = fs.GetString("chain")
	perVB, _ := fs.GetUint32("fallbackfeerate")
	c.FallbackFeeRate = fees.SatPerVB(perVB).ToKW()
	if c.FallbackFeeRate > fees.Cap || perVB == 0 {
		return Chain{}, fmt.Errorf("fallbackfeerate: want 1 to %d sat/vB", fees.Cap.ToVB())
	}
	var err error
	switch c.Backend {
	case Neutrino:
		c.Light, err = loadLight(fs, common)
	case Btcd, Bitcoind:
		c.Server, err = loadServer(fs, c.Backend, common.Network)
	default:
		err = fmt.Errorf("chain: %q is none of neutrino, btcd, bitcoind", c.Backend)
	}
	return c, err
}

func loadLight(fs *pflag.FlagSet, common Common) (light.Config, error) {
	c := light.Config{Network: common.Network, Dir: common.Path(neutrinoDir)}
	c.Peers, _ = fs.GetStringSlice("neutrino.connect")
	c.MorePeers, _ = fs.GetStringSlice("neutrino.addpeer")
	port := common.Network.Params().DefaultPort
	for _, peers := range [][]string{c.Peers, c.MorePeers} {
		for i, peer := range peers {
			at, err := withPort(peer, port)
			if err != nil {
				return light.Config{}, fmt.Errorf("neutrino.connect and neutrino.addpeer: %w", err)
			}
			peers[i] = at
		}
	}
	if len(c.Peers) > 0 && len(c.MorePeers) > 0 {
		return light.Config{}, errors.New("neutrino.connect means no other nodes: leave it or neutrino.addpeer out")
	}
	return c, nil
}

func loadServer(fs *pflag.FlagSet, server string, network backend.Network) (rpc.Config, error) {
	c := rpc.Config{Network: network}
	host, _ := fs.GetString(server + ".rpchost")
	c.User, _ = fs.GetString(server + ".rpcuser")
	c.Password, _ = fs.GetString(server + ".rpcpass")
	if host == "" {
		host = "localhost"
	}
	var err error
	if c.Address, err = withPort(host, rpcPort(server, network)); err != nil {
		return rpc.Config{}, fmt.Errorf("%s.rpchost: %w", server, err)
	}
	if server == Bitcoind {
		c.CookieFile, _ = fs.GetString("bitcoind.rpccookie")
	}
	if c.CookieFile == "" && (c.User == "" || c.Password == "") {
		missing := fmt.Errorf("%s needs %s.rpcuser and %s.rpcpass", server, server, server)
		if server == Bitcoind {
			missing = fmt.Errorf("%w, or %s.rpccookie", missing, server)
		}
		return rpc.Config{}, missing
	}
	if server == Btcd {
		c.Certificate, err = certificate(fs)
	}
	return c, err
}

// certificate is btcd's: it speaks over TLS.
func certificate(fs *pflag.FlagSet) ([]byte, error) {
	path, _ := fs.GetString("btcd.rpccert")
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("btcd.rpccert: no home directory: %w", err)
		}
		path = filepath.Join(home, ".btcd", "rpc.cert")
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("btcd.rpccert: %w", err)
	}
	return pem, nil
}

// withPort adds a port to a host that is said without.
func withPort(host, port string) (string, error) {
	at := host
	if _, _, err := net.SplitHostPort(host); err != nil {
		at = net.JoinHostPort(host, port)
	}
	name, number, err := net.SplitHostPort(at)
	if _, notANumber := strconv.ParseUint(number, 10, 16); err != nil || notANumber != nil || name == "" {
		return "", fmt.Errorf("%q is neither a host nor host:port", host)
	}
	return at, nil
}

// rpcPort is where a server answers on a network if nothing else is said.
func rpcPort(server string, network backend.Network) string {
	ports := map[backend.Network]string{
		backend.Mainnet: "8334", backend.Testnet3: "18334", backend.Testnet4: "48334", backend.Signet: "38332",
		backend.Regtest: "18334", backend.Simnet: "18556",
	}
	if server == Bitcoind {
		ports = map[backend.Network]string{
			backend.Mainnet: "8332", backend.Testnet3: "18332", backend.Testnet4: "48332", backend.Signet: "38332",
			backend.Regtest: "18443", backend.Simnet: "18554",
		}
	}
	return ports[network]
}
