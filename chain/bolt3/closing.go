package bolt3

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/chain/keys"
)

var (
	// ErrFeeTooHigh refuses a closing fee that the side which pays it does not have.
	ErrFeeTooHigh = errors.New("closing fee exceeds the balance of the side that pays it")
	// ErrNothingLeft refuses a close all of whose outputs would be dust.
	ErrNothingLeft = errors.New("closing transaction has no output that is not dust")
)

// Payout is what one side of a channel is left with, and where it goes.
type Payout struct {
	Balance  lnwire.MilliSatoshi
	PkScript []byte // of that side's `shutdown`
}

// LegacyClosing describes the closing transaction of `closing_signed`.
type LegacyClosing struct {
	Payouts [2]Payout      // by Side
	Fee     btcutil.Amount // `fee_satoshis`, which the opener pays
}

// LegacyClosingTxs are the transactions that a side may sign in `closing_signed`: first the one with every output that is
// not below its dust limit, then, if there is another, the one without its own output. The signature says which is meant.
// Errors are ErrFeeTooHigh and ErrNothingLeft.
func (c *Channel) LegacyClosingTxs(closing LegacyClosing, signer Side) ([]*wire.MsgTx, error) {
	amounts := [2]btcutil.Amount{
		Opener:   closing.Payouts[Opener].Balance.ToSatoshis() - closing.Fee,
		Accepter: closing.Payouts[Accepter].Balance.ToSatoshis(),
	}
	if closing.Fee < 0 || amounts[Opener] < 0 {
		return nil, fmt.Errorf("fee of %v of %v: %w",
			closing.Fee, closing.Payouts[Opener].Balance.ToSatoshis(), ErrFeeTooHigh)
	}
	var own, other []*wire.TxOut
	for side, amount := range amounts {
		if amount == 0 || amount < c.Parties[signer].DustLimit {
			continue
		}
		output := wire.NewTxOut(int64(amount), closing.Payouts[side].PkScript)
		if Side(side) == signer {
			own = append(own, output)
		} else {
			other = append(other, output)
		}
	}
	if len(own)+len(other) == 0 {
		return nil, ErrNothingLeft
	}
	txs := []*wire.MsgTx{c.closingTx(wire.MaxTxInSequenceNum, 0, slices.Concat(own, other))}
	if len(own) > 0 && len(other) > 0 {
		txs = append(txs, c.closingTx(wire.MaxTxInSequenceNum, 0, other))
	}
	return txs, nil
}

func (c *Channel) closingTx(sequence, lockTime uint32, outputs []*wire.TxOut) *wire.MsgTx {
	slices.SortFunc(outputs, func(a, b *wire.TxOut) int {
		return cmp.Or(cmp.Compare(a.Value, b.Value), bytes.Compare(a.PkScript, b.PkScript))
	})
	tx := wire.NewMsgTx(2)
	tx.LockTime = lockTime
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: c.Outpoint, Sequence: sequence})
	tx.TxOut = outputs
	return tx
}

// ClosingSignRequest asks for our signature of a closing transaction.
func (c *Channel) ClosingSignRequest(tx *wire.MsgTx, funding uint32) keys.SignRequest {
	return keys.SignRequest{Input: c.fundingInput(tx), Key: keys.FundingKeyRef(funding)}
}

// VerifyClosing checks a side's signature of a closing transaction. A refusal is keys.ErrInvalidSignature.
func (c *Channel) VerifyClosing(tx *wire.MsgTx, signer Side, signature lnwire.Sig) error {
	if err := c.fundingInput(tx).Verify(c.Parties[signer].FundingKey, signature); err != nil {
		return fmt.Errorf("signature of the closing transaction by the %s: %w", signer, err)
	}
	return nil
}

// SignedClosing is the closing transaction ready to be published, from the signatures of one side and of the other.
func (c *Channel) SignedClosing(tx *wire.MsgTx, side Side, signature, other lnwire.Sig) *wire.MsgTx {
	return c.sign(tx, side, signature, other)
}
