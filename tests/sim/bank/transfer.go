package bank

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
)

// startTransfer begins a transfer. Asking again is harmless.
type startTransfer struct{ order *TransferOrder }

// finished tells the world how a transfer ended, until the world says that it has heard.
type finished struct{ settled int64 }
type heard struct{}

// deadline is when a transfer stops to launch shards; those that live go on.
type deadline struct{}

const deadlineAfter = 10 * time.Minute

// transfers is the core of transfer/<id>: it fans out into shards and joins them. It keeps events.
type transfers struct{}

func (transfers) Recover(_ durable.Address, snapshot proto.Message) (*TransferState, error) {
	if snapshot == nil {
		return &TransferState{}, nil
	}
	return snapshot.(*TransferState), nil
}

func (transfers) Apply(s *TransferState, event proto.Message) {
	switch ev := event.(type) {
	case *Started:
		s.Order = ev.Order
	case *ShardLaunched:
		s.Launched++
		if s.Launched > s.Order.Parts {
			s.Relaunched++
		}
		s.Live = append(s.Live, ev.Shard)
	case *ShardEnded:
		s.Live = slices.DeleteFunc(s.Live, func(l string) bool { return l == ev.Shard })
		if ev.Settled {
			s.Settled += ev.Amount
		}
	case *GaveUp:
		s.GaveUp = true
	case *Acknowledged:
		s.Acknowledged = true
	default:
		panic(fmt.Sprintf("transfer: unknown event %T", event))
	}
}

func (transfers) Decide(s *TransferState, m durable.Message, env durable.Env) durable.Outcome {
	switch body := m.Body.(type) {
	case startTransfer:
		return s.start(m, body.order, env)
	case *ShardResult:
		return s.ended(m, body, env)
	case deadline:
		if len(s.Live) == 0 || s.GaveUp {
			return durable.Outcome{}
		}
		return durable.Outcome{Events: []proto.Message{&GaveUp{}}}
	case heard:
		if s.Acknowledged {
			return durable.Outcome{}
		}
		return durable.Outcome{Events: []proto.Message{&Acknowledged{}}, Done: true}
	case poison:
		panic("transfer: poison")
	default:
		panic(fmt.Sprintf("transfer: unknown message %T", m.Body))
	}
}

func (s *TransferState) start(m durable.Message, order *TransferOrder, env durable.Env) durable.Outcome {
	out := durable.Outcome{Release: []durable.Effect{durable.Reply{To: m.Asker}}}
	if s.Order != nil {
		return out
	}
	out.Events = []proto.Message{&Started{Order: order}}
	left := order.Amount
	for n := range order.Parts {
		part := left / int64(order.Parts-n)
		left -= part
		launch(&out, env.Self(), n+1, order, part)
	}
	out.Release = append(out.Release, setDeadline())
	return out
}

// launch adds shard n, with its part of the amount, to an outcome.
func launch(out *durable.Outcome, transfer durable.Address, n uint32, order *TransferOrder, part int64) {
	_, id, _ := strings.Cut(string(transfer), "/")
	shard := fmt.Sprintf("shard/%s/%d", id, n)
	out.Events = append(out.Events, &ShardLaunched{Shard: shard, Amount: part})
	out.Send = append(out.Send, durable.Envelope{
		To: durable.Address(shard), Body: &Launch{From: order.From, To: order.To, Amount: part},
	})
}

// ended records a shard's end, launches it again if that is still wanted, and finishes when it was the last.
func (s *TransferState) ended(m durable.Message, r *ShardResult, env durable.Env) durable.Outcome {
	out := durable.Outcome{Events: []proto.Message{&ShardEnded{Shard: string(m.From), Settled: r.Settled, Amount: r.Amount}}}
	if !r.Settled && !s.GaveUp && s.Relaunched < s.Order.Retries {
		launch(&out, env.Self(), s.Launched+1, s.Order, r.Amount)
		return out
	}
	if len(s.Live) == 1 {
		settled := s.Settled
		if r.Settled {
			settled += r.Amount
		}
		out.Release = []durable.Effect{finished{settled}, durable.StopTimer{Key: "deadline"}}
	}
	return out
}

func setDeadline() durable.Effect {
	return durable.SetTimer{Key: "deadline", After: deadlineAfter, Body: deadline{}}
}

func (transfers) Resume(s *TransferState, _ durable.Env) durable.Outcome {
	if len(s.Live) > 0 {
		return durable.Outcome{Release: []durable.Effect{setDeadline()}}
	}
	return durable.Outcome{Release: []durable.Effect{finished{s.Settled}}}
}

func (transfers) Snapshot(s *TransferState) proto.Message { return proto.CloneOf(s) }
