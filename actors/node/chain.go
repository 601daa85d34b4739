package node

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"stormcell/actors/durable"
	"stormcell/actors/onchain"
	"stormcell/actors/registry"
	"stormcell/actors/wallet"
	"stormcell/chain/backend"
	chainwallet "stormcell/chain/wallet"
)

// staleAfter is how old the tip may be on a network where blocks come by themselves: with an older one something is missing.
const staleAfter = 2 * time.Hour

// chainSide is the node's side towards the chain: the desk, and the wallet's world.
type chainSide struct {
	backend backend.Backend
	wallet  *chainwallet.Wallet
	runtime durable.Runtime
	desk    *onchain.Desk
	shell   *wallet.Shell
	closing func(context.Context) (int, error) // how many channels may have to be closed at our cost
	stop    context.CancelFunc
	ended   chan struct{} // closed when the desk has ended
	failed  chan error
	found   atomic.Int64 // Unix time of the tip
}

// startChain opens the desk, before any actor asks for it, and makes the world of the wallet.
func startChain(o Options, k *durable.Kernel) *chainSide {
	ctx, stop := context.WithCancel(context.Background())
	c := &chainSide{
		backend: o.Backend, wallet: o.Wallet, runtime: durable.Wall{}, stop: stop,
		ended: make(chan struct{}), failed: make(chan error, 1), closing: registry.Client{Kernel: k}.Costly,
	}
	c.desk = onchain.NewDesk(onchain.Options{
		Kernel: k, Backend: o.Backend, Runtime: c.runtime, FallbackFeeRate: o.FallbackFeeRate,
		Log: o.logOf(LogChain),
	})
	c.shell = wallet.NewShell(wallet.ShellOptions{
		Kernel: k, Runtime: c.runtime, Desk: c.desk, Chain: o.Wallet, Channels: c.closing, Log: o.logOf(LogWallet),
	})
	go func() {
		defer close(c.ended)
		if err := c.desk.Run(ctx); !errors.Is(err, context.Canceled) {
			c.failed <- fmt.Errorf("the chain cannot be followed any more: %w", err)
		}
	}()
	c.desk.Heights(func(uint32) { c.noteTip(ctx) })
	return c
}

// close ends what works for the actors, which have ended before. What takes longer than the context is left alone: a backend that
// is away may let calls wait.
func (c *chainSide) close(ctx context.Context) error {
	c.stop()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		c.shell.Close()
		<-c.ended
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("let go of the chain: %w", ctx.Err())
	}
}

// client asks the wallet.
func (c *chainSide) client(k *durable.Kernel) wallet.Client {
	return wallet.Client{Kernel: k, Desk: c.desk, Chain: c.wallet, Channels: c.closing}
}

// noteTip keeps when the tip was found, as its miner says.
func (c *chainSide) noteTip(ctx context.Context) {
	tip, _ := c.desk.Tip()
	if header, err := c.backend.Header(ctx, tip.Hash); err == nil { // else the next tip tells
		c.found.Store(header.Timestamp.Unix())
	}
}

// SyncedTo is the best block that the node knows, zero while it knows none, and whether that is all of the chain as far as can be
// told: the wallet has seen it too, and it is not old.
func (n *Node) SyncedTo() (backend.BlockRef, bool) {
	c := n.chain
	tip, _ := c.desk.Tip()
	at, synced := c.wallet.SyncedTo()
	network := c.backend.Network()
	onDemand := network == backend.Regtest || network == backend.Simnet
	fresh := onDemand || c.runtime.Now().Sub(time.Unix(c.found.Load(), 0)) < staleAfter
	return tip, synced && at == tip && fresh
}

// TipFound is when the tip was found, as its miner says; zero while that is not known.
func (n *Node) TipFound() time.Time {
	if at := n.chain.found.Load(); at != 0 {
		return time.Unix(at, 0)
	}
	return time.Time{}
}

// FollowChain lets the wallet follow the chain, once its backend is connected. After an error it can be called again.
func (n *Node) FollowChain(ctx context.Context, source chainwallet.Source) error {
	return n.chain.shell.Follow(ctx, source)
}

// ChainFailed tells why the chain cannot be followed any more, if that happens.
func (n *Node) ChainFailed() <-chan error { return n.chain.failed }

// Wallet is the node's wallet.
func (n *Node) Wallet() wallet.Client { return n.chain.client(n.Kernel) }
