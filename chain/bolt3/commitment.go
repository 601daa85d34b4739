package bolt3

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"stormcell/chain/keys"
)

const (
	sigHashAll = txscript.SigHashAll
	// sigHashHTLC lets the broadcaster add inputs and outputs to an HTLC transaction, to pay its fee.
	sigHashHTLC = txscript.SigHashSingle | txscript.SigHashAnyOneCanPay
)

// OutputKind says what an output of a commitment is.
type OutputKind uint8

const (
	ToBroadcaster       OutputKind = iota // BOLT 3's to_local
	ToCountersigner                       // BOLT 3's to_remote
	BroadcasterAnchor                     // BOLT 3's to_local_anchor
	CountersignerAnchor                   // BOLT 3's to_remote_anchor
	HTLCOutput
)

func (k OutputKind) String() string {
	names := []string{"to_broadcaster", "to_countersigner", "broadcaster_anchor", "countersigner_anchor", "htlc"}
	if int(k) >= len(names) {
		return fmt.Sprintf("output kind %d", uint8(k))
	}
	return names[k]
}

// Output is what an output of a commitment is for.
type Output struct {
	Kind          OutputKind
	Amount        btcutil.Amount
	WitnessScript []byte
	PkScript      []byte
	HTLC          HTLC // of an HTLCOutput
}

func newOutput(kind OutputKind, amount btcutil.Amount, script []byte) Output {
	return Output{Kind: kind, Amount: amount, WitnessScript: script, PkScript: p2wsh(script)}
}

// Commitment is one side's commitment transaction, without signatures.
type Commitment struct {
	Broadcaster Side
	Number      uint64
	Point       *btcec.PublicKey // the per-commitment point
	Keys        keys.CommitmentKeys
	Tx          *wire.MsgTx
	TxID        chainhash.Hash
	Outputs     []Output       // of Tx, in its order
	Trimmed     []HTLC         // without an output, in the order of the description
	Fee         btcutil.Amount // all that no output has: base fee, trimmed HTLCs, dust and rounding

	channel *Channel
}

// Commitment builds the broadcaster's commitment with the broadcaster's per-commitment point.
//
// An opener whose balance does not cover the whole base fee pays what it has, as every implementation does: whether such a
// state is acceptable is decided where updates are checked, by BaseFee and AnchorsCost. Errors are
// keys.ErrNoSuchCommitment, ErrUnbalanced, ErrExpiryIsATime and ErrCannotPayAnchors.
func (c *Channel) Commitment(broadcaster Side, spec Spec, point *btcec.PublicKey) (*Commitment, error) {
	if err := spec.check(c.Capacity); err != nil {
		return nil, err
	}
	dustLimit := c.Parties[broadcaster].DustLimit
	commitment := &Commitment{
		Broadcaster: broadcaster,
		Number:      spec.Number,
		Point:       point,
		Keys:        c.keysOf(broadcaster, point, spec.Untrimmed(dustLimit) > 0),
		channel:     c,
	}
	commitment.addHTLCs(spec.HTLCs, dustLimit)
	commitment.addBalances(c.afterFee(broadcaster, spec))

	slices.SortFunc(commitment.Outputs, compareOutputs)
	commitment.buildTx()

	commitment.Fee = c.Capacity
	for _, output := range commitment.Outputs {
		commitment.Fee -= output.Amount
	}
	if commitment.Fee < 0 {
		return nil, fmt.Errorf("commitment %d lacks %v: %w", spec.Number, -commitment.Fee, ErrCannotPayAnchors)
	}
	return commitment, nil
}

// afterFee is what is left of the balances, in whole satoshis, once the opener has paid base fee and anchors; not below zero.
func (c *Channel) afterFee(broadcaster Side, spec Spec) (toBroadcaster, toCountersigner btcutil.Amount) {
	toBroadcaster, toCountersigner = spec.ToBroadcaster.ToSatoshis(), spec.ToCountersigner.ToSatoshis()
	cost := BaseFee(spec.FeeRate, spec.Untrimmed(c.Parties[broadcaster].DustLimit)) + AnchorsCost
	if broadcaster == Opener {
		toBroadcaster = max(toBroadcaster-cost, 0)
	} else {
		toCountersigner = max(toCountersigner-cost, 0)
	}
	return toBroadcaster, toCountersigner
}

func (c *Commitment) addHTLCs(htlcs []HTLC, dustLimit btcutil.Amount) {
	c.Outputs = make([]Output, 0, len(htlcs)+4)
	for _, htlc := range htlcs {
		if htlc.Trimmed(dustLimit) {
			c.Trimmed = append(c.Trimmed, htlc)
			continue
		}
		output := newOutput(HTLCOutput, htlc.Amount.ToSatoshis(), htlcScript(&c.Keys, &htlc))
		output.HTLC = htlc
		c.Outputs = append(c.Outputs, output)
	}
}

// addBalances adds the two balances where they are not dust, and an anchor for each side that has an output to care for.
func (c *Commitment) addBalances(toBroadcaster, toCountersigner btcutil.Amount) {
	own, other := &c.channel.Parties[c.Broadcaster], &c.channel.Parties[c.Broadcaster.Other()]
	anyHTLC := len(c.Outputs) > 0
	// A balance of nothing has no output even where the dust limit is zero.
	hasOutput := func(balance btcutil.Amount) bool { return balance > 0 && balance >= own.DustLimit }
	add := func(kind OutputKind, amount btcutil.Amount, script []byte) {
		c.Outputs = append(c.Outputs, newOutput(kind, amount, script))
	}
	if hasOutput(toBroadcaster) {
		add(ToBroadcaster, toBroadcaster,
			delayedScript(c.Keys.Revocation, c.Keys.BroadcasterDelayed, own.ToSelfDelay))
	}
	if hasOutput(toCountersigner) {
		add(ToCountersigner, toCountersigner, paymentScript(c.Keys.CountersignerPayment))
	}
	if anyHTLC || hasOutput(toBroadcaster) {
		add(BroadcasterAnchor, AnchorAmount, anchorScript(own.FundingKey))
	}
	if anyHTLC || hasOutput(toCountersigner) {
		add(CountersignerAnchor, AnchorAmount, anchorScript(other.FundingKey))
	}
}

// compareOutputs orders outputs as BOLT 3, "Transaction Output Ordering" does. HTLCs that are alike in all of that are
// interchangeable on the chain; the id still decides, so that the order does not depend on that of the description.
func compareOutputs(a, b Output) int {
	return cmp.Or(
		cmp.Compare(a.Amount, b.Amount),
		bytes.Compare(a.PkScript, b.PkScript),
		cmp.Compare(a.HTLC.Expiry, b.HTLC.Expiry),
		cmp.Compare(a.HTLC.ID, b.HTLC.ID),
	)
}

func (c *Commitment) buildTx() {
	obscured := c.Number ^ c.channel.obscuringFactor()
	tx := wire.NewMsgTx(2)
	tx.LockTime = lockTimeMark | uint32(obscured&low24)
	tx.AddTxIn(&wire.TxIn{
		PreviousOutPoint: c.channel.Outpoint,
		Sequence:         sequenceMark | uint32(obscured>>24),
	})
	for _, output := range c.Outputs {
		tx.AddTxOut(wire.NewTxOut(int64(output.Amount), output.PkScript))
	}
	c.Tx, c.TxID = tx, tx.TxHash()
}
