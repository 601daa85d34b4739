package rpc

import (
	"context"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	chainwallet "stormcell/chain/wallet"
	"stormcell/messages/lnrpc"
)

// SubscribeTransactions implements lnrpc.LightningServer: each transaction is told when it is new, and when it comes into a block
// or out of one. As with lnd the request's bounds have no meaning here.
func (l *lightning) SubscribeTransactions(
	_ *lnrpc.GetTransactionsRequest, out lnrpc.Lightning_SubscribeTransactionsServer,
) error {
	events := transactionEvents{lightning: l, send: out.Send}
	return watched(l.node().Wallet.Watch(out.Context(), func() error { return events.look(out.Context()) }))
}

// transactionEvents finds what a client has not been told of the wallet's transactions.
type transactionEvents struct {
	*lightning
	send func(*lnrpc.Transaction) error
	told map[chainhash.Hash]chainhash.Hash // blocks by txid; nil before the first look
}

// look sends what is new.
func (e *transactionEvents) look(ctx context.Context) error {
	all, err := e.node().Wallet.Transactions(ctx)
	if err != nil {
		return refused(err)
	}
	before := e.told
	e.told = make(map[chainhash.Hash]chainhash.Hash, len(all))
	for _, tx := range all {
		e.told[tx.TxID] = tx.Block.Hash
		block, known := before[tx.TxID]
		if before == nil || known && block == tx.Block.Hash {
			continue
		}
		if err := e.tell(&tx); err != nil {
			return err
		}
	}
	return nil
}

func (e *transactionEvents) tell(tx *chainwallet.Transaction) error {
	tip, _ := e.node().Chain.SyncedTo()
	described, err := e.transaction(tx, tip.Height)
	if err != nil {
		return err
	}
	return e.send(described)
}
