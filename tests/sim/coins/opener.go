package coins

import (
	"bytes"
	"fmt"

	"github.com/btcsuite/btcd/wire"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/wallet"
	channelpb "stormcell/messages/channel"
	durablepb "stormcell/messages/durable"
)

const openerKind = "opener"

// What openers are told. Each can be said again.
type (
	// ask for a funding transaction.
	ask struct{ amount uint64 } // sat
	// use it, if there is one.
	use struct{}
	// release gives it back, or gives up waiting for it.
	release struct{}
)

// openers is the core of those who want coins for a channel.
type openers struct{}

func (openers) Recover(_ durable.Address, snapshot proto.Message) (*Opener, error) {
	if snapshot == nil {
		return &Opener{}, nil
	}
	return snapshot.(*Opener), nil
}

func (openers) Apply(s *Opener, event proto.Message) {
	switch ev := event.(type) {
	case *Asked:
		s.AmountSat = ev.GetAmountSat()
	case *Answered:
		s.Txid, s.Refusal = ev.GetTxid(), ev.GetRefusal()
		s.Answers++
	case *Decided:
		s.Used, s.Released = s.Used || ev.GetUsed(), s.Released || ev.GetReleased()
	}
}

func (openers) Decide(s *Opener, m durable.Message, _ durable.Env) durable.Outcome {
	out := durable.Outcome{Release: []durable.Effect{durable.Reply{To: m.Asker}}}
	step := func(event, body proto.Message) durable.Outcome {
		out.Events = []proto.Message{event}
		out.Send = []durable.Envelope{{To: wallet.Address, Body: body}}
		return out
	}
	switch body := m.Body.(type) {
	case ask:
		if s.GetAmountSat() == 0 {
			return step(&Asked{AmountSat: body.amount}, &channelpb.FundingWanted{
				AmountSat: body.amount, PkScript: fundingScript, SatPerKw: feeRate,
			})
		}
	case use:
		if s.GetTxid() != nil && !s.GetUsed() && !s.GetReleased() {
			return step(&Decided{Used: true}, &channelpb.FundingUsed{})
		}
	case release:
		if s.GetAmountSat() > 0 && s.GetRefusal() == "" && !s.GetUsed() && !s.GetReleased() {
			return step(&Decided{Released: true}, &channelpb.FundingReleased{})
		}
	case *channelpb.FundingReady:
		txid, err := paid(body, s.GetAmountSat())
		if err != nil {
			panic(err)
		}
		return durable.Outcome{Events: []proto.Message{&Answered{Txid: txid}}}
	case *channelpb.FundingRefused:
		return durable.Outcome{Events: []proto.Message{&Answered{Refusal: body.GetReason()}}}
	case *durablepb.Absent:
		return durable.Outcome{Events: []proto.Message{&Answered{Refusal: "there is no wallet yet"}}}
	default:
		panic(fmt.Sprintf("opener: unknown message %T", m.Body))
	}
	return out
}

// paid checks that a transaction does what was asked for.
func paid(ready *channelpb.FundingReady, amount uint64) ([]byte, error) {
	var tx wire.MsgTx
	if err := tx.Deserialize(bytes.NewReader(ready.GetTx())); err != nil {
		return nil, fmt.Errorf("the funding transaction cannot be read: %w", err)
	}
	out := tx.TxOut[ready.GetOutput()]
	if uint64(out.Value) != amount || !bytes.Equal(out.PkScript, fundingScript) || !tx.HasWitness() {
		return nil, fmt.Errorf("the funding transaction does not fund: %v", out)
	}
	txid := tx.TxHash()
	return txid[:], nil
}

func (openers) Resume(*Opener, durable.Env) durable.Outcome { return durable.Outcome{} }

func (openers) Snapshot(s *Opener) proto.Message { return proto.CloneOf(s) }
