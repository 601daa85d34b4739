package coins

import (
	"bytes"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/wallet"
	walletpb "stormcell/messages/wallet"
)

// Quiet implements sim.Domain.
func (w *World) Quiet(read func(durable.Address) (proto.Message, error)) error {
	stored, err := read(wallet.Address)
	if err != nil {
		return err
	}
	state := stored.(*walletpb.Wallet)
	if len(state.GetAsked()) > 0 {
		return fmt.Errorf("%s waits for ever", state.GetAsked()[0].GetChannel())
	}
	kept := map[chainhash.Hash]*walletpb.Spend{}
	for _, sp := range state.GetSpends() {
		tx, err := btcutil.NewTxFromBytes(sp.GetTx())
		if err != nil {
			return fmt.Errorf("read a transaction of the wallet: %w", err)
		}
		kept[*tx.Hash()] = sp
		if w.confirmed[*tx.Hash()] {
			return fmt.Errorf("%s is kept though it is confirmed", tx.Hash())
		}
	}
	for _, o := range w.openers {
		if err := w.checkOpener(o, kept, read); err != nil {
			return fmt.Errorf("%s: %w", o.address, err)
		}
	}
	for txid, sp := range kept {
		switch {
		case sp.GetChannel() != "":
			return fmt.Errorf("%s is kept for %s, which does not want it", txid, sp.GetChannel())
		case !sp.GetPublished() || w.published[txid] == nil:
			return fmt.Errorf("%s is kept and not published", txid)
		}
	}
	for txid := range w.promised {
		if kept[txid] == nil && !w.confirmed[txid] && !w.lost[txid] {
			return fmt.Errorf("payment %s, which was promised, is gone", txid)
		}
	}
	for txid := range w.refused {
		if kept[txid] != nil || w.mempool[txid] != nil || w.confirmed[txid] {
			return fmt.Errorf("payment %s, which was refused, is on its way", txid)
		}
	}
	return nil
}

// checkOpener compares what an opener believes with what the wallet keeps, which it takes out of kept.
func (w *World) checkOpener(
	o *opener, kept map[chainhash.Hash]*walletpb.Spend, read func(durable.Address) (proto.Message, error),
) error {
	if o.telling {
		return fmt.Errorf("it waits to be told %+v", o.orders[0])
	}
	stored, err := read(o.address)
	if err != nil {
		return err
	}
	s, there := stored.(*Opener)
	if !there || s.GetAmountSat() == 0 {
		return nil // its asking was left out
	}
	if s.GetAnswers() == 0 && !s.GetReleased() {
		return fmt.Errorf("it has no answer")
	}
	if s.GetTxid() == nil {
		return nil
	}
	txid := chainhash.Hash(s.GetTxid())
	sp := kept[txid]
	gone := s.GetReleased() || s.GetUsed() && (w.confirmed[txid] || w.lost[txid])
	switch {
	case gone && sp != nil:
		return fmt.Errorf("coins are set aside for %s, which is over", txid)
	case gone:
		return nil
	case sp == nil:
		return fmt.Errorf("%s is not kept", txid)
	case !bytes.Equal([]byte(sp.GetChannel()), []byte(o.address)):
		return fmt.Errorf("%s is kept for %s", txid, sp.GetChannel())
	case sp.GetPublished() != s.GetUsed():
		return fmt.Errorf("%s: used is %v, published is %v", txid, s.GetUsed(), sp.GetPublished())
	}
	delete(kept, txid)
	return nil
}
