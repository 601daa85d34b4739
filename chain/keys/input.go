package keys

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/chain/curve"
)

// ErrInvalidSignature refuses a signature that its key did not make over this input, or that is not in the form the
// protocol demands (canonical, low S).
var ErrInvalidSignature = errors.New("invalid signature")

// Input is an input of a transaction that spends a P2WSH output, with what a signature over it commits to (BIP 143).
type Input struct {
	Tx            *wire.MsgTx
	Index         int            // of the input in Tx
	Amount        btcutil.Amount // of the output that is spent
	WitnessScript []byte
	HashType      txscript.SigHashType
}

// Digest is the hash that is signed.
func (in Input) Digest() ([]byte, error) {
	if in.Tx == nil || in.Index < 0 || in.Index >= len(in.Tx.TxIn) {
		return nil, fmt.Errorf("hash input %d: there is no such input", in.Index)
	}
	// Outputs of other kinds spent next to this one do not matter to a version 0 digest.
	hashes := txscript.NewTxSigHashes(in.Tx, txscript.NewCannedPrevOutputFetcher(nil, int64(in.Amount)))
	digest, err := txscript.CalcWitnessSigHash(in.WitnessScript, hashes, in.HashType, in.Tx, in.Index, int64(in.Amount))
	if err != nil {
		return nil, fmt.Errorf("hash input %d: %w", in.Index, err)
	}
	return digest, nil
}

// Verify checks a signature over this input. A refusal is ErrInvalidSignature. High S is refused, which relaying nodes do
// and BOLT 2 demands: normalising it instead would accept a signature that other implementations do not.
func (in Input) Verify(key *btcec.PublicKey, signature lnwire.Sig) error {
	digest, err := in.Digest()
	if err != nil {
		return err
	}
	if !curve.Verify(key, digest, curve.Signature(signature.RawBytes())) {
		return fmt.Errorf("input %d: %w", in.Index, ErrInvalidSignature)
	}
	return nil
}
