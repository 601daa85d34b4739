package rpc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcjson"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/rpcclient"
	"github.com/btcsuite/btcwallet/chain"

	"stormcell/chain/backend"
	"stormcell/chain/backend/internal/await"
	"stormcell/chain/fees"
)

// ErrNoTLS refuses a certificate for bitcoind, which does not encrypt its connections.
var ErrNoTLS = errors.New("bitcoind does not offer encrypted connections")

const (
	defaultPoll = 2 * time.Second

	// A wallet asks for the whole mempool, and for many transactions at once.
	mempoolPoll  = 10 * time.Second
	mempoolBatch = 100
)

// Bitcoind is a bitcoind server: Bitcoin Core, or what speaks like it. A pruned one serves only the blocks that it has.
type Bitcoind struct {
	node
	poll   time.Duration
	cancel context.CancelFunc
	asking sync.WaitGroup

	mu      sync.Mutex
	wallets *chain.BitcoindConn // of all wallets; nil while there are none
}

var _ backend.Backend = (*Bitcoind)(nil)

// DialBitcoind asks a bitcoind whether it is on the right network, and from then on for new blocks. A server on another network
// is ErrWrongNetwork.
func DialBitcoind(ctx context.Context, config Config) (*Bitcoind, error) {
	if len(config.Certificate) > 0 {
		return nil, ErrNoTLS
	}
	connection := config.connection()
	connection.HTTPPostMode = true
	client, err := rpcclient.New(connection, nil)
	if err != nil {
		return nil, fmt.Errorf("connect to bitcoind at %s: %w", config.Address, err)
	}
	polling, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b := &Bitcoind{node: node{config: config, client: client}, poll: config.PollEvery, cancel: cancel}
	if b.poll == 0 {
		b.poll = defaultPoll
	}
	if err := b.checkNetwork(ctx); err != nil {
		return nil, errors.Join(err, b.Stop())
	}
	b.asking.Go(func() { b.look(polling) })
	return b, nil
}

// look raises the signal whenever the best block is another.
func (b *Bitcoind) look(ctx context.Context) {
	ticker := time.NewTicker(b.poll)
	defer ticker.Stop()
	var last chainhash.Hash
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		best, err := await.Call(ctx, "look for blocks", b.client.GetBestBlockHash)
		if err == nil && *best != last { // whoever uses the backend sees the error too
			last = *best
			b.changed.Raise()
		}
	}
}

// EstimateFee asks for the estimate that rather errs upwards.
func (b *Bitcoind) EstimateFee(ctx context.Context, blocks uint32) (fees.SatPerKW, error) {
	return await.Call(ctx, "estimate a fee", func() (fees.SatPerKW, error) {
		mode := btcjson.EstimateModeConservative
		estimate, err := b.client.EstimateSmartFee(int64(blocks), &mode)
		if err != nil {
			return 0, err
		}
		if estimate.FeeRate == nil {
			return 0, fmt.Errorf("%w (%s)", backend.ErrNoEstimate, strings.Join(estimate.Errors, "; "))
		}
		return clampRate(*estimate.FeeRate)
	})
}

// WalletChain makes a client for a wallet. All share a connection of their own, which ends with Stop. With a cookie it lasts
// until bitcoind is started again.
func (b *Bitcoind) WalletChain() (chain.Interface, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wallets == nil {
		user, password, err := b.config.login()
		if err != nil {
			return nil, fmt.Errorf("connect a wallet to bitcoind at %s: %w", b.config.Address, err)
		}
		connection, err := chain.NewBitcoindConn(&chain.BitcoindConfig{
			ChainParams: b.config.Network.Params(), Host: b.config.Address, User: user, Pass: password,
			PollingConfig: &chain.PollingConfig{
				BlockPollingInterval: b.poll, TxPollingInterval: mempoolPoll, RPCBatchSize: mempoolBatch,
			},
		})
		if err != nil {
			return nil, fmt.Errorf("connect a wallet to bitcoind at %s: %w", b.config.Address, err)
		}
		if err := connection.Start(); err != nil {
			return nil, fmt.Errorf("connect a wallet to bitcoind at %s: %w", b.config.Address, err)
		}
		b.wallets = connection
	}
	return b.wallets.NewBitcoindClient(), nil
}

// login is the user and password, from the cookie if there is one.
func (c Config) login() (user, password string, err error) {
	if c.CookieFile == "" {
		return c.User, c.Password, nil
	}
	cookie, err := os.ReadFile(c.CookieFile)
	if err != nil {
		return "", "", err
	}
	user, password, ok := strings.Cut(strings.TrimSpace(string(cookie)), ":")
	if !ok {
		return "", "", fmt.Errorf("%s is no cookie of bitcoind", c.CookieFile)
	}
	return user, password, nil
}

// Stop ends asking, and the wallets' connection.
func (b *Bitcoind) Stop() error {
	b.cancel()
	b.client.Shutdown()
	b.asking.Wait()
	b.client.WaitForShutdown()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wallets != nil {
		b.wallets.Stop()
	}
	return nil
}
