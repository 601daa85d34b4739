package wallet

import (
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/lntypes"

	"stormcell/chain/bolt3"
	"stormcell/chain/fees"
)

var (
	// ErrFeeRateOutOfBounds refuses a fee rate below fees.Floor or above fees.Cap.
	ErrFeeRateOutOfBounds = errors.New("the fee rate is out of bounds")

	// ErrNothingToPay refuses a transaction without outputs.
	ErrNothingToPay = errors.New("there is nothing to pay")

	// ErrUnknownScript refuses a change script that is neither pay to witness pubkey hash nor to taproot.
	ErrUnknownScript = errors.New("the wallet does not pay to such a script")
)

// InsufficientFundsError says that the coins that may be spent do not pay for outputs and fee.
type InsufficientFundsError struct {
	Needed    btcutil.Amount // for the outputs, and for the fee with all of these coins
	Available btcutil.Amount // in coins that are worth more than spending them costs
}

func (e InsufficientFundsError) Error() string {
	return fmt.Sprintf("not enough coins: %d sat are needed with the fee, %d sat can be spent",
		int64(e.Needed), int64(e.Available))
}

// Payment is what a transaction of the wallet is to do.
type Payment struct {
	Outputs []*wire.TxOut
	FeeRate fees.SatPerKW

	// ChangeScript gets what is left over, unless it would be dust: then it goes to the fee.
	ChangeScript []byte

	// MinConfirmations are what a coin must have to be spent; 0 takes unconfirmed ones too.
	MinConfirmations uint32
}

// Selection is how a payment is paid.
type Selection struct {
	Inputs []Coin
	Change btcutil.Amount // 0: there is no change output
	Fee    btcutil.Amount
	Weight lntypes.WeightUnit // of the signed transaction, at most
}

// Select picks coins for a payment: the smallest single coin that pays it, else the largest coins until they do. Leased coins,
// immature ones and those that cost more than they are worth are left alone. The same arguments give the same selection.
// Refusals are InsufficientFundsError, ErrFeeRateOutOfBounds, ErrNothingToPay, bolt3.ErrDustOutput and ErrUnknownScript.
func Select(coins []Coin, leases *Leases, tip uint32, params *chaincfg.Params, p Payment) (Selection, error) {
	if err := p.validate(); err != nil {
		return Selection{}, err
	}
	usable := p.usable(coins, leases, tip, params)
	for i := len(usable) - 1; i >= 0; i-- {
		if selection, ok := p.pay(usable[i : i+1]); ok {
			return selection, nil
		}
	}
	for n := 2; n <= len(usable); n++ {
		if selection, ok := p.pay(usable[:n]); ok {
			return selection, nil
		}
	}
	return Selection{}, InsufficientFundsError{
		Needed: p.total() + p.FeeRate.Fee(p.weight(usable, false)), Available: sum(usable),
	}
}

// Sweep is the payment of all coins to the one output of p, whose value it sets, and how it is paid. What is to be kept comes back
// as change; 0 is nothing, and less than an output may have is not allowed. Which coins these are is as for Select, and so are the
// refusals.
func Sweep(
	coins []Coin, leases *Leases, tip uint32, params *chaincfg.Params, p Payment, keep btcutil.Amount,
) (Payment, Selection, error) {
	if err := p.validateRate(); err != nil {
		return Payment{}, Selection{}, err
	}
	if len(p.Outputs) != 1 {
		return Payment{}, Selection{}, ErrNothingToPay
	}
	usable := p.usable(coins, leases, tip, params)
	script := p.Outputs[0].PkScript
	weight := p.weight(usable, keep > 0)
	fee, available, least := p.FeeRate.Fee(weight), sum(usable), bolt3.DustThreshold(script)
	if available-fee-keep < least {
		return Payment{}, Selection{}, InsufficientFundsError{Needed: fee + least + keep, Available: available}
	}
	p.Outputs = []*wire.TxOut{wire.NewTxOut(int64(available-fee-keep), script)}
	return p, Selection{Inputs: usable, Change: keep, Fee: fee, Weight: weight}, nil
}

// usable are the coins that the payment may spend, the largest first.
func (p Payment) usable(coins []Coin, leases *Leases, tip uint32, params *chaincfg.Params) []Coin {
	var usable []Coin
	for _, c := range coins {
		if !leases.Held(c.OutPoint) && !c.immature(tip, params) && c.Confirmations(tip) >= p.MinConfirmations &&
			c.Amount > p.FeeRate.Fee(inputWeight(c.Script)) {
			usable = append(usable, c)
		}
	}
	slices.SortFunc(usable, func(a, b Coin) int {
		if a.Amount != b.Amount {
			return int(b.Amount - a.Amount)
		}
		return compareOutPoints(a.OutPoint, b.OutPoint)
	})
	return usable
}

func (p Payment) validateRate() error {
	if p.FeeRate < fees.Floor || p.FeeRate > fees.Cap {
		return fmt.Errorf("%s is not from %s to %s: %w", p.FeeRate, fees.Floor, fees.Cap, ErrFeeRateOutOfBounds)
	}
	return nil
}

func (p Payment) validate() error {
	if err := p.validateRate(); err != nil {
		return err
	}
	if len(p.Outputs) == 0 {
		return ErrNothingToPay
	}
	if inputWeight(p.ChangeScript) == 0 {
		return fmt.Errorf("change script %x: %w", p.ChangeScript, ErrUnknownScript)
	}
	return bolt3.CheckDust(&wire.MsgTx{TxOut: p.Outputs})
}

// pay tries to pay with exactly these coins.
func (p Payment) pay(coins []Coin) (Selection, bool) {
	left := sum(coins) - p.total()
	weight := p.weight(coins, true)
	if fee := p.FeeRate.Fee(weight); left-fee >= bolt3.DustThreshold(p.ChangeScript) {
		return Selection{Inputs: slices.Clone(coins), Change: left - fee, Fee: fee, Weight: weight}, true
	}
	weight = p.weight(coins, false)
	return Selection{Inputs: slices.Clone(coins), Fee: left, Weight: weight}, left >= p.FeeRate.Fee(weight)
}

func (p Payment) total() btcutil.Amount {
	var total btcutil.Amount
	for _, out := range p.Outputs {
		total += btcutil.Amount(out.Value)
	}
	return total
}

// weight is the most that the signed transaction can weigh.
func (p Payment) weight(coins []Coin, change bool) lntypes.WeightUnit {
	var estimate input.TxWeightEstimator
	for _, c := range coins {
		addInput(&estimate, c.Script)
	}
	for _, out := range p.Outputs {
		estimate.AddTxOutput(out)
	}
	if change {
		estimate.AddOutput(p.ChangeScript)
	}
	return estimate.Weight()
}

// inputWeight is what spending a coin with this script adds to a transaction; 0 for scripts that the wallet does not have.
func inputWeight(script []byte) lntypes.WeightUnit {
	var without, with input.TxWeightEstimator
	addInput(&without, p2wkhTemplate) // so that both have the marker of a witness
	addInput(&with, p2wkhTemplate)
	if !addInput(&with, script) {
		return 0
	}
	return with.Weight() - without.Weight()
}

var p2wkhTemplate = append([]byte{txscript.OP_0, txscript.OP_DATA_20}, make([]byte, 20)...)

func addInput(estimate *input.TxWeightEstimator, script []byte) bool {
	switch {
	case txscript.IsPayToWitnessPubKeyHash(script):
		estimate.AddP2WKHInput()
	case txscript.IsPayToTaproot(script):
		estimate.AddTaprootKeySpendInput(txscript.SigHashDefault)
	default:
		return false
	}
	return true
}

func sum(coins []Coin) btcutil.Amount {
	var total btcutil.Amount
	for _, c := range coins {
		total += c.Amount
	}
	return total
}
