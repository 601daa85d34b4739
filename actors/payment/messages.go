package payment

import (
	"errors"
	"time"

	"stormcell/actors/durable"
	"stormcell/actors/router"
	pb "stormcell/messages/payment"
)

// Refusals.
var (
	// ErrInFlight: the payment is under way.
	ErrInFlight = errors.New("payment is in flight")
	// ErrPaid: the payment hash has been paid; it is never paid twice.
	ErrPaid = errors.New("invoice is already paid")
	// ErrEnded: the payment has come to its end, so that there is nothing left to abort.
	ErrEnded = errors.New("payment has ended")
	// ErrNotFound: there is no such payment, or it was deleted.
	ErrNotFound = errors.New("payment isn't initiated")
	// ErrBadRequest: what is to be paid makes no sense.
	ErrBadRequest = errors.New("payment request makes no sense")
	// ErrTooManyAttempts: the payment was tried so often that its history has to be deleted before it is tried again.
	ErrTooManyAttempts = errors.New("payment has been tried too often, delete its failed attempts first")
)

// What a payment can be asked. All is volatile: whoever asks can ask again.
type (
	// Pay begins a payment, or tries one again that failed. The answer, a *pb.Payment, comes when it is recorded. Refused with
	// ErrInFlight, ErrPaid, ErrBadRequest and ErrTooManyAttempts.
	Pay struct {
		Hash    [32]byte
		Request *pb.Request
		// Number is the payment's in the list, unless it has one. It is unique over the node, and below 2^48.
		Number uint64
		// Found has routes that were found ahead, to save a wait; nil if none were looked for.
		Found *Found
	}

	// View asks for the payment as it is, a *pb.Payment. Refused with ErrNotFound if it was deleted.
	View struct{}

	// Abort launches no more shards. The answer, nil, does not wait for the live ones. Refused with ErrEnded.
	Abort struct{}

	// Delete forgets what is known of a payment that has ended, or of its failed attempts. That its hash was paid is never
	// forgotten. The answer is nil. Refused with ErrInFlight and ErrNotFound; FailedOnly refuses one that succeeded, with ErrPaid.
	Delete struct{ FailedOnly, FailedAttemptsOnly bool }

	// IsLive asks a shard whether it is on its way; the answer is a bool.
	IsLive struct{}
)

// What leaves a payment, for the World to carry out.
type (
	// FindRoutes asks for routes; the answer is Found.
	FindRoutes struct {
		Round uint64
		Query router.Query
	}

	// Gather asks each of these shards IsLive: what they knew has reached the payment when they answer. The answer, once all
	// have, is Found without routes.
	Gather struct {
		Round  uint64
		Shards []durable.Address
	}

	// Changed says what the payment has become. It must not be changed. Ended: with this change a try came to its end.
	Changed struct {
		Payment *pb.Payment
		Ended   bool
	}
)

// Found answers FindRoutes and Gather: routes for all or a part of the amount, or why there are none.
type Found struct {
	Round  uint64
	Routes []*pb.Route
	Err    error // router.ErrNoRoute, router.ErrInsufficientBalance, router.ErrBusy, or another
}

// goOn is the payment's own reminder that its deadline has come, that it was recovered, or that it is to ask for routes again.
type goOn struct{}

// Timers: the end of a payment's time, and that it is time to ask for routes again.
const (
	deadlineTimer = "deadline"
	laterTimer    = "later"
)

const (
	// maxAttempts bounds the attempts of one try: with so many no more are launched. mostInTry is what they may come to, when the
	// last parts are launched together.
	maxAttempts = 64
	mostInTry   = maxAttempts - 1 + mostParts
	// maxHistory bounds the attempts that are kept: beyond it a payment that failed cannot be tried again.
	maxHistory = 256
	// DefaultTimeout is how long attempts are made when nobody says.
	DefaultTimeout = time.Minute
	// returnPatience is how long after a restart a payment goes on to ask for routes when there are none: peers that are dialled at
	// the start, or dial us, had their chance then.
	returnPatience = 30 * time.Second
	// askAgainAfter is how often it does.
	askAgainAfter = 500 * time.Millisecond
	// maxLaunched is the most attempts that the ids of one payment have room for.
	maxLaunched = 1<<16 - 1
	maxNumber   = 1<<48 - 1
)
