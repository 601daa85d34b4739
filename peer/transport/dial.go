package transport

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
)

// Dialer makes outgoing connections.
type Dialer struct {
	// Key is our identity.
	Key NodeKey
	// Timeout bounds connecting and handshake together; zero means DefaultDialTimeout.
	Timeout time.Duration
	// Network dials; nil means TCP. A proxy goes here.
	Network interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	}
}

// DefaultDialTimeout is how long a connection may take to come up.
const DefaultDialTimeout = 20 * time.Second

// Dial connects to the node with that key at a host:port. The error is the network's or wraps a *HandshakeError. Where
// the context or the time limit ended it, it wraps that cause.
func (d *Dialer) Dial(ctx context.Context, remote *btcec.PublicKey, address string) (*Conn, error) {
	timeout := d.Timeout
	if timeout == 0 {
		timeout = DefaultDialTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	network := d.Network
	if network == nil {
		network = new(net.Dialer)
	}
	raw, err := network.DialContext(ctx, "tcp", address)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	conn, err := Client(ctx, raw, d.Key, remote)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	return conn, nil
}
