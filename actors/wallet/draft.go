package wallet

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"stormcell/actors/durable"
	"stormcell/chain/fees"
	chainwallet "stormcell/chain/wallet"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/wallet"
)

// fundingWanted begins the funding transaction of a channel.
func (t *turn) fundingWanted(want *channelpb.FundingWanted) {
	channel := string(t.m.From)
	if t.waiting(channel) != nil || t.funding(channel) != nil {
		t.send(t.m.From, &channelpb.FundingRefused{Reason: "the channel has a funding transaction already"})
		return
	}
	t.event(&pb.FundingAsked{
		Channel: channel, AmountSat: want.GetAmountSat(), PkScript: want.GetPkScript(), SatPerKw: want.GetSatPerKw(),
	})
	t.begin(channel, nil)
}

// fundingReleased frees the coins of a channel that will not be. A draft finds out when it has its coins or signatures.
func (t *turn) fundingReleased() {
	channel := string(t.m.From)
	if t.waiting(channel) != nil {
		t.event(&pb.FundingDropped{Channel: channel})
	}
	if sp := t.funding(channel); sp != nil && !sp.stored.GetPublished() {
		t.event(&pb.Released{Txid: sp.txid[:]})
	}
}

// fundingUsed publishes the transaction of a channel from now on.
func (t *turn) fundingUsed() {
	if sp := t.funding(string(t.m.From)); sp != nil && !sp.stored.GetPublished() {
		t.event(&pb.Published{Txid: sp.txid[:]})
		t.release(publish(sp.stored, sp.tx, durable.Asker{}))
	}
}

// looked picks coins for a draft and has it signed.
func (t *turn) looked(l Looked) {
	d := t.drafts[l.Draft]
	if d == nil {
		return
	}
	payment, wanted := t.payment(d, l)
	if !wanted {
		t.stage(&pb.DraftEnded{Draft: l.Draft})
		return
	}
	selection, err := chainwallet.Selection{}, l.Err
	switch {
	case err != nil:
	case l.Send != nil && l.Send.All:
		payment, selection, err = chainwallet.Sweep(l.Coins, t.held(), l.Tip, t.Params, payment, l.Reserve)
		if errors.As(err, new(chainwallet.InsufficientFundsError)) && l.Reserve > 0 {
			err = ReserveError{Reserve: l.Reserve}
		}
	default:
		if selection, err = chainwallet.Select(l.Coins, t.held(), l.Tip, t.Params, payment); err == nil {
			err = t.keepReserve(l, selection)
		}
	}
	if err != nil {
		t.failed(l.Draft, l.Asker, err)
		return
	}
	packet, err := chainwallet.Fund(payment, selection, l.Tip)
	if err != nil {
		t.failed(l.Draft, l.Asker, err)
		return
	}
	sign := Sign{Draft: l.Draft, Packet: packet, Tip: l.Tip, Asker: l.Asker}
	if selection.Change > 0 {
		sign.Change = &l.Change
	}
	if l.Send != nil {
		sign.Label = l.Send.Label
	}
	leased := &pb.Leased{Draft: l.Draft}
	for i, in := range packet.UnsignedTx.TxIn {
		out := packet.Inputs[i].WitnessUtxo
		leased.Inputs = append(leased.Inputs, &pb.Input{
			Txid: bytes.Clone(in.PreviousOutPoint.Hash[:]), Index: in.PreviousOutPoint.Index, AmountSat: uint64(out.Value),
			PkScript: out.PkScript,
		})
	}
	t.stage(leased)
	t.release(sign)
}

// payment is what a draft is to pay; false when it is not wanted any more.
func (t *turn) payment(d *draft, l Looked) (chainwallet.Payment, bool) {
	if l.Send != nil {
		p := l.Send.Payment
		p.ChangeScript = l.ChangeScript
		return p, true
	}
	asked := t.waiting(d.channel)
	if asked == nil {
		return chainwallet.Payment{}, false
	}
	return chainwallet.Payment{
		Outputs: []*wire.TxOut{fundingOutput(asked)}, FeeRate: fees.SatPerKW(asked.GetSatPerKw()),
		ChangeScript: l.ChangeScript, MinConfirmations: fundingConfirmations,
	}, true
}

func fundingOutput(asked *pb.FundingAsked) *wire.TxOut {
	return wire.NewTxOut(int64(min(asked.GetAmountSat(), btcutil.MaxSatoshi)), asked.GetPkScript())
}

// signed turns a draft into a transaction, and gives it to whom it is for.
func (t *turn) signed(s SignedTx) {
	d := t.drafts[s.Draft]
	switch {
	case d == nil:
		return
	case s.Err != nil:
		t.failed(s.Draft, s.Asker, s.Err)
		return
	}
	stored, err := s.store(d)
	if err != nil {
		t.failed(s.Draft, s.Asker, err)
		return
	}
	if d.channel == "" {
		stored.Published = true
		t.event(&pb.Signed{Draft: s.Draft, Spend: stored})
		t.release(publish(stored, s.Tx, s.Asker))
		if s.Asker.Waits() {
			txid := s.Tx.TxHash()
			t.release(durable.SetTimer{Key: txid.String(), After: answerAfter, Body: lateAnswer{txid, s.Asker}})
		}
		return
	}
	asked := t.waiting(d.channel)
	if asked == nil {
		t.stage(&pb.DraftEnded{Draft: s.Draft})
		return
	}
	output, err := indexOf(s.Tx, fundingOutput(asked))
	if err != nil {
		t.failed(s.Draft, s.Asker, err)
		return
	}
	t.event(&pb.Signed{Draft: s.Draft, Spend: stored})
	t.send(durable.Address(d.channel), &channelpb.FundingReady{Tx: stored.GetTx(), Output: output})
}

// store is a signed transaction as it is kept.
func (s SignedTx) store(d *draft) (*pb.Spend, error) {
	if s.Tx.TxHash() != s.Packet.UnsignedTx.TxHash() {
		return nil, fmt.Errorf("another transaction was signed than %s: %s", s.Packet.UnsignedTx.TxHash(), s.Tx.TxHash())
	}
	var encoded bytes.Buffer
	if err := s.Tx.Serialize(&encoded); err != nil {
		return nil, fmt.Errorf("keep transaction %s: %w", s.Tx.TxHash(), err)
	}
	stored := &pb.Spend{
		Tx: encoded.Bytes(), Inputs: d.inputs, Channel: d.channel, SinceHeight: s.Tip, Label: s.Label,
	}
	if s.Change != nil {
		stored.ChangeBranch, stored.ChangeIndex = uint32(s.Change.Branch), s.Change.Index
	}
	return stored, nil
}

func indexOf(tx *wire.MsgTx, want *wire.TxOut) (uint32, error) {
	for i, out := range tx.TxOut {
		if out.Value == want.Value && bytes.Equal(out.PkScript, want.PkScript) {
			return uint32(i), nil
		}
	}
	return 0, fmt.Errorf("transaction %s does not pay %d sat to the channel", tx.TxHash(), want.Value)
}

// failed ends a draft of which nothing comes, and says why.
func (t *turn) failed(number uint64, asker durable.Asker, err error) {
	t.stage(&pb.DraftEnded{Draft: number})
	if channel := t.drafts[number].channel; channel == "" {
		t.reply(asker, err)
	} else if t.waiting(channel) != nil {
		t.event(&pb.FundingDropped{Channel: channel})
		t.send(durable.Address(channel), &channelpb.FundingRefused{Reason: err.Error()})
	}
}

// networkAnswered tells whoever waits what the network says. A transaction that is refused while nobody was told of it is given up;
// another one stays on its way, because it may be somewhere in the network.
func (t *turn) networkAnswered(a Answered) {
	sp := t.of(a.TxID)
	switch {
	case sp == nil:
	case a.Result.Ok():
		t.promise(a.TxID, a.Asker)
	case a.Asker.Waits() && !sp.promised:
		t.event(&pb.Released{Txid: a.TxID[:]})
		t.release(unpublish(sp))
		t.release(durable.StopTimer{Key: a.TxID.String()})
		t.reply(a.Asker, RefusedError{a.TxID, a.Result})
	}
}

// promise tells whoever waits that a payment is on its way.
func (t *turn) promise(txid chainhash.Hash, asker durable.Asker) {
	if sp := t.of(txid); sp == nil || sp.promised || !asker.Waits() {
		return
	}
	t.stage(&pb.Promised{Txid: txid[:]})
	t.reply(asker, txid)
	t.release(durable.StopTimer{Key: txid.String()})
}

func publish(stored *pb.Spend, tx *wire.MsgTx, asker durable.Asker) Publish {
	p := Publish{Tx: tx, Since: stored.GetSinceHeight() + 1, Label: stored.GetLabel(), Asker: asker}
	if stored.GetChannel() != "" {
		p.Label = "funding of " + stored.GetChannel()
	}
	for _, in := range stored.GetInputs() {
		p.Spends = append(p.Spends, wire.NewTxOut(int64(in.GetAmountSat()), in.GetPkScript()))
	}
	return p
}

func unpublish(sp *spend) Unpublish {
	return Unpublish{TxID: sp.txid, Inputs: len(sp.stored.GetInputs())}
}
