package bolt3

import (
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
)

// ErrVariantMissing refuses a `closing_complete` without the signature that the closee must use.
var ErrVariantMissing = errors.New("closing_complete lacks the signature for the transaction to be used")

// ClosingVariant is which outputs a simple close has. Its value is the type of its signature's TLV.
type ClosingVariant uint8

const (
	CloserOutputOnly       ClosingVariant = 1
	CloseeOutputOnly       ClosingVariant = 2
	CloserAndCloseeOutputs ClosingVariant = 3
)

func (v ClosingVariant) String() string {
	switch v {
	case CloserOutputOnly:
		return "closer_output_only"
	case CloseeOutputOnly:
		return "closee_output_only"
	case CloserAndCloseeOutputs:
		return "closer_and_closee_outputs"
	default:
		return fmt.Sprintf("closing variant %d", uint8(v))
	}
}

// SimpleClosing describes the transaction of `closing_complete` (BOLT 3, "Closing Transaction"). The closer is the side
// that sends it, and pays the fee.
type SimpleClosing struct {
	Closer, Closee Payout
	Fee            btcutil.Amount // `fee_satoshis`
	LockTime       uint32
}

// check holds the fee against the closer's balance, as both sides must.
func (s *SimpleClosing) check() error {
	if balance := s.Closer.Balance.ToSatoshis(); s.Fee < 0 || s.Fee > balance {
		return fmt.Errorf("fee of %v of %v: %w", s.Fee, balance, ErrFeeTooHigh)
	}
	return nil
}

// closerOutput and closeeOutput give up the amount of an OP_RETURN output to fees.
func (s *SimpleClosing) closerOutput() *wire.TxOut {
	return payoutOf(s.Closer.Balance.ToSatoshis()-s.Fee, s.Closer.PkScript)
}

func (s *SimpleClosing) closeeOutput() *wire.TxOut {
	return payoutOf(s.Closee.Balance.ToSatoshis(), s.Closee.PkScript)
}

func payoutOf(amount btcutil.Amount, pkScript []byte) *wire.TxOut {
	if isOpReturn(pkScript) {
		amount = 0
	}
	return wire.NewTxOut(int64(amount), pkScript)
}

func isDust(output *wire.TxOut) bool {
	return btcutil.Amount(output.Value) < DustThreshold(output.PkScript)
}

// Offers are the variants that the closer signs in its `closing_complete` (BOLT 2, "Closing Negotiation"). Uneconomical
// says that the closer would rather not have its own output; it counts where leaving it out is allowed. Errors are
// ErrFeeTooHigh and ErrNothingLeft.
func (s *SimpleClosing) Offers(uneconomical bool) ([]ClosingVariant, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	closer, closee := s.closerOutput(), s.closeeOutput()
	if isDust(closer) && isDust(closee) {
		return nil, ErrNothingLeft
	}
	if s.Closer.Balance < s.Closee.Balance {
		switch {
		case isDust(closer):
			return []ClosingVariant{CloseeOutputOnly}, nil
		case uneconomical && !isOpReturn(closer.PkScript):
			return []ClosingVariant{CloseeOutputOnly, CloserAndCloseeOutputs}, nil
		default:
			return []ClosingVariant{CloserAndCloseeOutputs}, nil
		}
	}
	if isDust(closee) {
		return []ClosingVariant{CloserOutputOnly}, nil
	}
	return []ClosingVariant{CloserOutputOnly, CloserAndCloseeOutputs}, nil
}

// Choose is the variant that the closee signs and publishes, of those that `closing_complete` has signatures for.
// Uneconomical says that the closee would rather not have its own output. Errors are ErrFeeTooHigh and ErrVariantMissing.
func (s *SimpleClosing) Choose(offered []ClosingVariant, uneconomical bool) (ClosingVariant, error) {
	if err := s.check(); err != nil {
		return 0, err
	}
	closee := s.closeeOutput()
	choice := CloseeOutputOnly
	switch {
	case isDust(closee), uneconomical && !isOpReturn(closee.PkScript):
		choice = CloserOutputOnly
	case slices.Contains(offered, CloserAndCloseeOutputs):
		choice = CloserAndCloseeOutputs
	}
	if !slices.Contains(offered, choice) {
		return 0, fmt.Errorf("%s: %w", choice, ErrVariantMissing)
	}
	return choice, nil
}

// SimpleClosingTx builds one variant. It fails with ErrFeeTooHigh.
func (c *Channel) SimpleClosingTx(closing SimpleClosing, variant ClosingVariant) (*wire.MsgTx, error) {
	if err := closing.check(); err != nil {
		return nil, err
	}
	var outputs []*wire.TxOut
	switch variant {
	case CloserOutputOnly:
		outputs = []*wire.TxOut{closing.closerOutput()}
	case CloseeOutputOnly:
		outputs = []*wire.TxOut{closing.closeeOutput()}
	case CloserAndCloseeOutputs:
		outputs = []*wire.TxOut{closing.closerOutput(), closing.closeeOutput()}
	default:
		return nil, fmt.Errorf("build a closing transaction: unknown %s", variant)
	}
	return c.closingTx(finalSequence, closing.LockTime, outputs), nil
}
