package backend

import (
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/chaincfg"
)

// Network is one of the Bitcoin networks. The zero value is none of them.
type Network uint8

const (
	Mainnet Network = iota + 1
	Testnet3
	Testnet4
	Signet // the public one
	Regtest
	Simnet
)

var networks = []struct {
	network Network
	name    string
	params  *chaincfg.Params
}{
	{Mainnet, "mainnet", &chaincfg.MainNetParams},
	{Testnet3, "testnet3", &chaincfg.TestNet3Params},
	{Testnet4, "testnet4", &chaincfg.TestNet4Params},
	{Signet, "signet", &chaincfg.SigNetParams},
	{Regtest, "regtest", &chaincfg.RegressionNetParams},
	{Simnet, "simnet", &chaincfg.SimNetParams},
}

// UnknownNetworkError is a name that no network has.
type UnknownNetworkError struct{ Name string }

func (e UnknownNetworkError) Error() string {
	names := make([]string, len(networks))
	for i, n := range networks {
		names[i] = n.name
	}
	return fmt.Sprintf("there is no network %q; it is one of %s", e.Name, strings.Join(names, ", "))
}

// ParseNetwork gives the network of that name. An unknown name is an UnknownNetworkError.
func ParseNetwork(name string) (Network, error) {
	for _, n := range networks {
		if n.name == name {
			return n.network, nil
		}
	}
	return 0, UnknownNetworkError{Name: name}
}

// Params are the network's rules and constants. They are shared: nobody may change them.
func (n Network) Params() *chaincfg.Params {
	for _, known := range networks {
		if known.network == n {
			return known.params
		}
	}
	panic(fmt.Sprintf("network %d does not exist: networks come from ParseNetwork or the constants", uint8(n)))
}

func (n Network) String() string {
	for _, known := range networks {
		if known.network == n {
			return known.name
		}
	}
	return fmt.Sprintf("network %d", uint8(n))
}
