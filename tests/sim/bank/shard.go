package bank

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	durablepb "stormcell/messages/durable"
)

// attempt asks the world to settle a shard or to fail it. It is made again until there is a verdict.
type attempt struct{ amount int64 }

// verdict is the world's answer, now or much later, once or many times.
type verdict struct{ settled bool }

// nudge is the shard's own reminder to ask again.
type nudge struct{}

const nudgeAfter = time.Minute

// shards is the core of shard/<transfer>/<n>: one attempt to move a part of a transfer. It stores its state each step.
type shards struct{}

func (shards) Recover(_ durable.Address, snapshot proto.Message) (*ShardState, error) {
	if snapshot == nil {
		return &ShardState{}, nil
	}
	return snapshot.(*ShardState), nil
}

func (shards) Apply(s *ShardState, event proto.Message) {
	proto.Reset(s)
	proto.Merge(s, event)
}

func (shards) Decide(s *ShardState, m durable.Message, _ durable.Env) durable.Outcome {
	switch body := m.Body.(type) {
	case *Launch:
		return durable.Outcome{
			Events: []proto.Message{&ShardState{Phase: ShardState_WITHDRAWING, Transfer: string(m.From), Order: body}},
			Send:   []durable.Envelope{{To: durable.Address(body.From), Body: &Withdraw{Amount: body.Amount}}},
		}
	case *Withdrawal:
		if body.Declined {
			return s.finish(ShardState_FAILED, "")
		}
		return durable.Outcome{Events: []proto.Message{s.in(ShardState_ATTEMPTING)}, Release: s.attempt()}
	case *durablepb.Absent: // the account to withdraw from
		return s.finish(ShardState_FAILED, "")
	case verdict:
		switch {
		case s.Phase != ShardState_ATTEMPTING: // late, or for the second time
			return durable.Outcome{}
		case body.settled:
			return s.finish(ShardState_SETTLED, s.Order.To)
		default:
			return s.finish(ShardState_FAILED, s.Order.From)
		}
	case nudge:
		return durable.Outcome{Release: s.attempt()}
	case poison:
		panic("shard: poison")
	default:
		panic(fmt.Sprintf("shard: unknown message %T", m.Body))
	}
}

func (s *ShardState) in(p ShardState_Phase) *ShardState {
	next := proto.CloneOf(s)
	next.Phase = p
	return next
}

func (s *ShardState) attempt() []durable.Effect {
	return []durable.Effect{attempt{s.Order.Amount}, durable.SetTimer{Key: "nudge", After: nudgeAfter, Body: nudge{}}}
}

// finish ends the shard, tells the transfer, and pays the amount to an account if it was withdrawn.
func (s *ShardState) finish(p ShardState_Phase, pay string) durable.Outcome {
	out := durable.Outcome{
		Events: []proto.Message{s.in(p)},
		Send: []durable.Envelope{{To: durable.Address(s.Transfer), Body: &ShardResult{
			Settled: p == ShardState_SETTLED, Amount: s.Order.Amount,
		}}},
		Release: []durable.Effect{durable.StopTimer{Key: "nudge"}},
		Done:    true,
	}
	if pay != "" {
		out.Send = append(out.Send, durable.Envelope{To: durable.Address(pay), Body: &Deposit{Amount: s.Order.Amount}})
	}
	return out
}

func (shards) Resume(s *ShardState, _ durable.Env) durable.Outcome {
	if s.Phase != ShardState_ATTEMPTING {
		return durable.Outcome{}
	}
	return durable.Outcome{Release: s.attempt()}
}

func (shards) Snapshot(s *ShardState) proto.Message { return proto.CloneOf(s) }
