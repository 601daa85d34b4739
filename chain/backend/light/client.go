// Package light is the backend that needs no server: a light client in this process (neutrino). It downloads block headers
// and filters (BIP 157, BIP 158) from nodes that offer them, and only those blocks that a filter says may matter.
package light

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcutil/gcs/builder"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/btcsuite/btcwallet/chain"
	"github.com/btcsuite/btcwallet/walletdb"
	_ "github.com/btcsuite/btcwallet/walletdb/bdb" // the database that neutrino keeps headers in
	"github.com/lightninglabs/neutrino"
	"github.com/lightninglabs/neutrino/headerfs"
	"github.com/lightninglabs/neutrino/pushtx"

	"stormcell/chain/backend"
	"stormcell/chain/backend/internal/await"
)

// ErrNoPeers says that no node of the network is connected, so that nobody could be asked.
var ErrNoPeers = errors.New("not connected to any Bitcoin node")

// databaseTimeout is how long Start waits for another process to let go of the database.
const databaseTimeout = 10 * time.Second

// Config says where the client keeps its headers and whom it asks.
type Config struct {
	Network backend.Network
	Dir     string   // its own; what is in it can be deleted, and is downloaded again
	Peers   []string // host:port of the only nodes to connect to; without any it finds nodes itself

	MorePeers []string // host:port of nodes to connect to besides those it finds
}

// Client is a light client.
type Client struct {
	config  Config
	service *neutrino.ChainService
	db      walletdb.DB
	changed backend.Signal

	unsubscribe func()
	listening   sync.WaitGroup
}

var _ backend.Backend = (*Client)(nil)

// Start opens the directory and begins to download what has been missed. It does not wait for it: BestBlock tells how far the
// client is.
func Start(ctx context.Context, config Config) (*Client, error) {
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("start the light client: %w", err)
	}
	path := filepath.Join(config.Dir, "neutrino.db")
	db, err := walletdb.Create("bdb", path, true, databaseTimeout, false)
	if err != nil {
		return nil, fmt.Errorf("start the light client: open %s: %w", path, err)
	}
	service, err := neutrino.NewChainService(neutrino.Config{
		DataDir: config.Dir, Database: db, ChainParams: *config.Network.Params(),
		ConnectPeers: config.Peers, AddPeers: config.MorePeers, PersistToDisk: true,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the light client: %w", err), db.Close())
	}
	c := &Client{config: config, service: service, db: db, unsubscribe: func() {}}
	if err := service.Start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start the light client: %w", err), c.Stop())
	}
	if err := c.listen(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the light client: %w", err), c.Stop())
	}
	return c, nil
}

// listen raises the signal at every change of the best chain.
func (c *Client) listen() error {
	source := neutrino.RescanChainSource{ChainService: c.service}
	subscription, err := source.Subscribe(0) // from now on
	if err != nil {
		return err
	}
	c.unsubscribe = subscription.Cancel
	c.listening.Go(func() {
		for range subscription.Notifications {
			c.changed.Raise()
		}
	})
	return nil
}

func (c *Client) Network() backend.Network { return c.config.Network }

func (c *Client) Changed() <-chan struct{} { return c.changed.Next() }

// BestBlock is the tip of the headers for which the filters' headers are there too. While the client downloads them for the
// first time that is far below the tip that others see.
func (c *Client) BestBlock(context.Context) (backend.BlockRef, error) {
	best, err := c.service.BestBlock()
	if err != nil {
		return backend.BlockRef{}, fmt.Errorf("best block: %w", err)
	}
	return backend.BlockRef{Height: uint32(best.Height), Hash: best.Hash}, nil
}

func (c *Client) HashAt(ctx context.Context, height uint32) (chainhash.Hash, error) {
	best, err := c.BestBlock(ctx)
	if err != nil {
		return chainhash.Hash{}, err
	}
	if height > best.Height {
		return chainhash.Hash{}, fmt.Errorf("block at height %d: %w", height, backend.ErrNotFound)
	}
	hash, err := c.service.GetBlockHash(int64(height))
	if err != nil {
		return chainhash.Hash{}, fmt.Errorf("block at height %d: %w", height, err)
	}
	return *hash, nil
}

// Header gives headers of the best chain only.
func (c *Client) Header(_ context.Context, hash chainhash.Hash) (*wire.BlockHeader, error) {
	header, err := c.service.GetBlockHeader(&hash)
	if errors.Is(err, headerfs.ErrHashNotFound) {
		return nil, fmt.Errorf("header of block %s: %w", hash, backend.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("header of block %s: %w", hash, err)
	}
	return header, nil
}

// Block downloads a block of the best chain.
func (c *Client) Block(ctx context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	if _, err := c.Header(ctx, hash); err != nil {
		return nil, err
	}
	return await.Call(ctx, fmt.Sprintf("download block %s", hash), func() (*wire.MsgBlock, error) {
		block, err := c.service.GetBlock(hash)
		if err != nil {
			return nil, err
		}
		return block.MsgBlock(), nil
	})
}

func (c *Client) BlockIfTouches(ctx context.Context, hash chainhash.Hash, scripts [][]byte) (*wire.MsgBlock, error) {
	if len(scripts) == 0 {
		return nil, nil
	}
	touches, err := await.Call(ctx, fmt.Sprintf("filter of block %s", hash), func() (bool, error) {
		filter, err := c.service.GetCFilter(hash, wire.GCSFilterRegular, neutrino.OptimisticBatch())
		if err != nil || filter.N() == 0 {
			return false, err
		}
		return filter.MatchAny(builder.DeriveKey(&hash), scripts)
	})
	if err != nil || !touches {
		return nil, err
	}
	return c.Block(ctx, hash)
}

// Publish offers a transaction to all connected nodes, now and again after each block until it is confirmed. Nodes that
// refuse a transaction seldom say so.
func (c *Client) Publish(ctx context.Context, tx *wire.MsgTx) (backend.PublishResult, error) {
	what := fmt.Sprintf("publish %s", tx.TxHash())
	return await.Call(ctx, what, func() (backend.PublishResult, error) {
		if c.service.ConnectedCount() == 0 {
			return backend.PublishResult{}, ErrNoPeers
		}
		return publishResult(c.service.SendTransaction(tx))
	})
}

// publishResult reads what the nodes answered. An error that is no answer is returned.
func publishResult(err error) (backend.PublishResult, error) {
	var refusal *pushtx.BroadcastError
	switch {
	case err == nil:
		return backend.PublishResult{Status: backend.Accepted}, nil
	case !errors.As(err, &refusal):
		return backend.PublishResult{}, err
	}
	result := backend.Refusal(refusal.Reason)
	if result.Status == backend.Rejected && refusal.Code == pushtx.InsufficientFee {
		result.Status = backend.FeeTooLow
	}
	return result, nil
}

// WalletChain makes a client for a wallet. Stopping it leaves this one running.
func (c *Client) WalletChain() (chain.Interface, error) {
	return chain.NewNeutrinoClient(c.config.Network.Params(), c.service), nil
}

// Stop disconnects and closes the database.
func (c *Client) Stop() error {
	c.unsubscribe()
	err := errors.Join(c.service.Stop(), c.db.Close())
	c.listening.Wait()
	if err != nil {
		return fmt.Errorf("stop the light client: %w", err)
	}
	return nil
}
