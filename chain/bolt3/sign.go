package bolt3

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/chain/keys"
)

// ErrSignatureCount refuses a `commitment_signed` with more or fewer HTLC signatures than the commitment has HTLC outputs.
var ErrSignatureCount = errors.New("wrong number of HTLC signatures")

// CountersignRequests asks for all that the countersigner sends in `commitment_signed`: first the signature of the
// commitment, by the given funding key, then one for each HTLC transaction in the order of HTLCTxs.
func (c *Commitment) CountersignRequests(funding, channel uint32) []keys.SignRequest {
	requests := []keys.SignRequest{{Input: c.channel.fundingInput(c.Tx), Key: keys.FundingKeyRef(funding)}}
	htlcKey := keys.HTLCKeyRef(channel, c.Point)
	for _, tx := range c.HTLCTxs() {
		requests = append(requests, keys.SignRequest{Input: tx.countersigned(), Key: htlcKey})
	}
	return requests
}

// Verify checks what the countersigner sent in `commitment_signed`, on as many cores as parallel uses. A refusal is
// ErrSignatureCount or keys.ErrInvalidSignature.
func (c *Commitment) Verify(signature lnwire.Sig, htlcSignatures []lnwire.Sig, parallel keys.Parallel) error {
	txs := c.HTLCTxs()
	if len(txs) != len(htlcSignatures) {
		return fmt.Errorf("commitment %d has %d HTLC outputs and came with %d HTLC signatures: %w",
			c.Number, len(txs), len(htlcSignatures), ErrSignatureCount)
	}
	// The commitment's own signature is checked last in the same batch.
	failures := make([]error, len(txs)+1)
	parallel(len(failures), func(i int) {
		if i == len(txs) {
			failures[i] = c.VerifySignature(signature)
		} else if err := txs[i].Verify(htlcSignatures[i]); err != nil {
			htlc := &txs[i].HTLC
			failures[i] = fmt.Errorf("signature of %s HTLC %d of commitment %d: %w", htlc.Direction, htlc.ID, c.Number, err)
		}
	})
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

// VerifySignature checks the countersigner's signature of the commitment alone. A refusal is keys.ErrInvalidSignature.
func (c *Commitment) VerifySignature(signature lnwire.Sig) error {
	key := c.channel.Parties[c.Broadcaster.Other()].FundingKey
	if err := c.channel.fundingInput(c.Tx).Verify(key, signature); err != nil {
		return fmt.Errorf("signature of commitment %d: %w", c.Number, err)
	}
	return nil
}

// SignRequest asks for the broadcaster's own signature, with which the commitment can be published.
func (c *Commitment) SignRequest(funding uint32) keys.SignRequest {
	return keys.SignRequest{Input: c.channel.fundingInput(c.Tx), Key: keys.FundingKeyRef(funding)}
}

// Signed is the commitment ready to be published.
func (c *Commitment) Signed(own, countersigner lnwire.Sig) *wire.MsgTx {
	return c.channel.sign(c.Tx, c.Broadcaster, own, countersigner)
}

// sign copies a transaction that spends the funding output and completes the copy, from the signatures of one side and of
// the other.
func (c *Channel) sign(tx *wire.MsgTx, side Side, signature, other lnwire.Sig) *wire.MsgTx {
	signed := tx.Copy()
	first, second := signature, other
	key, otherKey := c.Parties[side].FundingKey, c.Parties[side.Other()].FundingKey
	if bytes.Compare(key.SerializeCompressed(), otherKey.SerializeCompressed()) > 0 {
		first, second = second, first
	}
	signed.TxIn[0].Witness = wire.TxWitness{
		nil, // OP_CHECKMULTISIG takes one element too many
		withHashType(first, sigHashAll),
		withHashType(second, sigHashAll),
		c.FundingScript(),
	}
	return signed
}
