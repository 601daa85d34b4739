package payments

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/payment"
	pb "stormcell/messages/payment"
)

// Sabotage breaks a rule of the control tower, around its core, or of the channels below.
type Sabotage int

// The ways to break it. Their numbers are no others' in a plan.
const (
	Honest                   Sabotage = 0
	FailOnFirst              Sabotage = iota + 100 // a payment fails with its first shard, and forgets the live ones
	ForgetLateSettle                               // a settle that comes after a failure of the whole is not recorded
	DropPreimageAtRevocation                       // a channel forgets the preimage when the HTLC is gone
)

func (s Sabotage) String() string {
	return map[Sabotage]string{
		Honest: "honest", FailOnFirst: "fail on the first shard's failure", ForgetLateSettle: "forget a late settle",
		DropPreimageAtRevocation: "drop the preimage at the revocation",
	}[s]
}

func (s Sabotage) core() durable.Core[*payment.State] {
	switch s {
	case FailOnFirst:
		return failsOnFirst{payment.Core{}}
	case ForgetLateSettle:
		return forgetsLate{payment.Core{}}
	default:
		return payment.Core{}
	}
}

type failsOnFirst struct{ payment.Core }

func (c failsOnFirst) Decide(s *payment.State, m durable.Message, env durable.Env) durable.Outcome {
	out := c.Core.Decide(s, m, env)
	end, ok := m.Body.(*pb.ShardEnded)
	if !ok || end.GetFailure() == nil || len(out.Events) == 0 {
		return out
	}
	p := proto.CloneOf(out.Events[0].(*pb.Payment))
	if len(p.GetPreimage()) > 0 {
		return out
	}
	p.Failure = pb.FailureReason_ERROR
	for _, a := range p.GetAttempts() {
		if a.GetSettledNs() == 0 && a.GetFailedNs() == 0 {
			a.FailedNs = end.GetAtNs()
		}
	}
	out.Events = []proto.Message{p}
	out.Release = slices.DeleteFunc(out.Release, func(e durable.Effect) bool {
		_, changed := e.(payment.Changed)
		return changed
	})
	out.Release = append(out.Release, payment.Changed{Payment: p})
	out.Done = true
	return out
}

type forgetsLate struct{ payment.Core }

func (c forgetsLate) Decide(s *payment.State, m durable.Message, env durable.Env) durable.Outcome {
	p := c.Snapshot(s).(*pb.Payment)
	if end, ok := m.Body.(*pb.ShardEnded); ok && len(end.GetPreimage()) > 0 && p.GetFailure() != pb.FailureReason_NONE {
		return durable.Outcome{}
	}
	return c.Core.Decide(s, m, env)
}
