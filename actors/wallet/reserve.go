package wallet

import (
	"fmt"

	"github.com/btcsuite/btcd/btcutil"

	chainwallet "stormcell/chain/wallet"
)

const (
	// reservePerChannel stays in the wallet for each channel: the commitment of an anchors channel may need coins of ours to get
	// into a block.
	reservePerChannel btcutil.Amount = 10_000
	// maxReserve is what many channels need: they do not all close at once.
	maxReserve btcutil.Amount = 100_000
)

// reserveFor is what must stay in the wallet with so many channels.
func reserveFor(channels int) btcutil.Amount {
	return min(btcutil.Amount(channels)*reservePerChannel, maxReserve)
}

// ReserveError refuses what would leave too little in the wallet to pay for the closing of channels.
type ReserveError struct{ Left, Reserve btcutil.Amount }

// Error begins as lnd's: clients look for it.
func (e ReserveError) Error() string {
	return fmt.Sprintf("reserved wallet balance invalidated: this would leave %d sat in the wallet, and %d sat must stay there to pay "+
		"for closing channels", int64(e.Left), int64(e.Reserve))
}

// keepReserve tells whether enough is left in the wallet after a selection.
func (t *turn) keepReserve(l Looked, s chainwallet.Selection) error {
	left := s.Change
	held := t.held()
	for _, c := range l.Coins {
		if !held.Held(c.OutPoint) {
			left += c.Amount
		}
	}
	for _, c := range s.Inputs {
		left -= c.Amount
	}
	if left < l.Reserve {
		return ReserveError{Left: left, Reserve: l.Reserve}
	}
	return nil
}
