package channels

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	btcwire "github.com/btcsuite/btcd/wire"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	channelpb "stormcell/messages/channel"
	durablepb "stormcell/messages/durable"
)

// pay tells a payer what to offer, and to which channel. Only the first counts.
type pay struct {
	amount  uint64 // msat
	channel durable.Address
}

// payers is the core of payer/<n>: it offers one HTLC and notes what comes of it.
type payers struct{}

func (payers) Recover(_ durable.Address, snapshot proto.Message) (*PayerState, error) {
	if snapshot == nil {
		return &PayerState{}, nil
	}
	return snapshot.(*PayerState), nil
}

func (payers) Apply(s *PayerState, event proto.Message) {
	switch ev := event.(type) {
	case *Launched:
		s.Amount, s.Channel = ev.GetAmount(), ev.GetChannel()
	case *Ended:
		s.Outcomes = append(s.Outcomes, ev.GetOutcome())
	}
}

func (payers) Decide(s *PayerState, m durable.Message, env durable.Env) durable.Outcome {
	ended := func(outcome string) durable.Outcome {
		return durable.Outcome{Events: []proto.Message{&Ended{Outcome: outcome}}}
	}
	switch body := m.Body.(type) {
	case pay:
		if s.Amount > 0 {
			return durable.Outcome{}
		}
		hash := sha256.Sum256(preimageOf(env.Self()))
		return durable.Outcome{
			Events: []proto.Message{&Launched{Amount: body.amount, Channel: string(body.channel)}},
			Send: []durable.Envelope{{To: body.channel, Body: &channelpb.AddHTLC{
				AmountMsat: body.amount, PaymentHash: hash[:], Expiry: 1_000, Onion: onionOf(env.Self()),
			}}},
		}
	case *channelpb.HTLCSettled:
		out := ended("settled")
		out.Send = []durable.Envelope{{To: channel.MonitorOf(m.From), Body: &channelpb.Recorded{Id: body.GetId()}}}
		return out
	case *channelpb.HTLCFailed:
		return ended("failed")
	case *channelpb.HTLCRefused, *durablepb.Absent:
		return ended("refused")
	default:
		panic(fmt.Sprintf("payer: unknown message %T", m.Body))
	}
}

func (payers) Resume(*PayerState, durable.Env) durable.Outcome { return durable.Outcome{} }

func (payers) Snapshot(s *PayerState) proto.Message { return proto.CloneOf(s) }

// preimageOf is what the onion of a payer's HTLC tells the payee.
func preimageOf(payer durable.Address) []byte {
	preimage := sha256.Sum256([]byte(payer))
	return preimage[:]
}

// onionOf begins with the preimage: these channels do not look inside.
func onionOf(payer durable.Address) []byte {
	const onionSize = 1366
	return append(preimageOf(payer), make([]byte, onionSize-32)...)
}

// helpers is the core of the actors that keep nothing: payees and wallets.
type helpers struct{}

func (helpers) Recover(durable.Address, proto.Message) (*struct{}, error) { return &struct{}{}, nil }
func (helpers) Apply(*struct{}, proto.Message)                            {}
func (helpers) Resume(*struct{}, durable.Env) durable.Outcome             { return durable.Outcome{} }
func (helpers) Snapshot(*struct{}) proto.Message                          { return &PayerState{} }

func (helpers) Decide(_ *struct{}, m durable.Message, _ durable.Env) durable.Outcome {
	answer := func(body proto.Message) durable.Outcome {
		return durable.Outcome{Send: []durable.Envelope{{To: m.From, Body: body}}}
	}
	switch body := m.Body.(type) {
	case *channelpb.IncomingHTLC: // a payee claims six in eight
		switch preimage := body.GetOnion()[:32]; preimage[0] % 8 {
		case 0:
			return answer(&channelpb.FailHTLC{Id: body.GetId(), Reason: []byte("not wanted")})
		case 1:
			return answer(&channelpb.FailMalformedHTLC{Id: body.GetId(), Malformed: &channelpb.Malformed{
				OnionHash: make([]byte, 32), Code: 0xc005,
			}})
		default:
			out := answer(&channelpb.FulfillHTLC{Id: body.GetId(), Preimage: preimage})
			out.Send = append(out.Send, durable.Envelope{To: channel.MonitorOf(m.From), Body: &channelpb.MonitorUpdate{
				Preimages: []*channelpb.Preimage{{By: channelpb.Side_REMOTE, Id: body.GetId(), Preimage: preimage}},
			}})
			return out
		}
	case *channelpb.FundingWanted:
		tx := btcwire.NewMsgTx(2)
		coin := sha256.Sum256([]byte(m.From))
		tx.AddTxIn(&btcwire.TxIn{PreviousOutPoint: btcwire.OutPoint{Hash: coin}, Witness: btcwire.TxWitness{{1}}})
		tx.AddTxOut(btcwire.NewTxOut(int64(body.GetAmountSat()), body.GetPkScript()))
		var raw bytes.Buffer
		if err := tx.Serialize(&raw); err != nil {
			panic(err)
		}
		return answer(&channelpb.FundingReady{Tx: raw.Bytes()})
	default:
		return durable.Outcome{}
	}
}
