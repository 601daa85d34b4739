package wallet

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/wire"
)

// Coin is an output on the chain that the wallet can spend, or will be able to.
type Coin struct {
	OutPoint wire.OutPoint
	Amount   btcutil.Amount
	Script   []byte // pay to witness pubkey hash, or to taproot
	Height   uint32 // of the block it is in; 0 while it is in none
	Coinbase bool
}

// Confirmations are how deep the coin's block is below a tip: 1 in the tip itself, 0 in none.
func (c Coin) Confirmations(tip uint32) uint32 {
	if c.Height == 0 || c.Height > tip {
		return 0
	}
	return tip - c.Height + 1
}

// immature tells whether the coin is a miner's reward that may not be spent in the next block.
func (c Coin) immature(tip uint32, params *chaincfg.Params) bool {
	return c.Coinbase && c.Confirmations(tip) < uint32(params.CoinbaseMaturity)
}

// Balance is what the wallet's coins are worth. Each coin counts once.
type Balance struct {
	Confirmed   btcutil.Amount // in a block, and free to spend
	Unconfirmed btcutil.Amount // in no block yet
	Immature    btcutil.Amount // miners' rewards that cannot be spent yet
	Leased      btcutil.Amount // set aside for something
}

// Total is the sum of all.
func (b Balance) Total() btcutil.Amount { return b.Confirmed + b.Unconfirmed + b.Immature + b.Leased }

// BalanceOf adds up coins at a tip.
func BalanceOf(coins []Coin, leases *Leases, tip uint32, params *chaincfg.Params) Balance {
	var b Balance
	for _, c := range coins {
		switch {
		case leases.Held(c.OutPoint):
			b.Leased += c.Amount
		case c.immature(tip, params):
			b.Immature += c.Amount
		case c.Confirmations(tip) == 0:
			b.Unconfirmed += c.Amount
		default:
			b.Confirmed += c.Amount
		}
	}
	return b
}

// LeaseID names what coins are set aside for.
type LeaseID string

// CoinLeasedError refuses to lease a coin that is set aside for something else.
type CoinLeasedError struct {
	OutPoint wire.OutPoint
	For      LeaseID
}

func (e CoinLeasedError) Error() string {
	return fmt.Sprintf("coin %s is set aside for %q", e.OutPoint, string(e.For))
}

// Leases are the coins that are set aside, so that nothing else spends them. They have no end of their own: whoever leases
// must release, or spend. The zero value has none; it is not for several goroutines.
type Leases struct{ held map[wire.OutPoint]LeaseID }

// Add sets coins aside, all or none. It is no mistake to add again what is there. A coin that is set aside for something else
// is a CoinLeasedError.
func (l *Leases) Add(id LeaseID, coins ...wire.OutPoint) error {
	for _, coin := range coins {
		if holder, ok := l.held[coin]; ok && holder != id {
			return CoinLeasedError{OutPoint: coin, For: holder}
		}
	}
	if l.held == nil {
		l.held = make(map[wire.OutPoint]LeaseID)
	}
	for _, coin := range coins {
		l.held[coin] = id
	}
	return nil
}

// Release gives back all coins that are set aside for something.
func (l *Leases) Release(id LeaseID) {
	for coin, holder := range l.held {
		if holder == id {
			delete(l.held, coin)
		}
	}
}

// Held tells whether a coin is set aside. A nil Leases holds nothing.
func (l *Leases) Held(coin wire.OutPoint) bool {
	if l == nil {
		return false
	}
	_, ok := l.held[coin]
	return ok
}

// Of are the coins that are set aside for something, in the order of their outpoints.
func (l *Leases) Of(id LeaseID) []wire.OutPoint {
	var coins []wire.OutPoint
	for coin, holder := range l.held {
		if holder == id {
			coins = append(coins, coin)
		}
	}
	slices.SortFunc(coins, compareOutPoints)
	return coins
}

func compareOutPoints(a, b wire.OutPoint) int {
	if order := bytes.Compare(a.Hash[:], b.Hash[:]); order != 0 {
		return order
	}
	return int(a.Index) - int(b.Index)
}
