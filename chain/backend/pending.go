package backend

import (
	"context"
	"sync"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"stormcell/chain/fees"
)

// Pending is a backend that is not connected yet. Its calls wait until it is, or until their context ends.
type Pending struct {
	network   Network
	changed   Signal
	connected chan struct{}
	once      sync.Once
	backend   Backend // set before connected is closed
}

var _ Backend = (*Pending)(nil)

// NewPending makes a backend that is not connected.
func NewPending(network Network) *Pending {
	return &Pending{network: network, connected: make(chan struct{})}
}

// Connect lets the backend be another one from now on, which is on the same network. Only the first call counts.
func (p *Pending) Connect(b Backend) {
	p.once.Do(func() {
		p.backend = b
		close(p.connected)
		p.changed.Raise()
	})
}

func (p *Pending) wait(ctx context.Context) (Backend, error) {
	select {
	case <-p.connected:
		return p.backend, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *Pending) Network() Network { return p.network }

func (p *Pending) Changed() <-chan struct{} {
	select {
	case <-p.connected:
		return p.backend.Changed()
	default:
	}
	next := p.changed.Next()
	select {
	case <-p.connected: // the signal may have been raised before
		return p.backend.Changed()
	default:
		return next
	}
}

func (p *Pending) BestBlock(ctx context.Context) (BlockRef, error) {
	b, err := p.wait(ctx)
	if err != nil {
		return BlockRef{}, err
	}
	return b.BestBlock(ctx)
}

func (p *Pending) HashAt(ctx context.Context, height uint32) (chainhash.Hash, error) {
	b, err := p.wait(ctx)
	if err != nil {
		return chainhash.Hash{}, err
	}
	return b.HashAt(ctx, height)
}

func (p *Pending) Header(ctx context.Context, hash chainhash.Hash) (*wire.BlockHeader, error) {
	b, err := p.wait(ctx)
	if err != nil {
		return nil, err
	}
	return b.Header(ctx, hash)
}

func (p *Pending) Block(ctx context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	b, err := p.wait(ctx)
	if err != nil {
		return nil, err
	}
	return b.Block(ctx, hash)
}

func (p *Pending) BlockIfTouches(ctx context.Context, hash chainhash.Hash, scripts [][]byte) (*wire.MsgBlock, error) {
	b, err := p.wait(ctx)
	if err != nil {
		return nil, err
	}
	return b.BlockIfTouches(ctx, hash, scripts)
}

func (p *Pending) Publish(ctx context.Context, tx *wire.MsgTx) (PublishResult, error) {
	b, err := p.wait(ctx)
	if err != nil {
		return PublishResult{}, err
	}
	return b.Publish(ctx, tx)
}

func (p *Pending) EstimateFee(ctx context.Context, blocks uint32) (fees.SatPerKW, error) {
	b, err := p.wait(ctx)
	if err != nil {
		return 0, err
	}
	return b.EstimateFee(ctx, blocks)
}

// Stop stops the backend if there is one.
func (p *Pending) Stop() error {
	select {
	case <-p.connected:
		return p.backend.Stop()
	default:
		return nil
	}
}
