// Package backendtest has a chain in memory, which tests mine and reorganise as they like.
package backendtest

import (
	"context"
	"fmt"
	"sync"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"stormcell/chain/backend"
	"stormcell/chain/fees"
)

// Chain is a Backend whose blocks hold whatever they are given: nothing is checked but that blocks lie on each other.
type Chain struct {
	mu      sync.Mutex
	blocks  map[chainhash.Hash]*wire.MsgBlock
	best    []chainhash.Hash // by height
	made    uint32           // blocks ever made, which tells their hashes apart
	changed backend.Signal

	forgetful bool
	fetched   int
	published []*wire.MsgTx
}

var _ backend.Backend = (*Chain)(nil)

// NewChain makes a chain that consists of a genesis block.
func NewChain() *Chain {
	c := &Chain{blocks: make(map[chainhash.Hash]*wire.MsgBlock)}
	c.extend(nil)
	return c
}

// Mine puts one block on the tip.
func (c *Chain) Mine(txs ...*wire.MsgTx) backend.BlockRef {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.changed.Raise()
	return c.extend(txs)
}

// Reorganise takes depth blocks from the tip and mines others in their place: one for each list of transactions.
func (c *Chain) Reorganise(depth int, blocks ...[]*wire.MsgTx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.changed.Raise()
	if depth >= len(c.best) {
		panic(fmt.Sprintf("a chain of %d blocks cannot lose %d", len(c.best), depth))
	}
	c.best = c.best[:len(c.best)-depth]
	for _, txs := range blocks {
		c.extend(txs)
	}
	if c.forgetful {
		c.dropStale()
	}
}

// ForgetStale drops the blocks that are not on the best chain, now and from now on, as a light client does.
func (c *Chain) ForgetStale() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetful = true
	c.dropStale()
}

func (c *Chain) dropStale() {
	kept := make(map[chainhash.Hash]*wire.MsgBlock, len(c.best))
	for _, hash := range c.best {
		kept[hash] = c.blocks[hash]
	}
	c.blocks = kept
}

// Fetched is how many whole blocks were asked for.
func (c *Chain) Fetched() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fetched
}

// Published are the transactions that were published, in order.
func (c *Chain) Published() []*wire.MsgTx {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*wire.MsgTx(nil), c.published...)
}

func (c *Chain) extend(txs []*wire.MsgTx) backend.BlockRef {
	header := wire.BlockHeader{Nonce: c.made}
	c.made++
	if len(c.best) > 0 {
		header.PrevBlock = c.best[len(c.best)-1]
	}
	hash := header.BlockHash()
	c.blocks[hash] = &wire.MsgBlock{Header: header, Transactions: txs}
	c.best = append(c.best, hash)
	return c.tip()
}

func (c *Chain) tip() backend.BlockRef {
	height := len(c.best) - 1
	return backend.BlockRef{Height: uint32(height), Hash: c.best[height]}
}

func (c *Chain) Network() backend.Network { return backend.Regtest }

func (c *Chain) Changed() <-chan struct{} { return c.changed.Next() }

func (c *Chain) BestBlock(context.Context) (backend.BlockRef, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tip(), nil
}

func (c *Chain) HashAt(_ context.Context, height uint32) (chainhash.Hash, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if int(height) >= len(c.best) {
		return chainhash.Hash{}, fmt.Errorf("height %d: %w", height, backend.ErrNotFound)
	}
	return c.best[height], nil
}

func (c *Chain) Header(_ context.Context, hash chainhash.Hash) (*wire.BlockHeader, error) {
	block, err := c.block(hash)
	if err != nil {
		return nil, err
	}
	return &block.Header, nil
}

func (c *Chain) Block(_ context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	block, err := c.block(hash)
	if err == nil {
		c.mu.Lock()
		c.fetched++
		c.mu.Unlock()
	}
	return block, err
}

func (c *Chain) BlockIfTouches(ctx context.Context, hash chainhash.Hash, scripts [][]byte) (*wire.MsgBlock, error) {
	if len(scripts) == 0 {
		return nil, nil
	}
	return c.Block(ctx, hash)
}

func (c *Chain) block(hash chainhash.Hash) (*wire.MsgBlock, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	block, ok := c.blocks[hash]
	if !ok {
		return nil, fmt.Errorf("block %s: %w", hash, backend.ErrNotFound)
	}
	return block, nil
}

// Publish accepts everything. What was published is not mined by itself.
func (c *Chain) Publish(_ context.Context, tx *wire.MsgTx) (backend.PublishResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.published = append(c.published, tx)
	return backend.PublishResult{Status: backend.Accepted}, nil
}

func (c *Chain) EstimateFee(context.Context, uint32) (fees.SatPerKW, error) {
	return 0, backend.ErrNoEstimate
}

func (c *Chain) Stop() error { return nil }
