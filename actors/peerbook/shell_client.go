package peerbook

import (
	"context"
	"fmt"

	"stormcell/actors/durable"
	"stormcell/chain/backend"
)

// Client asks the book, for those outside.
type Client struct {
	Kernel  *durable.Kernel
	changed *backend.Signal
}

// Client gives access to the book and to what its shell knows.
func (s *Shell) Client() Client { return Client{s.kernel, &s.changed} }

// Open makes the book if there is none. It must be called before anything else.
func (c Client) Open(ctx context.Context) error { return c.do(ctx, Open{}) }

// Connect connects to a node and returns when the connection is up. The error is one of Connect's refusals, or says why
// there is no connection.
func (c Client) Connect(ctx context.Context, want Connect) error { return c.do(ctx, want) }

// Keep stays connected to a node. The error is one of Keep's refusals.
func (c Client) Keep(ctx context.Context, want Keep) error { return c.do(ctx, want) }

// Disconnect ends the connection to a node and keeps it no more. The error is ErrNotConnected if there was neither.
func (c Client) Disconnect(ctx context.Context, key NodeKey) error { return c.do(ctx, Disconnect{key}) }

// List gives all peers that are connected or kept, in the order of their keys.
func (c Client) List(ctx context.Context) ([]Peer, error) {
	answer, err := c.Kernel.Ask(ctx, Address, List{})
	if err != nil {
		return nil, err
	}
	peers, ok := answer.([]Peer)
	if !ok {
		return nil, fmt.Errorf("list peers: the peer book answers %T", answer)
	}
	return peers, nil
}

// Watch calls look, and again whenever List may tell of other connections than before, until it fails or ctx ends. Changes that
// follow each other quickly may be seen as one. The errors are look's, the context's and the kernel's. It needs a shell's client.
func (c Client) Watch(ctx context.Context, look func() error) error {
	for {
		next := c.changed.Next()
		if err := look(); err != nil {
			return err
		}
		select {
		case <-next:
		case <-ctx.Done():
			return fmt.Errorf("watch peers: %w", ctx.Err())
		case <-c.Kernel.Dead():
			return fmt.Errorf("watch peers: %w", c.Kernel.Err())
		}
	}
}

func (c Client) do(ctx context.Context, question any) error {
	answer, err := c.Kernel.Ask(ctx, Address, question)
	if err != nil {
		return err
	}
	failure, _ := answer.(error)
	return failure
}
