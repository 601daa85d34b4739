// Package rpc has the backends that are servers of somebody's own: btcd over its websocket, which tells of new blocks, and
// bitcoind over HTTP, which is asked for them.
package rpc

import (
	"time"

	"github.com/btcsuite/btcd/rpcclient"

	"stormcell/chain/backend"
)

// Config says where a server is and how to log in.
type Config struct {
	Network backend.Network
	Address string // host:port of the RPC server

	User, Password string
	CookieFile     string // bitcoind's .cookie, instead of User and Password

	Certificate []byte // PEM of btcd's certificate; without it the connection is not encrypted

	// PollEvery is how often bitcoind is asked for new blocks; 0 is every two seconds.
	PollEvery time.Duration
}

func (c Config) connection() *rpcclient.ConnConfig {
	return &rpcclient.ConnConfig{
		Host:         c.Address,
		User:         c.User,
		Pass:         c.Password,
		CookiePath:   c.CookieFile,
		Certificates: c.Certificate,
		DisableTLS:   len(c.Certificate) == 0,
	}
}
