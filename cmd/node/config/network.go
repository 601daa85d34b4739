package config

import (
	"stormcell/chain/backend"
	"stormcell/peer/address"
)

// PeerPort is where nodes listen on a network if nothing else is said.
func PeerPort(n backend.Network) uint16 {
	switch n {
	case backend.Testnet3, backend.Testnet4:
		return address.TestnetPort
	case backend.Signet:
		return address.SignetPort
	default:
		return address.MainnetPort
	}
}
