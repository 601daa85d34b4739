package bank

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
)

// auditor gets an entry for every deposit.
const auditor durable.Address = "audit/main"

// openAccount puts the first money into an account; a deposit may have come earlier. Asking again is harmless.
type openAccount struct{ amount int64 }

// statement leaves an account after each change. A step once shown to the world must never be another.
type statement struct {
	steps   uint64
	balance int64
}

// poison lets whoever gets it panic.
type poison struct{}

// accounts is the core of account/<name>: it keeps events.
type accounts struct{}

func (accounts) Recover(_ durable.Address, snapshot proto.Message) (*AccountState, error) {
	if snapshot == nil {
		return &AccountState{}, nil
	}
	return snapshot.(*AccountState), nil
}

func (accounts) Apply(s *AccountState, event proto.Message) {
	s.Steps++
	switch ev := event.(type) {
	case *Opened:
		s.Opened = ev.Amount
		s.Balance += ev.Amount
	case *Withdrawn:
		s.Balance -= ev.Amount
	case *Deposited:
		s.Balance += ev.Amount
	default:
		panic(fmt.Sprintf("account: unknown event %T", event))
	}
}

func (accounts) Decide(s *AccountState, m durable.Message, _ durable.Env) durable.Outcome {
	switch body := m.Body.(type) {
	case openAccount:
		return s.open(m, body.amount)
	case *Withdraw:
		if s.Balance < body.Amount {
			return durable.Outcome{Send: []durable.Envelope{{To: m.From, Body: &Withdrawal{Declined: true}}}}
		}
		return durable.Outcome{
			Events:  []proto.Message{&Withdrawn{Amount: body.Amount}},
			Send:    []durable.Envelope{{To: m.From, Body: &Withdrawal{}}},
			Release: []durable.Effect{statement{s.Steps + 1, s.Balance - body.Amount}},
		}
	case *Deposit:
		return durable.Outcome{
			Events:  []proto.Message{&Deposited{Amount: body.Amount}},
			Send:    []durable.Envelope{{To: auditor, Body: &Entry{Amount: body.Amount}}},
			Release: []durable.Effect{statement{s.Steps + 1, s.Balance + body.Amount}},
		}
	case poison:
		panic("account: poison")
	default:
		panic(fmt.Sprintf("account: unknown message %T", m.Body))
	}
}

func (s *AccountState) open(m durable.Message, amount int64) durable.Outcome {
	out := durable.Outcome{Release: []durable.Effect{durable.Reply{To: m.Asker}}}
	if s.Opened == 0 {
		out.Events = []proto.Message{&Opened{Amount: amount}}
	}
	return out
}

func (accounts) Resume(*AccountState, durable.Env) durable.Outcome { return durable.Outcome{} }

func (accounts) Snapshot(s *AccountState) proto.Message { return proto.CloneOf(s) }
