package channel

import (
	"errors"
	"fmt"

	pb "stormcell/messages/channel"
)

// Refusal answers a local request that cannot be met. Its text is for people.
type Refusal struct {
	Code pb.RefusalCode
	Text string
}

func (r *Refusal) Error() string { return r.Text }

func refuse(code pb.RefusalCode, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Text: fmt.Sprintf(format, args...)}
}

// notOpen refuses what needs a channel that is open.
func notOpen(phase pb.Phase) *Refusal {
	switch {
	case isOpening(phase), phase == pb.Phase_WAIT_CONFIRMED, phase == pb.Phase_WAIT_READY:
		return refuse(pb.RefusalCode_NOT_OPEN, "the channel is not open yet")
	case isShutting(phase), phase == pb.Phase_CLOSING:
		return refuse(pb.RefusalCode_NOT_OPEN, "the channel is closing")
	case phase == pb.Phase_CLOSED:
		return refuse(pb.RefusalCode_NOT_OPEN, "the channel is closed")
	default:
		return refuse(pb.RefusalCode_NOT_OPEN, "there is no such channel")
	}
}

// Violation says that the peer broke the protocol. Unless it is Fatal the peer is warned and the connection closed, and
// all goes on after a reconnection; a fatal one is answered with an error, and our commitment is published.
type Violation struct {
	Fatal bool
	Err   error
}

func (v *Violation) Error() string { return v.Err.Error() }

func (v *Violation) Unwrap() error { return v.Err }

func violation(format string, args ...any) *Violation {
	return &Violation{Err: fmt.Errorf(format, args...)}
}

func fatal(format string, args ...any) *Violation {
	return &Violation{Fatal: true, Err: fmt.Errorf(format, args...)}
}

// What the peer did wrong, where somebody might care to know.
var (
	ErrBadID          = errors.New("HTLC id is out of order")
	ErrNoSuchHTLC     = errors.New("no such HTLC")
	ErrAlreadyRemoved = errors.New("HTLC is already being removed")
	ErrWrongPreimage  = errors.New("preimage does not fit the payment hash")
	ErrLimit          = errors.New("beyond the channel's limits")
	ErrCannotAfford   = errors.New("sender cannot afford it")
	ErrNotOpener      = errors.New("only the opener sets the fee")
	ErrFeeRate        = errors.New("unreasonable fee rate")
	ErrUnexpected     = errors.New("unexpected message")
	ErrBadRevocation  = errors.New("secret does not revoke the last commitment")
	ErrBadSignature   = errors.New("signatures do not fit our commitment")
	ErrNotSigned      = errors.New("the peer did not sign it")
	ErrTerms          = errors.New("terms of the channel are not acceptable")
	ErrNotRevoked     = errors.New("the peer does not revoke its commitment")
	ErrOutOfSync      = errors.New("peer and we do not agree on where the channel stands")
)
