package backend

import "fmt"

// PublishStatus is what became of a transaction that was published.
type PublishStatus uint8

const (
	// Accepted: it is in the mempool now. A light client cannot see a mempool; there it means that nobody objected.
	Accepted PublishStatus = iota + 1
	// AlreadyKnown: it was in the mempool before.
	AlreadyKnown
	// AlreadyConfirmed: it is in a block of the best chain.
	AlreadyConfirmed
	// Conflicts: a transaction in the mempool spends the same output and cannot be replaced by this one.
	Conflicts
	// FeeTooLow: it pays less than the mempool demands, or not enough more than what it would replace.
	FeeTooLow
	// MissingInputs: an output that it spends is spent in a block, or nobody knows it.
	MissingInputs
	// Rejected: it is invalid, not final yet, or not of a standard form.
	Rejected
)

func (s PublishStatus) String() string {
	switch s {
	case Accepted:
		return "accepted"
	case AlreadyKnown:
		return "already known"
	case AlreadyConfirmed:
		return "already confirmed"
	case Conflicts:
		return "conflicts with another transaction"
	case FeeTooLow:
		return "fee too low"
	case MissingInputs:
		return "inputs are spent or unknown"
	case Rejected:
		return "rejected"
	default:
		return fmt.Sprintf("status %d", uint8(s))
	}
}

// PublishResult is the network's answer to a transaction.
type PublishResult struct {
	Status PublishStatus
	Reason string // in the backend's words; empty when the transaction was accepted
}

// Ok tells whether the transaction is on its way to a block, or in one.
func (r PublishResult) Ok() bool {
	return r.Status == Accepted || r.Status == AlreadyKnown || r.Status == AlreadyConfirmed
}

func (r PublishResult) String() string {
	if r.Reason == "" {
		return r.Status.String()
	}
	return fmt.Sprintf("%s: %s", r.Status, r.Reason)
}
