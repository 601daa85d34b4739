package bolt3

import (
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/chain/keys"
)

// HTLCTx is the transaction by which the broadcaster of a commitment resolves one of its HTLC outputs: HTLC-timeout for
// one it offered, HTLC-success for one it received. It pays no fee; whoever publishes it adds an input that does.
type HTLCTx struct {
	HTLC   HTLC
	Output int // of the commitment, which Tx spends
	Tx     *wire.MsgTx

	commitment *Commitment
}

// HTLCTxs gives the HTLC transactions of a commitment in the order of their outputs, which is that of the signatures in
// `commitment_signed`.
func (c *Commitment) HTLCTxs() []HTLCTx {
	pkScript := p2wsh(c.htlcTxScript())
	var txs []HTLCTx
	for i, output := range c.Outputs {
		if output.Kind != HTLCOutput {
			continue
		}
		tx := wire.NewMsgTx(2)
		if output.HTLC.Direction == Offered {
			tx.LockTime = output.HTLC.Expiry
		}
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: c.TxID, Index: uint32(i)}, Sequence: 1})
		tx.AddTxOut(wire.NewTxOut(int64(output.Amount), pkScript))
		txs = append(txs, HTLCTx{HTLC: output.HTLC, Output: i, Tx: tx, commitment: c})
	}
	return txs
}

// htlcTxScript is the witness script of the output of every HTLC transaction of this commitment.
func (c *Commitment) htlcTxScript() []byte {
	delay := c.channel.Parties[c.Broadcaster].ToSelfDelay
	return delayedScript(c.Keys.Revocation, c.Keys.BroadcasterDelayed, delay)
}

func (h *HTLCTx) input(tx *wire.MsgTx, index int, hashType txscript.SigHashType) keys.Input {
	spent := &h.commitment.Outputs[h.Output]
	return keys.Input{
		Tx: tx, Index: index, Amount: spent.Amount, WitnessScript: spent.WitnessScript, HashType: hashType,
	}
}

// countersigned is what the countersigner's signature commits to.
func (h *HTLCTx) countersigned() keys.Input { return h.input(h.Tx, 0, sigHashHTLC) }

// Verify checks the countersigner's signature. A refusal is keys.ErrInvalidSignature.
func (h *HTLCTx) Verify(signature lnwire.Sig) error {
	return h.countersigned().Verify(h.commitment.Keys.CountersignerHTLC, signature)
}

// SignRequest asks for the broadcaster's own signature. The transaction is Tx or one made of it that has more inputs and
// outputs: those of Tx must stand at the same index, and its version and locktime must have stayed.
func (h *HTLCTx) SignRequest(channel uint32, tx *wire.MsgTx, index int) keys.SignRequest {
	return keys.SignRequest{
		Input: h.input(tx, index, sigHashAll), Key: keys.HTLCKeyRef(channel, h.commitment.Point),
	}
}

// Witness completes the input that spends the HTLC output. The preimage is used by HTLC-success only.
func (h *HTLCTx) Witness(own, countersigner lnwire.Sig, preimage [32]byte) wire.TxWitness {
	var proof []byte
	if h.HTLC.Direction == Received {
		proof = preimage[:]
	}
	return wire.TxWitness{
		nil, // OP_CHECKMULTISIG takes one element too many
		withHashType(countersigner, sigHashHTLC),
		withHashType(own, sigHashAll),
		proof,
		h.commitment.Outputs[h.Output].WitnessScript,
	}
}

// withHashType is a signature as a script takes it.
func withHashType(signature lnwire.Sig, hashType txscript.SigHashType) []byte {
	return append(signature.ToSignatureBytes(), byte(hashType))
}
