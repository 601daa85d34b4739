// Package rpc has the backends that are servers of somebody's own, reached over their RPC.
package rpc

import (
	"github.com/btcsuite/btcd/rpcclient"

	"stormcell/chain/backend"
)

// Config says where a server is and how to log in.
type Config struct {
	Network backend.Network
	Address string // host:port of the RPC server

	User, Password string

	Certificate []byte // PEM of the server's certificate; without it the connection is not encrypted
}

func (c Config) connection() *rpcclient.ConnConfig {
	return &rpcclient.ConnConfig{
		Host:         c.Address,
		User:         c.User,
		Pass:         c.Password,
		Certificates: c.Certificate,
		DisableTLS:   len(c.Certificate) == 0,
	}
}
