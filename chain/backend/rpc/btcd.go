package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcjson"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/rpcclient"
	"github.com/btcsuite/btcd/wire"
	"github.com/btcsuite/btcwallet/chain"

	"stormcell/chain/backend"
	"stormcell/chain/backend/internal/await"
	"stormcell/chain/fees"
)

// Btcd is a btcd server.
type Btcd struct{ node }

var _ backend.Backend = (*Btcd)(nil)

// DialBtcd connects to a btcd and subscribes to its blocks. A connection that is lost later is made again; until then calls
// wait. A server on another network is ErrWrongNetwork.
func DialBtcd(ctx context.Context, config Config) (*Btcd, error) {
	b := &Btcd{node{config: config}}
	connection := config.connection()
	connection.Endpoint = "ws"
	client, err := await.Call(ctx, "connect to btcd at "+config.Address, func() (*rpcclient.Client, error) {
		return rpcclient.New(connection, &rpcclient.NotificationHandlers{
			OnClientConnected:           b.changed.Raise, // what happened while it was away is not told
			OnFilteredBlockConnected:    func(int32, *wire.BlockHeader, []*btcutil.Tx) { b.changed.Raise() },
			OnFilteredBlockDisconnected: func(int32, *wire.BlockHeader) { b.changed.Raise() },
		})
	})
	if err != nil {
		return nil, err
	}
	b.client = client
	if err := b.checkNetwork(ctx); err != nil {
		return nil, errors.Join(err, b.Stop())
	}
	_, err = await.Call(ctx, "subscribe to blocks", func() (struct{}, error) { return struct{}{}, client.NotifyBlocks() })
	if err != nil {
		return nil, errors.Join(err, b.Stop())
	}
	return b, nil
}

// EstimateFee asks btcd, which estimates from the blocks it has seen since its start.
func (b *Btcd) EstimateFee(ctx context.Context, blocks uint32) (fees.SatPerKW, error) {
	return await.Call(ctx, "estimate a fee", func() (fees.SatPerKW, error) {
		perKVB, err := b.client.EstimateFee(int64(blocks))
		var refusal *btcjson.RPCError
		if errors.As(err, &refusal) {
			return 0, fmt.Errorf("%w (%s)", backend.ErrNoEstimate, refusal.Message)
		}
		if err != nil {
			return 0, err
		}
		return clampRate(perKVB)
	})
}

// WalletChain makes a second connection to the same server: a wallet has its own subscriptions.
func (b *Btcd) WalletChain() (chain.Interface, error) {
	c := b.config
	const attempts = 3
	client, err := chain.NewRPCClient(
		c.Network.Params(), c.Address, c.User, c.Password, c.Certificate, len(c.Certificate) == 0, attempts)
	if err != nil {
		return nil, fmt.Errorf("connect a wallet to btcd at %s: %w", c.Address, err)
	}
	return client, nil
}

// Stop closes the connection.
func (b *Btcd) Stop() error {
	b.client.Shutdown()
	b.client.WaitForShutdown()
	return nil
}
