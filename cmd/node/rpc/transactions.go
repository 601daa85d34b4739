package rpc

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/txscript"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	chainwallet "stormcell/chain/wallet"
	"stormcell/messages/lnrpc"
)

// GetTransactions implements lnrpc.LightningServer.
func (l *lightning) GetTransactions(
	ctx context.Context, r *lnrpc.GetTransactionsRequest,
) (*lnrpc.TransactionDetails, error) {
	if err := checkAccount(r.Account); err != nil {
		return nil, err
	}
	if r.StartHeight < 0 || r.EndHeight < -1 || r.EndHeight > 0 && r.EndHeight < r.StartHeight {
		return nil, status.Errorf(codes.InvalidArgument, "no blocks are from height %d to %d", r.StartHeight, r.EndHeight)
	}
	all, err := l.node().Wallet.Transactions(ctx)
	if err != nil {
		return nil, refused(err)
	}
	all = slices.DeleteFunc(all, func(tx chainwallet.Transaction) bool {
		if tx.Block.Height == 0 {
			return r.EndHeight > 0
		}
		return tx.Block.Height < uint32(r.StartHeight) || r.EndHeight > 0 && tx.Block.Height > uint32(r.EndHeight)
	})
	first := min(int(r.IndexOffset), len(all))
	last := len(all)
	if r.MaxTransactions > 0 {
		last = min(last, first+int(r.MaxTransactions))
	}
	out := &lnrpc.TransactionDetails{}
	if first == last {
		return out, nil
	}
	out.FirstIndex, out.LastIndex = uint64(first), uint64(last-1)
	tip, _ := l.node().Chain.SyncedTo()
	for _, tx := range all[first:last] {
		described, err := l.transaction(&tx, tip.Height)
		if err != nil {
			return nil, err
		}
		out.Transactions = append(out.Transactions, described)
	}
	slices.SortStableFunc(out.Transactions, func(a, b *lnrpc.Transaction) int {
		return cmp.Compare(a.NumConfirmations, b.NumConfirmations)
	})
	return out, nil
}

func (l *lightning) transaction(tx *chainwallet.Transaction, tip uint32) (*lnrpc.Transaction, error) {
	var raw bytes.Buffer
	if err := tx.Tx.Serialize(&raw); err != nil {
		return nil, fmt.Errorf("transaction %v: %w", tx.TxID, err)
	}
	out := &lnrpc.Transaction{
		TxHash: tx.TxID.String(), Amount: int64(tx.Received - tx.Spent), TimeStamp: tx.Time.Unix(), TotalFees: int64(tx.Fee),
		RawTxHex: hex.EncodeToString(raw.Bytes()), Label: tx.Label,
	}
	if height := tx.Block.Height; height > 0 {
		out.BlockHeight, out.BlockHash = int32(height), tx.Block.Hash.String()
		out.NumConfirmations = int32(max(tip, height) - height + 1)
	}
	for i, o := range tx.Tx.TxOut {
		out.OutputDetails = append(out.OutputDetails, &lnrpc.OutputDetail{
			OutputType: scriptType(o.PkScript), Address: l.addressOf(o.PkScript), PkScript: hex.EncodeToString(o.PkScript),
			OutputIndex: int64(i), Amount: o.Value, IsOurAddress: slices.Contains(tx.OurOutputs, uint32(i)),
		})
		if address := l.addressOf(o.PkScript); address != "" {
			out.DestAddresses = append(out.DestAddresses, address)
		}
	}
	for i, in := range tx.Tx.TxIn {
		out.PreviousOutpoints = append(out.PreviousOutpoints, &lnrpc.PreviousOutPoint{
			Outpoint: in.PreviousOutPoint.String(), IsOurOutput: slices.Contains(tx.OurInputs, uint32(i)),
		})
	}
	return out, nil
}

// scriptType is lnd's name for what a script is.
func scriptType(script []byte) lnrpc.OutputScriptType {
	switch txscript.GetScriptClass(script) {
	case txscript.PubKeyHashTy:
		return lnrpc.OutputScriptType_SCRIPT_TYPE_PUBKEY_HASH
	case txscript.ScriptHashTy:
		return lnrpc.OutputScriptType_SCRIPT_TYPE_SCRIPT_HASH
	case txscript.WitnessV0PubKeyHashTy:
		return lnrpc.OutputScriptType_SCRIPT_TYPE_WITNESS_V0_PUBKEY_HASH
	case txscript.WitnessV0ScriptHashTy:
		return lnrpc.OutputScriptType_SCRIPT_TYPE_WITNESS_V0_SCRIPT_HASH
	case txscript.PubKeyTy:
		return lnrpc.OutputScriptType_SCRIPT_TYPE_PUBKEY
	case txscript.MultiSigTy:
		return lnrpc.OutputScriptType_SCRIPT_TYPE_MULTISIG
	case txscript.NullDataTy:
		return lnrpc.OutputScriptType_SCRIPT_TYPE_NULLDATA
	case txscript.WitnessV1TaprootTy:
		return lnrpc.OutputScriptType_SCRIPT_TYPE_WITNESS_V1_TAPROOT
	case txscript.WitnessUnknownTy:
		return lnrpc.OutputScriptType_SCRIPT_TYPE_WITNESS_UNKNOWN
	default:
		return lnrpc.OutputScriptType_SCRIPT_TYPE_NON_STANDARD
	}
}
