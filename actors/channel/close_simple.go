package channel

import (
	"bytes"
	"errors"

	btcwire "github.com/btcsuite/btcd/wire"

	"stormcell/chain/bolt3"
	"stormcell/chain/fees"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// signatureOf is where a proposal has its signature for a variant.
func signatureOf(p *wire.ClosingProposal, v bolt3.ClosingVariant) **wire.Sig {
	switch v {
	case bolt3.CloserOutputOnly:
		return &p.CloserOnly
	case bolt3.CloseeOutputOnly:
		return &p.CloseeOnly
	default:
		return &p.Both
	}
}

// variantsIn are those that a proposal has signatures for.
func variantsIn(p *wire.ClosingProposal) []bolt3.ClosingVariant {
	var in []bolt3.ClosingVariant
	for _, v := range []bolt3.ClosingVariant{bolt3.CloserOutputOnly, bolt3.CloseeOutputOnly, bolt3.CloserAndCloseeOutputs} {
		if *signatureOf(p, v) != nil {
			in = append(in, v)
		}
	}
	return in
}

// offerSimple sends `closing_complete` for a transaction whose fee we pay (BOLT 2, "Closing Negotiation: `closing_complete`
// and `closing_sig`"). A side that cannot pay leaves it to the other.
func (t *turn) offerSimple() error {
	funding := t.c.Active[0].Funding
	closing := bolt3.SimpleClosing{Closer: t.payout(Local), Closee: t.payout(Remote), LockTime: t.height}
	tx, err := funding.SimpleClosingTx(closing, bolt3.CloserAndCloseeOutputs)
	if err != nil {
		return violation("closing_complete: %w", err)
	}
	closing.Fee = fees.SatPerKW(t.shutdown.GetSatPerKw()).Fee(bolt3.ClosingWeight(tx))
	variants, err := closing.Offers(false)
	if errors.Is(err, bolt3.ErrFeeTooHigh) || errors.Is(err, bolt3.ErrNothingLeft) {
		return nil
	}
	m := &wire.ClosingComplete{ClosingProposal: wire.ClosingProposal{
		ChanID: t.c.ChannelID, CloserScript: closing.Closer.PkScript, CloseeScript: closing.Closee.PkScript, Fee: closing.Fee,
		LockTime: closing.LockTime,
	}}
	for _, v := range variants {
		tx, err := funding.SimpleClosingTx(closing, v)
		if err != nil {
			return violation("closing_complete: %w", err)
		}
		signature, err := t.signClosing(tx)
		if err != nil {
			return err
		}
		*signatureOf(&m.ClosingProposal, v) = &signature
	}
	t.stage(&offered{simple: m})
	t.write(m)
	return nil
}

// closingCompleteReceived signs and publishes the transaction whose fee the peer pays.
func (t *turn) closingCompleteReceived(m *wire.ClosingComplete) error {
	if err := t.mayNegotiate(m); err != nil {
		return err
	}
	if !bytes.Equal(m.CloseeScript, t.shutdown.GetLocalScript()) {
		return violation("closing_complete: closee_scriptpubkey is not what we sent: %w", ErrUnexpected)
	}
	if err := t.checkPeerScript(m.CloserScript); err != nil {
		return err
	}
	closing := bolt3.SimpleClosing{
		Closer: bolt3.Payout{Balance: t.c.Active[0].Balance[Remote], PkScript: m.CloserScript}, Closee: t.payout(Local),
		Fee: m.Fee, LockTime: m.LockTime,
	}
	variant, err := closing.Choose(variantsIn(&m.ClosingProposal), false)
	if err != nil {
		return violation("closing_complete: %w", err)
	}
	tx, signature, err := t.verifySimple(closing, variant, &m.ClosingProposal)
	if err != nil {
		return err
	}
	own, err := t.signClosing(tx)
	if err != nil {
		return err
	}
	if !bytes.Equal(m.CloserScript, t.shutdown.GetRemoteScript()) {
		t.event(&pb.ShutdownReceived{Script: m.CloserScript})
	}
	answer := &wire.ClosingSig{ClosingProposal: m.ClosingProposal}
	answer.CloserOnly, answer.CloseeOnly, answer.Both = nil, nil, nil
	*signatureOf(&answer.ClosingProposal, variant) = &own
	if err := t.agree(tx, signature); err != nil {
		return err
	}
	t.write(answer)
	return nil
}

// closingSigReceived publishes the transaction whose fee we pay.
func (t *turn) closingSigReceived(m *wire.ClosingSig) error {
	if err := t.mayNegotiate(m); err != nil {
		return err
	}
	if t.offer == nil || t.offer.simple == nil {
		return violation("closing_sig without closing_complete: %w", ErrUnexpected)
	}
	sent, got := &t.offer.simple.ClosingProposal, variantsIn(&m.ClosingProposal)
	if !bytes.Equal(m.CloserScript, sent.CloserScript) || !bytes.Equal(m.CloseeScript, sent.CloseeScript) || m.Fee != sent.Fee ||
		m.LockTime != sent.LockTime {
		return violation("closing_sig is not for what we sent: %w", ErrUnexpected)
	}
	if len(got) != 1 || *signatureOf(sent, got[0]) == nil {
		return violation("closing_sig with %d signatures, want one of those we sent: %w", len(got), ErrUnexpected)
	}
	closing := bolt3.SimpleClosing{
		Closer: bolt3.Payout{Balance: t.c.Active[0].Balance[Local], PkScript: sent.CloserScript},
		Closee: bolt3.Payout{Balance: t.c.Active[0].Balance[Remote], PkScript: sent.CloseeScript},
		Fee:    sent.Fee, LockTime: sent.LockTime,
	}
	tx, signature, err := t.verifySimple(closing, got[0], &m.ClosingProposal)
	if err != nil {
		return err
	}
	return t.agree(tx, signature)
}

// verifySimple gives the transaction of a variant and the peer's signature of it.
func (t *turn) verifySimple(
	closing bolt3.SimpleClosing, variant bolt3.ClosingVariant, p *wire.ClosingProposal,
) (*btcwire.MsgTx, wire.Sig, error) {
	funding := t.c.Active[0].Funding
	tx, err := funding.SimpleClosingTx(closing, variant)
	if err != nil {
		return nil, wire.Sig{}, violation("%s: %w", variant, err)
	}
	signature := **signatureOf(p, variant)
	if err := funding.VerifyClosing(tx, t.c.role(Remote), signature); err != nil {
		return nil, wire.Sig{}, violation("%s: %w: %w", variant, ErrBadSignature, err)
	}
	return tx, signature, nil
}
