package bolt3

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
)

// ErrDustOutput refuses a transaction that would not be relayed because it has an output below the dust threshold.
var ErrDustOutput = errors.New("an output is below the dust threshold of its script")

// DustThreshold is the least amount with which a transaction that pays to the script is relayed (BOLT 3, "Dust Limits"):
// what the output and the input that spends it cost at 3 sat/vB. An OP_RETURN output is never dust.
func DustThreshold(pkScript []byte) btcutil.Amount {
	const rate = 3
	if isOpReturn(pkScript) {
		return 0
	}
	input := 148 // of pay to pubkey hash, and taken for every script without a witness
	if txscript.IsWitnessProgram(pkScript) {
		input = 67
	}
	return btcutil.Amount(rate * (wire.NewTxOut(0, pkScript).SerializeSize() + input))
}

// CheckDust fails with ErrDustOutput for a transaction that would not be relayed.
func CheckDust(tx *wire.MsgTx) error {
	for i, output := range tx.TxOut {
		if btcutil.Amount(output.Value) < DustThreshold(output.PkScript) {
			return fmt.Errorf("output %d of %d sat: %w", i, output.Value, ErrDustOutput)
		}
	}
	return nil
}

func isOpReturn(pkScript []byte) bool { return len(pkScript) > 0 && pkScript[0] == txscript.OP_RETURN }
