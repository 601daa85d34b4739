package bolt3

import (
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lntypes"

	"stormcell/chain/fees"
)

// Expected weights (BOLT 3, "Fee Calculation"), and the amount of an anchor.
const (
	CommitmentWeight  lntypes.WeightUnit = 1124 // without HTLC outputs
	HTLCOutputWeight  lntypes.WeightUnit = 172  // what each adds to the commitment
	HTLCTimeoutWeight lntypes.WeightUnit = 666
	HTLCSuccessWeight lntypes.WeightUnit = 706

	AnchorAmount btcutil.Amount = 330

	// AnchorsCost is what the opener pays for anchors, whether both are there or not.
	AnchorsCost = 2 * AnchorAmount
)

const (
	segwitFrame    = 2                                               // marker and flag, in weight units
	maxSignature   = 73                                              // DER, and the hash type
	multisigScript = 71                                              // the funding script
	fundingWitness = 1 + 1 + 2*(1+maxSignature) + 1 + multisigScript // in weight units
)

// BaseFee is the fee that the opener pays for a commitment with so many untrimmed HTLCs.
func BaseFee(rate fees.SatPerKW, untrimmed int) btcutil.Amount {
	return rate.Fee(CommitmentWeight + HTLCOutputWeight*lntypes.WeightUnit(untrimmed))
}

// ClosingWeight is the weight, once signed, of a transaction that spends the funding output alone, at most.
func ClosingWeight(tx *wire.MsgTx) lntypes.WeightUnit {
	return lntypes.WeightUnit(4*tx.SerializeSizeStripped() + segwitFrame + fundingWitness)
}
