package channel

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcutil"
	btcwire "github.com/btcsuite/btcd/wire"

	"stormcell/chain/bolt3"
	"stormcell/chain/fees"
	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// closingSlack is how many times our own estimate we pay as the opener before we would rather not close together.
const closingSlack = 2

// legacyClosing describes the closing transaction at a fee.
func (t *turn) legacyClosing(fee btcutil.Amount) bolt3.LegacyClosing {
	closing := bolt3.LegacyClosing{Fee: fee}
	closing.Payouts[t.c.role(Local)], closing.Payouts[t.c.role(Remote)] = t.payout(Local), t.payout(Remote)
	return closing
}

// closingFee is what the closing transaction with all its outputs pays at a rate.
func (t *turn) closingFee(rate fees.SatPerKW) (btcutil.Amount, error) {
	txs, err := t.c.Active[0].Funding.LegacyClosingTxs(t.legacyClosing(0), t.c.role(Local))
	if err != nil {
		return 0, err
	}
	return rate.Fee(bolt3.ClosingWeight(txs[0])), nil
}

// offerLegacy proposes a fee as the opener, who pays it.
func (t *turn) offerLegacy() error {
	fee, err := t.closingFee(fees.SatPerKW(t.shutdown.GetSatPerKw()))
	if err != nil {
		return violation("closing_signed: %w", err)
	}
	least, err := t.closingFee(fees.Floor)
	if err != nil {
		return violation("closing_signed: %w", err)
	}
	// The opener pays no more than it has; if that is not enough to be relayed the commitment has to do.
	most := min(fee*closingSlack, t.payout(Local).Balance.ToSatoshis())
	return t.signLegacy(min(fee, most), wire.FeeRange{Min: min(least, most), Max: most})
}

// signLegacy sends `closing_signed`, always with a fee_range: there are nodes that close without one.
func (t *turn) signLegacy(fee btcutil.Amount, within wire.FeeRange) error {
	return t.signLegacyAgainst(nil, fee, within)
}

// signLegacyAgainst proposes a fee in place of one that the peer proposed.
func (t *turn) signLegacyAgainst(other *wire.ClosingSigned, fee btcutil.Amount, within wire.FeeRange) error {
	a := t.c.Active[0]
	txs, err := a.Funding.LegacyClosingTxs(t.legacyClosing(fee), t.c.role(Local))
	if err != nil {
		return violation("closing_signed: %w", err)
	}
	signature, err := t.signClosing(txs[0])
	if err != nil {
		return err
	}
	m := &wire.ClosingSigned{ChanID: t.c.ChannelID, Fee: fee, Signature: signature, FeeRange: &within}
	t.stage(&offered{legacy: m, against: other})
	t.write(m)
	return nil
}

func (t *turn) signClosing(tx *btcwire.MsgTx) (wire.Sig, error) {
	a := t.c.Active[0]
	signatures, err := t.Signer.Sign([]keys.SignRequest{a.Funding.ClosingSignRequest(tx, a.FundingKey)})
	if err != nil {
		return wire.Sig{}, fmt.Errorf("sign the closing transaction: %w", err)
	}
	return signatures[0], nil
}

// closingSignedReceived agrees to a fee or proposes one (BOLT 2, "Legacy Closing Negotiation: `closing_signed`").
func (t *turn) closingSignedReceived(m *wire.ClosingSigned) error {
	if err := t.mayNegotiate(m); err != nil {
		return err
	}
	tx, err := t.signedByPeer(m)
	if err != nil {
		return violation("closing_signed: %w", err)
	}
	last := t.lastLegacy()
	if last == nil {
		if t.c.Opener {
			return violation("closing_signed before ours: %w", ErrUnexpected)
		}
		return t.answerLegacy(m, tx)
	}
	if m.Fee == last.Fee {
		return t.agree(tx, m.Signature)
	}
	if !t.c.Opener {
		return t.answerLegacy(m, tx)
	}
	if m.Fee >= last.FeeRange.Min && m.Fee <= last.FeeRange.Max {
		if err := t.signLegacy(m.Fee, *last.FeeRange); err != nil {
			return err
		}
		return t.agree(tx, m.Signature)
	}
	return t.holdOut(m, *last.FeeRange)
}

// holdOut answers a fee out of our range by the end of it that is nearest. There are nodes that heed no fee_range, and come
// nearer by some percent with each message; one that does not move is not waited for.
func (t *turn) holdOut(m *wire.ClosingSigned, within wire.FeeRange) error {
	nearest := min(max(m.Fee, within.Min), within.Max)
	distance := func(fee btcutil.Amount) btcutil.Amount { return max(fee-nearest, nearest-fee) }
	if before := t.lastAgainst(); before != nil && distance(m.Fee) >= distance(before.Fee) {
		return violation("closing_signed: %w: fee of %v after %v, where we proposed %v", ErrFeeRate, m.Fee, before.Fee, nearest)
	}
	return t.signLegacyAgainst(m, nearest, within)
}

func (t *turn) lastLegacy() *wire.ClosingSigned {
	if t.offer == nil {
		return nil
	}
	return t.offer.legacy
}

// lastAgainst is the proposal of the peer that our last one did not agree to.
func (t *turn) lastAgainst() *wire.ClosingSigned {
	if t.offer == nil {
		return nil
	}
	return t.offer.against
}

// answerLegacy takes the opener's fee, which costs us nothing, unless the transaction would not be relayed.
func (t *turn) answerLegacy(m *wire.ClosingSigned, tx *btcwire.MsgTx) error {
	least, err := t.closingFee(fees.Floor)
	if err != nil {
		return violation("closing_signed: %w", err)
	}
	within := wire.FeeRange{Min: least, Max: max(m.Fee, least)}
	if m.FeeRange != nil {
		within.Max = max(within.Max, m.FeeRange.Max)
	}
	if m.Fee >= least {
		if err := t.signLegacy(m.Fee, within); err != nil {
			return err
		}
		return t.agree(tx, m.Signature)
	}
	if m.FeeRange != nil && m.FeeRange.Max < least {
		return violation("closing_signed: %w: no fee of %v to %v is relayed", ErrFeeRate, m.FeeRange.Min, m.FeeRange.Max)
	}
	return t.holdOut(m, within)
}

// signedByPeer is the closing transaction that the peer's signature is for.
func (t *turn) signedByPeer(m *wire.ClosingSigned) (*btcwire.MsgTx, error) {
	funding, peer := t.c.Active[0].Funding, t.c.role(Remote)
	txs, err := funding.LegacyClosingTxs(t.legacyClosing(m.Fee), peer)
	if err != nil {
		return nil, err
	}
	for _, tx := range txs {
		if err = funding.VerifyClosing(tx, peer, m.Signature); err == nil {
			return tx, bolt3.CheckDust(tx)
		}
	}
	return nil, err
}

// agree publishes a closing transaction that the peer has signed.
func (t *turn) agree(tx *btcwire.MsgTx, signature wire.Sig) error {
	own, err := t.signClosing(tx)
	if err != nil {
		return err
	}
	signed := t.c.Active[0].Funding.SignedClosing(tx, t.c.role(Local), own, signature)
	var raw bytes.Buffer
	if err := signed.Serialize(&raw); err != nil {
		return fmt.Errorf("closing transaction: %w", err)
	}
	switch {
	case t.hasAgreed(signed):
	case len(t.shutdown.GetTxs()) < maxAgreed:
		t.event(&pb.ClosingAgreed{Tx: raw.Bytes()})
	default:
		return nil // the peer has it, and may publish it
	}
	t.release(Publish{Tx: signed})
	return nil
}

// hasAgreed tells whether a closing transaction is one that both sides have signed before.
func (s *State) hasAgreed(tx *btcwire.MsgTx) bool {
	return slices.ContainsFunc(s.shutdown.GetTxs(), func(raw []byte) bool {
		agreed, err := readTx(raw)
		return err == nil && agreed.TxHash() == tx.TxHash()
	})
}
