package wallet

import (
	"context"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"

	"stormcell/actors/durable"
	"stormcell/actors/onchain"
	"stormcell/chain/backend"
	"stormcell/chain/fees"
	chainwallet "stormcell/chain/wallet"
)

// defaultTarget is within how many blocks a payment should confirm if nothing is said.
const defaultTarget = 6

// Client asks the wallet, for those outside. All fields must be set.
type Client struct {
	Kernel *durable.Kernel
	Desk   *onchain.Desk
	Chain  *chainwallet.Wallet
	// Channels is how many channels there are whose closing may have to be paid for.
	Channels func(context.Context) (int, error)
}

// Coins are all of a wallet at one moment.
type Coins struct {
	Coins []chainwallet.Coin
	// Leases are the coins that are set aside; also those of transactions that spend them already.
	Leases []Lease
	// Reserve is what must stay in the wallet to pay for closing channels.
	Reserve btcutil.Amount
	// Tip is the block up to which the wallet has seen the chain, and Synced whether that was the tip of the best chain.
	Tip    backend.BlockRef
	Synced bool
}

// Open makes the wallet if there is none. It must be called before anything else.
func (c Client) Open(ctx context.Context) error {
	_, err := c.Kernel.Ask(ctx, Address, Open{})
	return err
}

// NewAddress gives an address that nobody was given before. Refused with ErrUnknownBranch.
func (c Client) NewAddress(ctx context.Context, branch chainwallet.Branch) (btcutil.Address, error) {
	given, err := ask[Index](ctx, c.Kernel, NextAddress{branch})
	if err != nil {
		return nil, err
	}
	return c.Chain.Address(given.Branch, given.Index)
}

// Coins gives the wallet's coins, and which are set aside.
func (c Client) Coins(ctx context.Context) (Coins, error) {
	leases, err := ask[[]Lease](ctx, c.Kernel, ListLeases{})
	if err != nil {
		return Coins{}, err
	}
	coins, err := c.Chain.Coins()
	if err != nil {
		return Coins{}, err
	}
	channels, err := c.Channels(ctx)
	if err != nil {
		return Coins{}, fmt.Errorf("count the channels: %w", err)
	}
	tip, synced := c.Chain.SyncedTo()
	return Coins{Coins: coins, Leases: leases, Reserve: reserveFor(channels), Tip: tip, Synced: synced}, nil
}

// Balance is what the coins are worth.
func (c Client) Balance(ctx context.Context) (chainwallet.Balance, error) {
	all, err := c.Coins(ctx)
	if err != nil {
		return chainwallet.Balance{}, err
	}
	held, err := all.held()
	if err != nil {
		return chainwallet.Balance{}, err
	}
	return chainwallet.BalanceOf(all.Coins, held, all.Tip.Height, c.Chain.Params()), nil
}

// held are the leases as coins are picked by them.
func (c Coins) held() (*chainwallet.Leases, error) {
	held := &chainwallet.Leases{}
	for _, l := range c.Leases {
		if err := held.Add("leased", l.Coin); err != nil {
			return nil, err
		}
	}
	return held, nil
}

// Estimate is how Send would pay now, and at which rate; it sets nothing aside. A request for All has no estimate. Errors are
// those of chainwallet.Select and onchain.ErrNoFeeRate.
func (c Client) Estimate(ctx context.Context, r SendRequest) (chainwallet.Selection, fees.SatPerKW, error) {
	none := chainwallet.Selection{}
	if r.FeeRate == 0 {
		var err error
		if r.FeeRate, err = c.FeeRate(ctx, r.Target); err != nil {
			return none, 0, err
		}
	}
	all, err := c.Coins(ctx)
	if err != nil {
		return none, 0, err
	}
	held, err := all.held()
	if err != nil {
		return none, 0, err
	}
	change, err := c.Chain.Address(changeBranch, 0) // any of its kind costs the same
	if err != nil {
		return none, 0, err
	}
	script, err := txscript.PayToAddrScript(change)
	if err != nil {
		return none, 0, err
	}
	selection, err := chainwallet.Select(all.Coins, held, all.Tip.Height, c.Chain.Params(), chainwallet.Payment{
		Outputs: r.Outputs, FeeRate: r.FeeRate, ChangeScript: script, MinConfirmations: r.MinConfirmations,
	})
	return selection, r.FeeRate, err
}

// Send pays, and returns when the network has taken the transaction, or when it could not be asked for some time: the transaction
// is published until it is confirmed. Errors are Send's refusals and onchain.ErrNoFeeRate.
func (c Client) Send(ctx context.Context, r SendRequest) (chainhash.Hash, error) {
	if r.FeeRate == 0 {
		var err error
		if r.FeeRate, err = c.FeeRate(ctx, r.Target); err != nil {
			return chainhash.Hash{}, err
		}
	}
	return ask[chainhash.Hash](ctx, c.Kernel, Send{
		Payment: chainwallet.Payment{Outputs: r.Outputs, FeeRate: r.FeeRate, MinConfirmations: r.MinConfirmations},
		All:     r.All, Label: r.Label,
	})
}

// Transactions are all that pay to the wallet or spend from it, the oldest block first, and those in no block last.
func (c Client) Transactions(context.Context) ([]chainwallet.Transaction, error) {
	return c.Chain.Transactions()
}

// Watch calls look, and again whenever Transactions may give something else than before, until it fails or ctx ends. The errors
// are look's and the context's.
func (c Client) Watch(ctx context.Context, look func() error) error { return c.Chain.Watch(ctx, look) }

// FeeRate is the rate at which a transaction should confirm within that many blocks; 0 leaves it to the wallet.
func (c Client) FeeRate(ctx context.Context, blocks uint32) (fees.SatPerKW, error) {
	if blocks == 0 {
		blocks = defaultTarget
	}
	return c.Desk.FeeRate(ctx, blocks)
}

func ask[T any](ctx context.Context, k *durable.Kernel, question any) (T, error) {
	var none T
	answer, err := k.Ask(ctx, Address, question)
	if err != nil {
		return none, err
	}
	if failure, failed := answer.(error); failed {
		return none, failure
	}
	typed, ok := answer.(T)
	if !ok {
		return none, fmt.Errorf("the wallet answers %T to %T", answer, question)
	}
	return typed, nil
}
