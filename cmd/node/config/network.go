package config

import (
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/chaincfg"

	"stormcell/peer/address"
)

// Network is a chain that a node can be on.
type Network struct {
	Name   string
	Params *chaincfg.Params
	// PeerPort is where nodes listen on this network if nothing else is said.
	PeerPort uint16
}

// networks are all of them, the safest to try first.
var networks = []Network{
	{"regtest", &chaincfg.RegressionNetParams, address.MainnetPort},
	{"simnet", &chaincfg.SimNetParams, address.MainnetPort},
	{"signet", &chaincfg.SigNetParams, address.SignetPort},
	{"testnet4", &chaincfg.TestNet4Params, address.TestnetPort},
	{"testnet", &chaincfg.TestNet3Params, address.TestnetPort},
	{"mainnet", &chaincfg.MainNetParams, address.MainnetPort},
}

func networkNames() string {
	names := make([]string, len(networks))
	for i, n := range networks {
		names[i] = n.Name
	}
	return strings.Join(names, ", ")
}

func findNetwork(name string) (Network, error) {
	for _, n := range networks {
		if n.Name == name {
			return n, nil
		}
	}
	return Network{}, fmt.Errorf("there is no network %q: choose one of %s", name, networkNames())
}
