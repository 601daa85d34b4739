package bolt3

import (
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/chain/keys"
)

// ErrWrongOutput refuses to spend an output in a way that it does not have.
var ErrWrongOutput = errors.New("this output cannot be spent like that")

// Spend is one way to take one output of a confirmed commitment or HTLC transaction with one signature: what the input
// must have, which key signs, and what else goes into the witness.
type Spend struct {
	Outpoint      wire.OutPoint
	Amount        btcutil.Amount
	WitnessScript []byte
	Sequence      uint32 // of the input: a relative lock in blocks, or final
	LockTime      uint32 // the least that the transaction must have, in blocks
	Key           keys.KeyRef
	Elements      [][]byte // of the witness, between the signature and the script
}

// TxIn is the input that takes the output, without its witness.
func (s *Spend) TxIn() *wire.TxIn {
	return &wire.TxIn{PreviousOutPoint: s.Outpoint, Sequence: s.Sequence}
}

// SignRequest asks for the signature of the input at the given index of the transaction.
func (s *Spend) SignRequest(tx *wire.MsgTx, index int) keys.SignRequest {
	return keys.SignRequest{
		Input: keys.Input{
			Tx: tx, Index: index, Amount: s.Amount, WitnessScript: s.WitnessScript, HashType: sigHashAll,
		},
		Key: s.Key,
	}
}

// Witness completes the input.
func (s *Spend) Witness(signature lnwire.Sig) wire.TxWitness {
	witness := wire.TxWitness{withHashType(signature, sigHashAll)}
	witness = append(witness, s.Elements...)
	return append(witness, s.WitnessScript)
}

// WitnessWeight is the most that the witness adds to the weight of a transaction.
func (s *Spend) WitnessWeight() lntypes.WeightUnit {
	witness := append(wire.TxWitness{make([]byte, maxSignature)}, s.Elements...)
	return lntypes.WeightUnit(append(witness, s.WitnessScript).SerializeSize())
}

// finalSequence opts in to replacement by fee, and locks nothing.
const finalSequence = wire.MaxTxInSequenceNum - 2

// DelayedSpend takes the broadcaster's own balance once its delay is over.
func (c *Commitment) DelayedSpend(output int, channel uint32) (*Spend, error) {
	spend, err := c.spend(output, ToBroadcaster)
	if err != nil {
		return nil, err
	}
	spend.Key = keys.DelayedKeyRef(channel, c.Point)
	spend.Sequence = uint32(c.channel.Parties[c.Broadcaster].ToSelfDelay)
	spend.Elements = [][]byte{nil}
	return spend, nil
}

// PaymentSpend takes the countersigner's balance, one block after the commitment.
func (c *Commitment) PaymentSpend(output int, channel uint32) (*Spend, error) {
	spend, err := c.spend(output, ToCountersigner)
	if err != nil {
		return nil, err
	}
	spend.Key = keys.PaymentKeyRef(channel)
	spend.Sequence = 1
	return spend, nil
}

// AnchorSpend takes an anchor, to raise the fee of an unconfirmed commitment: the broadcaster's or the countersigner's,
// whoever of them has that funding key.
func (c *Commitment) AnchorSpend(output int, funding uint32) (*Spend, error) {
	spend, err := c.spend(output, BroadcasterAnchor, CountersignerAnchor)
	if err != nil {
		return nil, err
	}
	spend.Key = keys.FundingKeyRef(funding)
	return spend, nil
}

// PreimageSpend takes for the countersigner an HTLC that the broadcaster offered.
func (c *Commitment) PreimageSpend(output int, channel uint32, preimage [32]byte) (*Spend, error) {
	spend, err := c.countersignerSpend(output, channel, Offered)
	if err != nil {
		return nil, err
	}
	spend.Elements = [][]byte{preimage[:]}
	return spend, nil
}

// TimeoutSpend takes back for the countersigner an HTLC that the broadcaster received and that has expired.
func (c *Commitment) TimeoutSpend(output int, channel uint32) (*Spend, error) {
	spend, err := c.countersignerSpend(output, channel, Received)
	if err != nil {
		return nil, err
	}
	spend.LockTime = c.Outputs[output].HTLC.Expiry
	spend.Elements = [][]byte{nil}
	return spend, nil
}

func (c *Commitment) countersignerSpend(output int, channel uint32, direction Direction) (*Spend, error) {
	spend, err := c.spend(output, HTLCOutput)
	if err != nil {
		return nil, err
	}
	if got := c.Outputs[output].HTLC.Direction; got != direction {
		return nil, fmt.Errorf("output %d is an HTLC that the broadcaster %s: %w", output, got, ErrWrongOutput)
	}
	spend.Key = keys.HTLCKeyRef(channel, c.Point)
	spend.Sequence = 1
	return spend, nil
}

// PenaltySpend takes for the countersigner the broadcaster's balance or an HTLC of a revoked commitment, at once.
func (c *Commitment) PenaltySpend(output int, channel uint32, secret keys.Secret) (*Spend, error) {
	spend, err := c.spend(output, ToBroadcaster, HTLCOutput)
	if err != nil {
		return nil, err
	}
	spend.Key = keys.RevocationKeyRef(channel, secret)
	if c.Outputs[output].Kind == HTLCOutput {
		spend.Elements = [][]byte{c.Keys.Revocation.SerializeCompressed()}
	} else {
		spend.Elements = [][]byte{{1}}
	}
	return spend, nil
}

// HTLCTxSpend takes for the broadcaster what its HTLC transaction paid out, once the delay is over. The outpoint is where
// that transaction, which may be a larger one made of HTLCTx.Tx, has it.
func (c *Commitment) HTLCTxSpend(outpoint wire.OutPoint, htlc HTLC, channel uint32) *Spend {
	spend := c.htlcTxSpend(outpoint, htlc)
	spend.Key = keys.DelayedKeyRef(channel, c.Point)
	spend.Sequence = uint32(c.channel.Parties[c.Broadcaster].ToSelfDelay)
	spend.Elements = [][]byte{nil}
	return spend
}

// HTLCTxPenaltySpend takes for the countersigner what an HTLC transaction of a revoked commitment paid out, at once.
func (c *Commitment) HTLCTxPenaltySpend(
	outpoint wire.OutPoint, htlc HTLC, channel uint32, secret keys.Secret,
) *Spend {
	spend := c.htlcTxSpend(outpoint, htlc)
	spend.Key = keys.RevocationKeyRef(channel, secret)
	spend.Elements = [][]byte{{1}}
	return spend
}

func (c *Commitment) htlcTxSpend(outpoint wire.OutPoint, htlc HTLC) *Spend {
	return &Spend{
		Outpoint: outpoint, Amount: htlc.Amount.ToSatoshis(), WitnessScript: c.htlcTxScript(), Sequence: finalSequence,
	}
}

// spend is the common part of spending an output that must be of one of the given kinds.
func (c *Commitment) spend(output int, kinds ...OutputKind) (*Spend, error) {
	if output < 0 || output >= len(c.Outputs) {
		return nil, fmt.Errorf("commitment %d has no output %d: %w", c.Number, output, ErrWrongOutput)
	}
	out := &c.Outputs[output]
	if !slices.Contains(kinds, out.Kind) {
		return nil, fmt.Errorf("output %d of commitment %d is %s: %w", output, c.Number, out.Kind, ErrWrongOutput)
	}
	return &Spend{
		Outpoint: wire.OutPoint{Hash: c.TxID, Index: uint32(output)},
		Amount:   out.Amount, WitnessScript: out.WitnessScript, Sequence: finalSequence,
	}, nil
}
