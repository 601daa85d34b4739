package bank

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/persistence"
)

// flush stands behind the entries that already wait when the first of them is kept.
type flush struct{}

// audit is the state of the auditor: what is posted is stored, what is pending is staged for entries kept in the inbox.
type audit struct {
	posted  *AuditState
	pending []*Pending
}

// audits is the core of audit/<name>: it leaves entries in its inbox and posts many of them with one commit.
type audits struct{}

func (audits) Recover(_ durable.Address, snapshot proto.Message) (*audit, error) {
	if snapshot == nil {
		return &audit{posted: &AuditState{}}, nil
	}
	return &audit{posted: snapshot.(*AuditState)}, nil
}

func (audits) Apply(s *audit, event proto.Message) {
	switch ev := event.(type) {
	case *Pending:
		s.pending = append(s.pending, ev)
	case *Posted:
		s.posted.Total += ev.Amount
		s.posted.Entries += ev.Entries
		// In replay nothing is pending: what is staged belongs to messages that are still in the inbox.
		s.pending = s.pending[min(int(ev.Entries), len(s.pending)):]
	default:
		panic(fmt.Sprintf("audit: unknown event %T", event))
	}
}

func (audits) Decide(s *audit, m durable.Message, _ durable.Env) durable.Outcome {
	switch body := m.Body.(type) {
	case *Entry:
		out := durable.Outcome{
			Keep:  true,
			Stage: []proto.Message{&Pending{Lsn: uint64(m.ID.LSN), N: m.ID.N, Amount: body.Amount}},
		}
		if len(s.pending) == 0 {
			out.Next = []any{flush{}}
		}
		return out
	case flush:
		post := &Posted{Entries: uint64(len(s.pending))}
		var also []durable.Ref
		for _, p := range s.pending {
			post.Amount += p.Amount
			also = append(also, durable.Ref{LSN: persistence.LSN(p.Lsn), N: p.N})
		}
		return durable.Outcome{Events: []proto.Message{post}, Also: also}
	case poison:
		panic("audit: poison")
	default:
		panic(fmt.Sprintf("audit: unknown message %T", m.Body))
	}
}

func (audits) Resume(*audit, durable.Env) durable.Outcome { return durable.Outcome{} }

func (audits) Snapshot(s *audit) proto.Message { return proto.CloneOf(s.posted) }
