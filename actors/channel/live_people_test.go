package channel_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	pb "stormcell/messages/channel"
	durablepb "stormcell/messages/durable"
	people "stormcell/tests/sim/channels"
)

// pay tells a payer what to offer, and to which channel. Only the first counts.
type pay struct {
	amount   uint64 // msat
	channel  durable.Address
	preimage [32]byte
}

// payers is the core of payer/<n>: it offers one HTLC, again while the peer is away, and notes what comes of it.
type payers struct{}

func (payers) Recover(_ durable.Address, snapshot proto.Message) (*people.PayerState, error) {
	if snapshot == nil {
		return &people.PayerState{}, nil
	}
	return snapshot.(*people.PayerState), nil
}

func (payers) Apply(s *people.PayerState, event proto.Message) {
	switch ev := event.(type) {
	case *people.Launched:
		s.Amount, s.Channel = ev.GetAmount(), ev.GetChannel()
	case *people.Ended:
		s.Outcomes = append(s.Outcomes, ev.GetOutcome())
	}
}

func (payers) Snapshot(s *people.PayerState) proto.Message { return proto.CloneOf(s) }

func (payers) Resume(*people.PayerState, durable.Env) durable.Outcome { return durable.Outcome{} }

// outcomes asks a payer what it was answered.
type outcomes struct{}

func (payers) Decide(s *people.PayerState, m durable.Message, _ durable.Env) durable.Outcome {
	ended := func(outcome string) durable.Outcome {
		return durable.Outcome{Events: []proto.Message{&people.Ended{Outcome: outcome}}}
	}
	switch body := m.Body.(type) {
	case pay:
		out := durable.Outcome{Release: []durable.Effect{durable.Reply{To: m.Asker}}}
		if s.Amount > 0 {
			return out
		}
		hash := sha256.Sum256(body.preimage[:])
		out.Events = []proto.Message{&people.Launched{Amount: body.amount, Channel: string(body.channel)}}
		out.Send = []durable.Envelope{{To: body.channel, Body: &pb.AddHTLC{
			AmountMsat: body.amount, PaymentHash: hash[:], Expiry: 1_000, Onion: append(body.preimage[:], make([]byte, 1366-32)...),
		}}}
		return out
	case outcomes:
		return durable.Outcome{Release: []durable.Effect{durable.Reply{To: m.Asker, Body: slices.Clone(s.Outcomes)}}}
	case *pb.HTLCSettled:
		out := ended("settled")
		out.Send = []durable.Envelope{{To: channel.MonitorOf(m.From), Body: &pb.Recorded{By: pb.Side_LOCAL, Id: body.GetId()}}}
		return out
	case *pb.HTLCFailed:
		return ended("failed")
	case *pb.HTLCRefused:
		return ended("refused: " + body.GetReason())
	case *durablepb.Absent:
		return ended("absent")
	default:
		panic(fmt.Sprintf("payer: unknown message %T", m.Body))
	}
}

// fails tells whether the payee fails the HTLC with that preimage, or says that it cannot read it.
func fails(preimage []byte) bool { return preimage[0]%8 < 2 }

// helpers is the core of the actors that keep nothing: the payee and the funder.
type helpers struct{}

func (helpers) Recover(durable.Address, proto.Message) (*struct{}, error) { return &struct{}{}, nil }
func (helpers) Apply(*struct{}, proto.Message)                            {}
func (helpers) Resume(*struct{}, durable.Env) durable.Outcome             { return durable.Outcome{} }
func (helpers) Snapshot(*struct{}) proto.Message                          { return &people.PayerState{} }

func (helpers) Decide(_ *struct{}, m durable.Message, _ durable.Env) durable.Outcome {
	answer := func(body proto.Message) durable.Outcome {
		return durable.Outcome{Send: []durable.Envelope{{To: m.From, Body: body}}}
	}
	switch body := m.Body.(type) {
	case *pb.IncomingHTLC:
		switch preimage := body.GetOnion()[:32]; {
		case !fails(preimage):
			return answer(&pb.FulfillHTLC{Id: body.GetId(), Preimage: preimage})
		case preimage[0]%8 == 0:
			return answer(&pb.FailHTLC{Id: body.GetId(), Reason: []byte("not wanted")})
		default:
			return answer(&pb.FailMalformedHTLC{Id: body.GetId(), Malformed: &pb.Malformed{
				OnionHash: make([]byte, 32), Code: 0xc005,
			}})
		}
	case *pb.FundingWanted:
		tx := btcwire.NewMsgTx(2)
		coin := sha256.Sum256(body.GetPkScript())
		tx.AddTxIn(&btcwire.TxIn{PreviousOutPoint: btcwire.OutPoint{Hash: coin},
			Witness: btcwire.TxWitness{make([]byte, 71), append([]byte{2}, make([]byte, 32)...)}})
		tx.AddTxOut(btcwire.NewTxOut(int64(body.GetAmountSat()), body.GetPkScript()))
		var raw bytes.Buffer
		if err := tx.Serialize(&raw); err != nil {
			panic(err)
		}
		return answer(&pb.FundingReady{Tx: raw.Bytes()})
	default:
		return durable.Outcome{}
	}
}

// load is many payments of one node over one channel: each is asked for until it is launched, and then answered once.
type load struct {
	name    string
	channel durable.Address
	amount  uint64 // msat
	number  int
}

func (l load) payer(i int) durable.Address {
	return durable.Address(fmt.Sprintf("payer/%s-%d", l.name, i))
}

func (l load) preimage(i int) [32]byte { return sha256.Sum256([]byte(l.payer(i))) }

// launch asks for the payments from one to before another; a node that is down takes none.
func (l load) launch(n *node, from, to int) {
	for i := from; i < to; i++ {
		want := pay{amount: l.amount, channel: l.channel, preimage: l.preimage(i)}
		_ = n.kernel.AskFunc(l.payer(i), want, false, func(any, error) {})
	}
}

// outcomes counts what the payments were answered. None may be answered twice, nor other than the payee did.
func (l load) outcomes(n *node) map[string]int {
	n.t.Helper()
	count := map[string]int{}
	for i := range l.number {
		body, err := n.kernel.Ask(n.t.Context(), l.payer(i), outcomes{})
		require.NoError(n.t, err)
		answers := body.([]string)
		require.LessOrEqual(n.t, len(answers), 1, "payment %d is answered %v", i, answers)
		preimage := l.preimage(i)
		for _, answer := range answers {
			count[answer]++
			switch answer {
			case "settled":
				require.False(n.t, fails(preimage[:]), "payment %d", i)
			case "failed":
				require.True(n.t, fails(preimage[:]), "payment %d", i)
			}
		}
	}
	return count
}

// answered waits until every payment is answered.
func (l load) answered(n *node) map[string]int {
	n.t.Helper()
	var count map[string]int
	n.until("all payments are answered", func() bool {
		count = l.outcomes(n)
		all := 0
		for _, answer := range slices.Sorted(maps.Keys(count)) {
			all += count[answer]
		}
		return all == l.number
	})
	return count
}
