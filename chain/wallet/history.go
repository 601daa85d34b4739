package wallet

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	btcwallet "github.com/btcsuite/btcwallet/wallet"
	"github.com/btcsuite/btcwallet/walletdb"

	"stormcell/chain/backend"
)

// Transaction is one that pays to the wallet or spends from it.
type Transaction struct {
	TxID  chainhash.Hash
	Tx    *wire.MsgTx
	Block backend.BlockRef // zero while it is in none
	Time  time.Time        // of the block; when the wallet saw it first while it is in none
	// Received is what it pays to the wallet, Spent what it takes; change is in both.
	Received, Spent btcutil.Amount
	// OurInputs and OurOutputs are the indexes of those that are the wallet's.
	OurInputs, OurOutputs []uint32
	Fee                   btcutil.Amount // 0 if not all inputs are the wallet's: then it is not known
	Label                 string
}

// Transactions are all that the wallet knows of, the oldest block first, and those in no block last.
func (w *Wallet) Transactions() ([]Transaction, error) {
	found, err := w.btc.GetTransactions(nil, nil, "", nil)
	if err != nil {
		return nil, fmt.Errorf("list the wallet's transactions: %w", err)
	}
	var all []Transaction
	for _, block := range found.MinedTransactions {
		at := backend.BlockRef{Height: uint32(block.Height), Hash: *block.Hash}
		for _, summary := range block.Transactions {
			tx, err := describe(summary)
			if err != nil {
				return nil, err
			}
			tx.Block, tx.Time = at, time.Unix(block.Timestamp, 0)
			all = append(all, tx)
		}
	}
	unmined := len(all)
	for _, summary := range found.UnminedTransactions {
		tx, err := describe(summary)
		if err != nil {
			return nil, err
		}
		all = append(all, tx)
	}
	slices.SortStableFunc(all[unmined:], func(a, b Transaction) int { return a.Time.Compare(b.Time) })
	return all, nil
}

func describe(summary btcwallet.TransactionSummary) (Transaction, error) {
	raw, err := btcutil.NewTxFromBytes(summary.Transaction)
	if err != nil {
		return Transaction{}, fmt.Errorf("read the wallet's transaction %s: %w", summary.Hash, err)
	}
	tx := Transaction{
		TxID: *summary.Hash, Tx: raw.MsgTx(), Time: time.Unix(summary.Timestamp, 0), Label: summary.Label,
	}
	for _, in := range summary.MyInputs {
		tx.Spent += in.PreviousAmount
		tx.OurInputs = append(tx.OurInputs, in.Index)
	}
	for _, out := range summary.MyOutputs {
		tx.Received += btcutil.Amount(tx.Tx.TxOut[out.Index].Value)
		tx.OurOutputs = append(tx.OurOutputs, out.Index)
	}
	if len(summary.MyInputs) == len(tx.Tx.TxIn) {
		tx.Fee = summary.Fee
	}
	return tx, nil
}

// Watch calls look, and again whenever Transactions may give something else than before, until it fails or ctx ends. Changes that
// follow each other quickly may be seen as one. The errors are look's and the context's.
func (w *Wallet) Watch(ctx context.Context, look func() error) error {
	told := w.btc.NtfnServer.TransactionNotifications()
	defer told.Done()
	news := make(chan struct{}, 1)
	go func() { // the wallet waits until each notification is taken
		for range told.C {
			select {
			case news <- struct{}{}:
			default:
			}
		}
	}()
	for {
		if err := look(); err != nil {
			return err
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("watch the wallet's transactions: %w", ctx.Err())
		}
		if err := w.settle(); err != nil {
			return fmt.Errorf("watch the wallet's transactions: %w", err)
		}
	}
}

// settle waits until what is being written can be read: btcwallet tells of a transaction before it has stored it.
func (w *Wallet) settle() error {
	writing, err := w.btc.Database().BeginReadWriteTx()
	if err != nil {
		return err
	}
	return writing.Rollback()
}

// Note lets the wallet know at once that a published transaction spends its coins and pays to it. Follow has to come first.
func (w *Wallet) Note(tx *wire.MsgTx) error {
	// btcwallet publishes what it notes once more; that the transaction is known then is no error to it.
	if err := w.btc.PublishTransaction(tx, ""); err != nil {
		return fmt.Errorf("note published transaction %s: %w", tx.TxHash(), err)
	}
	return nil
}

// transactions is where btcwallet has its transactions and their labels; it keeps the name to itself.
var transactions = []byte("wtxmgr")

// Label keeps a label of 500 bytes at most for a transaction, whether the wallet has heard of it or not.
func (w *Wallet) Label(txid chainhash.Hash, label string) error {
	if label == "" {
		return nil
	}
	err := walletdb.Update(w.btc.Database(), func(tx walletdb.ReadWriteTx) error {
		return w.btc.TxStore.PutTxLabel(tx.ReadWriteBucket(transactions), txid, label)
	})
	if err != nil {
		return fmt.Errorf("label transaction %s: %w", txid, err)
	}
	return nil
}
