package node

import (
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"
)

// purse spends the coins of the first blocks, one block's for each transaction.
type purse struct {
	key     *btcec.PrivateKey
	address btcutil.Address
	script  []byte
	next    int64 // height of the next coinbase to spend
}

// purseFee is in satoshis, for each transaction.
const purseFee = 10_000

// Pay makes a signed transaction, which is not published, that pays to a script with its first output. The rest goes back.
func (s *Server) Pay(script []byte, amount btcutil.Amount) *wire.MsgTx {
	s.t.Helper()
	s.purse.next++
	hash, err := s.Client.GetBlockHash(s.purse.next)
	require.NoError(s.t, err)
	block, err := s.Client.GetBlock(hash)
	require.NoError(s.t, err)
	coinbase := block.Transactions[0]
	point := wire.OutPoint{Hash: coinbase.TxHash()}
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(&point, nil, nil))
	tx.AddTxOut(wire.NewTxOut(int64(amount), script))
	tx.AddTxOut(wire.NewTxOut(coinbase.TxOut[0].Value-int64(amount)-purseFee, s.purse.script))
	s.sign(tx, coinbase.TxOut[0])
	return tx
}

// SpendChange makes a signed transaction, which is not published, that pays the change of one that Pay made to a script.
func (s *Server) SpendChange(of *wire.MsgTx, script []byte, fee btcutil.Amount) *wire.MsgTx {
	s.t.Helper()
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: of.TxHash(), Index: 1}, nil, nil))
	tx.AddTxOut(wire.NewTxOut(of.TxOut[1].Value-int64(fee), script))
	s.sign(tx, of.TxOut[1])
	return tx
}

// ChangeScript is the script of the change.
func (s *Server) ChangeScript() []byte { return s.purse.script }

func (s *Server) sign(tx *wire.MsgTx, from *wire.TxOut) {
	s.t.Helper()
	hashes := txscript.NewTxSigHashes(tx, txscript.NewCannedPrevOutputFetcher(from.PkScript, from.Value))
	witness, err := txscript.WitnessSignature(
		tx, hashes, 0, from.Value, from.PkScript, txscript.SigHashAll, s.purse.key, true)
	require.NoError(s.t, err)
	tx.TxIn[0].Witness = witness
}
