package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"stormcell/actors/node"
	"stormcell/chain/backend"
	"stormcell/chain/backend/light"
	"stormcell/chain/backend/rpc"
	"stormcell/chain/wallet"
	"stormcell/cmd/node/config"
	"stormcell/cmd/node/fault"
)

// walletDir is what the wallet knows of the chain, in the data directory.
const walletDir = "wallet"

// disconnectLimit is how long disconnecting from the chain may take.
const disconnectLimit = 1500 * time.Millisecond

// How long a chain backend that is away is left alone: longer each time.
const (
	shortestPause = time.Second
	longestPause  = 30 * time.Second
)

// chain is the daemon's connection to the chain, and the wallet on it. Both outlive the node.
type chain struct {
	config  config.Chain
	log     *slog.Logger
	backend *backend.Pending
	wallet  *wallet.Wallet

	connecting sync.WaitGroup
	cancel     context.CancelFunc
}

// openChain opens the wallet. The backend is connected later.
func openChain(c config.Daemon, seed wallet.Seed, log *slog.Logger) (*chain, error) {
	w, err := wallet.Open(wallet.Config{Network: c.Network, Seed: seed, Dir: c.Path(walletDir)})
	if errors.Is(err, wallet.ErrForeignCache) {
		return nil, fault.New(fault.Data, err, "Remove %s: the wallet makes it again from the seed.", c.Path(walletDir))
	}
	if err != nil {
		return nil, fault.New(fault.Data, err, "Is there space on the disk, and does the directory belong to you?")
	}
	return &chain{config: c.Chain, log: log, backend: backend.NewPending(c.Network), wallet: w, cancel: func() {}}, nil
}

// connect connects the backend, however long that takes, and lets the wallet follow it. failed hears of what time does not mend.
func (c *chain) connect(n *node.Node, failed func(error)) {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.connecting.Go(func() {
		var source wallet.Source
		ok := c.patiently(ctx, "the chain backend is away; trying again", failed, func() (err error) {
			source, err = dial(ctx, c.config)
			return err
		})
		if !ok {
			return
		}
		c.backend.Connect(source)
		c.log.Info("connected to the chain", "chain", c.config.Backend)
		if c.patiently(ctx, "the wallet cannot follow the chain; trying again", failed, func() error {
			return n.FollowChain(ctx, source)
		}) {
			c.log.Info("the wallet follows the chain")
		}
	})
	c.connecting.Go(func() {
		select {
		case err := <-n.ChainFailed():
			failed(fault.New(fault.Failed, err, "Start again. If that does not help, see whether the chain backend is on the right "+
				"network."))
		case <-ctx.Done():
		}
	})
}

// patiently does something until it works, the context ends, or it never will: then it is false.
func (c *chain) patiently(ctx context.Context, trouble string, failed func(error), do func() error) bool {
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		err := do()
		switch {
		case err == nil:
			return true
		case ctx.Err() != nil:
			return false
		case errors.Is(err, backend.ErrWrongNetwork):
			failed(fault.New(fault.Failed, err, "Connect to a server of this network, or choose another with --network."))
			return false
		}
		c.log.Warn(trouble, "chain", c.config.Backend, "at", c.config.Server.Address, "error", err, "after", pause)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
}

func dial(ctx context.Context, c config.Chain) (wallet.Source, error) {
	switch c.Backend {
	case config.Neutrino:
		client, err := light.Start(context.WithoutCancel(ctx), c.Light)
		if err != nil {
			return nil, err
		}
		return client, nil
	case config.Btcd:
		server, err := rpc.DialBtcd(ctx, c.Server)
		if err != nil {
			return nil, err
		}
		return server, nil
	case config.Bitcoind:
		server, err := rpc.DialBitcoind(ctx, c.Server)
		if err != nil {
			return nil, err
		}
		return server, nil
	default:
		return nil, fmt.Errorf("there is no chain backend %q", c.Backend)
	}
}

// close closes the wallet and disconnects, when the node has stopped. A server that is away lets that take long: then it is left
// alone. What the wallet knows of the chain survives that, as it does a crash.
func (c *chain) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, disconnectLimit)
	defer cancel()
	c.cancel()
	closed := make(chan error, 1)
	go func() {
		c.connecting.Wait()
		closed <- errors.Join(c.wallet.Close(), c.backend.Stop())
	}()
	select {
	case err := <-closed:
		return err
	case <-ctx.Done():
		c.log.Warn("not disconnected from the chain: its backend does not answer", "chain", c.config.Backend)
		return nil
	}
}
