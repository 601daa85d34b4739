package payment

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	channelpb "stormcell/messages/channel"
	durablepb "stormcell/messages/durable"
	pb "stormcell/messages/payment"
)

// ShardCore is the logic of shards.
type ShardCore struct{}

var _ durable.Core[*Shard] = ShardCore{}

// Shard is an attempt on its way.
type Shard struct{ stored *pb.Shard }

// ShardKind is how the kernel runs shards.
func ShardKind() durable.Kind {
	return durable.Kind{Name: ShardName, SnapshotEvery: 1, Creates: func(body any) bool {
		_, launches := body.(*pb.Launch)
		return launches
	}}
}

// Recover implements durable.Core.
func (ShardCore) Recover(_ durable.Address, snapshot proto.Message) (*Shard, error) {
	if snapshot == nil {
		return &Shard{}, nil
	}
	return &Shard{stored: snapshot.(*pb.Shard)}, nil
}

// Apply implements durable.Core.
func (ShardCore) Apply(s *Shard, event proto.Message) { s.stored = event.(*pb.Shard) }

// Snapshot implements durable.Core.
func (ShardCore) Snapshot(s *Shard) proto.Message {
	if s.stored == nil {
		return &pb.Shard{}
	}
	return s.stored
}

// Resume implements durable.Core: the HTLC is the channel's, which will answer.
func (ShardCore) Resume(*Shard, durable.Env) durable.Outcome { return durable.Outcome{} }

// Decide implements durable.Core.
func (ShardCore) Decide(s *Shard, m durable.Message, env durable.Env) durable.Outcome {
	switch body := m.Body.(type) {
	case *pb.Launch:
		return s.launch(body, env)
	case *channelpb.HTLCSettled:
		return s.settled(body, env)
	case *channelpb.HTLCFailed:
		return s.failed(s.read(body), env)
	case *channelpb.HTLCRefused:
		return s.failed(refusal(body.GetCode(), body.GetReason()), env)
	case *durablepb.Absent:
		if body.GetAddress() != s.stored.GetAttempt().GetRoute().GetChannel() {
			return durable.Outcome{}
		}
		return s.failed(refusal(channelpb.RefusalCode_NOT_OPEN, "there is no such channel"), env)
	case IsLive:
		live := s.stored.GetState() == pb.Shard_LIVE
		return durable.Outcome{Release: []durable.Effect{durable.Reply{To: m.Asker, Body: live}}}
	default:
		panic(fmt.Sprintf("shard: unknown message %T", m.Body))
	}
}

// launch offers the HTLC to the channel, in the commit that begins the shard.
func (s *Shard) launch(want *pb.Launch, env durable.Env) durable.Outcome {
	if s.stored != nil {
		return durable.Outcome{}
	}
	a := want.GetAttempt()
	packet, err := buildOnion(want)
	if err != nil {
		return ended(pb.Shard_FAILED, env, &pb.ShardEnded{
			Failure: refusal(channelpb.RefusalCode_BAD_REQUEST, err.Error()), N: a.GetN(),
		})
	}
	return durable.Outcome{
		Events: []proto.Message{&pb.Shard{Attempt: a}},
		Send: []durable.Envelope{{To: durable.Address(a.GetRoute().GetChannel()), Body: &channelpb.AddHTLC{
			Tag: uint64(a.GetN()), AmountMsat: a.GetRoute().GetAmountMsat(), PaymentHash: want.GetHash(),
			Expiry: a.GetRoute().GetExpiry(), Onion: packet,
		}}},
	}
}

// settled passes the preimage on, also when it has been before: whoever tells it again waits to hear that it is recorded.
// It counts even after a failure.
func (s *Shard) settled(body *channelpb.HTLCSettled, env durable.Env) durable.Outcome {
	return ended(pb.Shard_SETTLED, env, &pb.ShardEnded{
		N: uint32(body.GetTag()), Preimage: body.GetPreimage(), Htlc: body.GetId(),
	})
}

// failed ends a shard that is live.
func (s *Shard) failed(why *pb.Failure, env durable.Env) durable.Outcome {
	if s.stored.GetState() != pb.Shard_LIVE {
		return durable.Outcome{}
	}
	return ended(pb.Shard_FAILED, env, &pb.ShardEnded{N: s.stored.GetAttempt().GetN(), Failure: why})
}

// ended tells the payment how the attempt ended, and keeps no more than that.
func ended(how pb.Shard_State, env durable.Env, end *pb.ShardEnded) durable.Outcome {
	end.AtNs = env.Now().UnixNano()
	return durable.Outcome{
		Events: []proto.Message{&pb.Shard{State: how}},
		Send:   []durable.Envelope{{To: paymentOf(env.Self()), Body: end}},
		Done:   true,
	}
}

// read makes out who failed the HTLC, and why.
func (s *Shard) read(body *channelpb.HTLCFailed) *pb.Failure {
	if m := body.GetMalformed(); m != nil {
		return &pb.Failure{Cause: &pb.Failure_Malformed{Malformed: m}, Hop: 1}
	}
	return readFailure(s.stored.GetAttempt(), body.GetReason())
}

func refusal(code channelpb.RefusalCode, why string) *pb.Failure {
	return &pb.Failure{Cause: &pb.Failure_Refused{Refused: &pb.Refusal{Code: code, Reason: why}}}
}
