// Package fees has the units in which fee rates are quoted and the bounds within which this node uses them. A rate is
// kept in satoshis per 1,000 weight units, the unit of the Lightning protocol (`feerate_per_kw`); the others are for
// backends, which think in virtual bytes, and for people.
package fees

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lntypes"
)

// SatPerKW is a fee rate in satoshis per 1,000 weight units, as in `open_channel` and `update_fee`.
type SatPerKW uint32

// SatPerVB is a fee rate in satoshis per virtual byte, as people quote it.
type SatPerVB uint32

// SatPerKVB is a fee rate in satoshis per 1,000 virtual bytes, as bitcoind and btcd quote it.
type SatPerKVB uint64

const (
	// Floor is the lowest rate at which a transaction is sure to be relayed. One sat/vB is 250 sat/kw, but a node counts
	// whole virtual bytes: at 250 a weight that is no multiple of four would fall below its minimum.
	Floor SatPerKW = 253

	// Cap is the highest rate this node uses, 1,000 sat/vB: above it an estimate is a mistake rather than a market.
	Cap SatPerKW = 250_000
)

const (
	weightPerVB = 4
	perVB       = 1000 / weightPerVB // sat/kw in one sat/vB
)

// ToKW converts the rate; one that does not fit becomes the highest that does.
func (r SatPerVB) ToKW() SatPerKW { return saturate(uint64(r) * perVB) }

// ToKW converts the rate, rounded up so that a backend's minimum stays met; one that does not fit becomes the highest that
// does.
func (r SatPerKVB) ToKW() SatPerKW {
	quarter := uint64(r) / weightPerVB
	if uint64(r)%weightPerVB != 0 {
		quarter++
	}
	return saturate(quarter)
}

// ToKVB converts the rate exactly.
func (r SatPerKW) ToKVB() SatPerKVB { return SatPerKVB(r) * weightPerVB }

// ToVB converts the rate, rounded down to whole satoshis per virtual byte.
func (r SatPerKW) ToVB() SatPerVB { return SatPerVB(r / perVB) }

// Fee is what a transaction of the given weight pays at this rate, rounded down as BOLT 3, "Fee Calculation" does it. A fee
// beyond all coins there can be is given as btcutil.MaxSatoshi.
func (r SatPerKW) Fee(weight lntypes.WeightUnit) btcutil.Amount {
	high, low := bits.Mul64(uint64(r), uint64(weight))
	if high != 0 || low/1000 > btcutil.MaxSatoshi {
		return btcutil.MaxSatoshi
	}
	return btcutil.Amount(low / 1000)
}

// Of is the rate that a fee pays for a transaction of the given weight, rounded down. It is zero for a fee that is not
// positive or a transaction without weight; a rate that does not fit becomes the highest that does.
func Of(fee btcutil.Amount, weight lntypes.WeightUnit) SatPerKW {
	if fee <= 0 || weight == 0 {
		return 0
	}
	high, low := bits.Mul64(uint64(fee), 1000)
	if high >= uint64(weight) {
		return math.MaxUint32
	}
	rate, _ := bits.Div64(high, low, uint64(weight))
	return saturate(rate)
}

// Clamp brings an estimate or a user's wish between Floor and Cap.
func (r SatPerKW) Clamp() SatPerKW { return min(max(r, Floor), Cap) }

func (r SatPerKW) String() string  { return fmt.Sprintf("%d sat/kw", uint32(r)) }
func (r SatPerVB) String() string  { return fmt.Sprintf("%d sat/vB", uint32(r)) }
func (r SatPerKVB) String() string { return fmt.Sprintf("%d sat/kvB", uint64(r)) }

func saturate(rate uint64) SatPerKW { return SatPerKW(min(rate, math.MaxUint32)) }
