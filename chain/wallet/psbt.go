package wallet

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/psbt"
	"github.com/btcsuite/btcd/btcutil/txsort"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	btcwallet "github.com/btcsuite/btcwallet/wallet"
)

var (
	// ErrCoinMismatch refuses to sign for one of our coins whose amount or script is not what a PSBT says.
	ErrCoinMismatch = errors.New("the PSBT does not describe our coin as it is")

	// ErrUnknownInput refuses to sign a transaction of which a PSBT does not say what all of it spends.
	ErrUnknownInput = errors.New("the PSBT does not say what an input spends")

	// ErrIncomplete says that signatures are missing.
	ErrIncomplete = errors.New("signatures are missing")
)

// replaceable is the sequence number of the wallet's inputs: their fee may be bumped (BIP 125).
const replaceable = wire.MaxTxInSequenceNum - 2

// Fund makes the unsigned transaction of a payment that Select picked coins for. Inputs and outputs are in the order of BIP 69,
// so that which output is the change cannot be seen.
func Fund(p Payment, s Selection, lockTime uint32) (*psbt.Packet, error) {
	tx := wire.NewMsgTx(2)
	tx.LockTime = lockTime
	coins := make(map[wire.OutPoint]Coin, len(s.Inputs))
	for _, coin := range s.Inputs {
		coins[coin.OutPoint] = coin
		in := wire.NewTxIn(&coin.OutPoint, nil, nil)
		in.Sequence = replaceable
		tx.AddTxIn(in)
	}
	for _, out := range p.Outputs {
		tx.AddTxOut(wire.NewTxOut(out.Value, out.PkScript))
	}
	if s.Change > 0 {
		tx.AddTxOut(wire.NewTxOut(int64(s.Change), p.ChangeScript))
	}
	txsort.InPlaceSort(tx)
	packet, err := psbt.NewFromUnsignedTx(tx)
	if err != nil {
		return nil, fmt.Errorf("fund a transaction: %w", err)
	}
	for i, in := range tx.TxIn {
		coin := coins[in.PreviousOutPoint]
		packet.Inputs[i].WitnessUtxo = wire.NewTxOut(int64(coin.Amount), coin.Script)
		packet.Inputs[i].SighashType = txscript.SigHashAll
		if txscript.IsPayToTaproot(coin.Script) {
			packet.Inputs[i].SighashType = txscript.SigHashDefault
		}
	}
	return packet, nil
}

// Sign signs the inputs that spend the wallet's coins and are not signed yet, and says how many those were. Others it leaves
// as they are. Refusals are ErrCoinMismatch and ErrUnknownInput.
func (w *Wallet) Sign(packet *psbt.Packet) (int, error) {
	tx := packet.UnsignedTx
	spent := make(map[wire.OutPoint]*wire.TxOut, len(tx.TxIn))
	for i, in := range tx.TxIn {
		out, err := described(packet.Inputs[i], in.PreviousOutPoint)
		if err != nil {
			return 0, fmt.Errorf("sign input %d: %w", i, err)
		}
		spent[in.PreviousOutPoint] = out
	}
	hashes := txscript.NewTxSigHashes(tx, txscript.NewMultiPrevOutFetcher(spent))
	signed := 0
	for i, in := range tx.TxIn {
		if len(packet.Inputs[i].FinalScriptWitness) > 0 {
			continue
		}
		ours, err := w.output(in.PreviousOutPoint)
		if errors.Is(err, btcwallet.ErrNotMine) {
			continue
		}
		if err != nil {
			return signed, fmt.Errorf("sign input %d: %w", i, err)
		}
		if !psbt.TxOutsEqual(ours, spent[in.PreviousOutPoint]) {
			return signed, fmt.Errorf("sign input %d: %w", i, ErrCoinMismatch)
		}
		hashType := packet.Inputs[i].SighashType
		if hashType == 0 && !txscript.IsPayToTaproot(ours.PkScript) {
			hashType = txscript.SigHashAll // as BIP 174 has it when nothing is said
		}
		witness, _, err := w.btc.ComputeInputScript(tx, ours, i, hashes, hashType, nil)
		if err != nil {
			return signed, fmt.Errorf("sign input %d: %w", i, err)
		}
		var encoded bytes.Buffer
		if err := psbt.WriteTxWitness(&encoded, witness); err != nil {
			return signed, fmt.Errorf("sign input %d: %w", i, err)
		}
		packet.Inputs[i].FinalScriptWitness = encoded.Bytes()
		signed++
	}
	return signed, nil
}

// described is the output that a PSBT says an input spends.
func described(in psbt.PInput, point wire.OutPoint) (*wire.TxOut, error) {
	switch {
	case in.NonWitnessUtxo != nil:
		if in.NonWitnessUtxo.TxHash() != point.Hash || int(point.Index) >= len(in.NonWitnessUtxo.TxOut) {
			return nil, fmt.Errorf("another transaction is given than %s: %w", point, ErrUnknownInput)
		}
		return in.NonWitnessUtxo.TxOut[point.Index], nil
	case in.WitnessUtxo != nil:
		return in.WitnessUtxo, nil
	default:
		return nil, fmt.Errorf("%s: %w", point, ErrUnknownInput)
	}
}

// output is one of the wallet's outputs, spent or not; else btcwallet.ErrNotMine.
func (w *Wallet) output(point wire.OutPoint) (*wire.TxOut, error) {
	details, err := btcwallet.UnstableAPI(w.btc).TxDetails(&point.Hash)
	if err != nil {
		return nil, err
	}
	if details != nil {
		for _, credit := range details.Credits {
			if credit.Index == point.Index {
				return details.MsgTx.TxOut[point.Index], nil
			}
		}
	}
	return nil, btcwallet.ErrNotMine
}

// Extract gives the signed transaction and what it pays. While signatures are missing it is ErrIncomplete.
func Extract(packet *psbt.Packet) (*wire.MsgTx, btcutil.Amount, error) {
	for i := range packet.Inputs {
		if len(packet.Inputs[i].FinalScriptWitness) > 0 || len(packet.Inputs[i].FinalScriptSig) > 0 {
			continue
		}
		if done, err := psbt.MaybeFinalize(packet, i); err != nil || !done {
			return nil, 0, fmt.Errorf("extract the transaction: input %d: %w", i, ErrIncomplete)
		}
	}
	fee, err := packet.GetTxFee()
	if err != nil {
		return nil, 0, fmt.Errorf("extract the transaction: %w", err)
	}
	tx, err := psbt.Extract(packet)
	if err != nil {
		return nil, 0, fmt.Errorf("extract the transaction: %w", err)
	}
	return tx, fee, nil
}
