package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcjson"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/rpcclient"
	"github.com/btcsuite/btcd/wire"

	"stormcell/chain/backend"
	"stormcell/chain/backend/internal/await"
	"stormcell/chain/fees"
)

// node is what btcd and bitcoind have in common.
type node struct {
	config  Config
	client  *rpcclient.Client
	changed backend.Signal
}

func (n *node) Network() backend.Network { return n.config.Network }

func (n *node) Changed() <-chan struct{} { return n.changed.Next() }

// checkNetwork compares the genesis block with the one of the network we want.
func (n *node) checkNetwork(ctx context.Context) error {
	genesis, err := n.HashAt(ctx, 0)
	if err != nil {
		return err
	}
	if want := n.config.Network.Params().GenesisHash; genesis != *want {
		return fmt.Errorf("%s is not on %s: its genesis block is %s: %w",
			n.config.Address, n.config.Network, genesis, backend.ErrWrongNetwork)
	}
	return nil
}

func (n *node) BestBlock(ctx context.Context) (backend.BlockRef, error) {
	return await.Call(ctx, "best block", func() (backend.BlockRef, error) {
		hash, err := n.client.GetBestBlockHash()
		if err != nil {
			return backend.BlockRef{}, err
		}
		header, err := n.client.GetBlockHeaderVerbose(hash)
		if err != nil {
			return backend.BlockRef{}, err
		}
		return backend.BlockRef{Height: uint32(header.Height), Hash: *hash}, nil
	})
}

func (n *node) HashAt(ctx context.Context, height uint32) (chainhash.Hash, error) {
	return await.Call(ctx, fmt.Sprintf("block at height %d", height), func() (chainhash.Hash, error) {
		hash, err := n.client.GetBlockHash(int64(height))
		if err != nil {
			return chainhash.Hash{}, notFound(err, btcjson.ErrRPCOutOfRange, btcjson.ErrRPCInvalidParameter)
		}
		return *hash, nil
	})
}

func (n *node) Header(ctx context.Context, hash chainhash.Hash) (*wire.BlockHeader, error) {
	return await.Call(ctx, fmt.Sprintf("header of block %s", hash), func() (*wire.BlockHeader, error) {
		header, err := n.client.GetBlockHeader(&hash)
		return header, notFound(err, btcjson.ErrRPCBlockNotFound)
	})
}

func (n *node) Block(ctx context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	return await.Call(ctx, fmt.Sprintf("block %s", hash), func() (*wire.MsgBlock, error) {
		block, err := n.client.GetBlock(&hash)
		return block, notFound(err, btcjson.ErrRPCBlockNotFound)
	})
}

func (n *node) BlockIfTouches(ctx context.Context, hash chainhash.Hash, scripts [][]byte) (*wire.MsgBlock, error) {
	if len(scripts) == 0 {
		return nil, nil
	}
	return n.Block(ctx, hash)
}

func (n *node) Publish(ctx context.Context, tx *wire.MsgTx) (backend.PublishResult, error) {
	return await.Call(ctx, fmt.Sprintf("publish %s", tx.TxHash()), func() (backend.PublishResult, error) {
		_, err := n.client.SendRawTransaction(tx, true) // the fee was judged by who made the transaction
		return publishResult(err)
	})
}

// publishResult reads a server's answer. An error that is no answer is returned.
func publishResult(err error) (backend.PublishResult, error) {
	var refusal *btcjson.RPCError
	switch {
	case err == nil:
		return backend.PublishResult{Status: backend.Accepted}, nil
	case errors.As(err, &refusal):
		return backend.Refusal(refusal.Message), nil
	default:
		return backend.PublishResult{}, err
	}
}

// clampRate turns a server's estimate, in bitcoins per 1,000 virtual bytes, into one that we use.
func clampRate(perKVB float64) (fees.SatPerKW, error) {
	if perKVB <= 0 { // how a server says that it does not know
		return 0, backend.ErrNoEstimate
	}
	amount, err := btcutil.NewAmount(perKVB)
	if err != nil {
		return 0, err
	}
	return fees.SatPerKVB(amount).ToKW().Clamp(), nil
}

// notFound turns a server's refusal with one of the codes into ErrNotFound.
func notFound(err error, codes ...btcjson.RPCErrorCode) error {
	var refusal *btcjson.RPCError
	if errors.As(err, &refusal) {
		for _, code := range codes {
			if refusal.Code == code {
				return fmt.Errorf("%w (%s)", backend.ErrNotFound, refusal.Message)
			}
		}
	}
	return err
}
