package payment

import (
	"encoding/hex"
	"fmt"
	"strings"

	"stormcell/actors/durable"
	pb "stormcell/messages/payment"
)

// The columns of payments: the list in the order of numbers, and where a hash is found.
const (
	listPrefix = "payment/number/"
	filePrefix = "payment/hash/"
)

func listKey(number uint64) string { return fmt.Sprintf("%s%012x", listPrefix, number) }

func fileKey(hash []byte, payment durable.Address) string {
	return filePrefix + hex.EncodeToString(hash) + strings.TrimPrefix(string(payment), Name)
}

func listed(self durable.Address, p *pb.Payment) durable.Column {
	return durable.Column{Key: listKey(p.GetNumber()), Value: &pb.Listed{
		Payment: string(self), CreatedNs: p.GetCreatedNs(), Status: StatusOf(p),
	}}
}

func filed(self durable.Address, p *pb.Payment) durable.Column {
	return durable.Column{Key: fileKey(p.GetHash(), self), Value: &pb.Filed{Payment: string(self)}}
}

// delete forgets a payment that has ended, or its failed attempts. Its number is never given out again.
func (t *turn) delete(want Delete) durable.Outcome {
	switch {
	case t.p.GetDeleted():
		return durable.Outcome{Refuse: ErrNotFound}
	case StatusOf(t.p) == pb.Status_IN_FLIGHT:
		return durable.Outcome{Refuse: ErrInFlight}
	case want.FailedOnly && StatusOf(t.p) != pb.Status_FAILED:
		return durable.Outcome{Refuse: ErrPaid}
	}
	t.reply(nil)
	if want.FailedAttemptsOnly {
		var kept []*pb.Attempt
		for _, a := range t.p.GetAttempts() {
			if a.GetSettledNs() != 0 {
				kept = append(kept, a)
			}
		}
		if len(kept) < len(t.p.GetAttempts()) {
			t.change().Attempts = kept
		}
		return t.done()
	}
	old := t.p
	next := t.change()
	next.Request, next.Attempts, next.Deleted = nil, nil, true
	t.out.Events = append(t.out.Events, next)
	t.out.Put = []durable.Column{
		{Key: listKey(old.GetNumber()), Value: &pb.Listed{}}, {Key: fileKey(old.GetHash(), t.env.Self())},
	}
	t.out.Done = true
	return t.out
}
