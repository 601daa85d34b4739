package payment

import (
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"google.golang.org/protobuf/proto"

	pb "stormcell/messages/payment"
)

const (
	// DefaultMaxParts is how many parts a payment may have at a time when nobody says; mostParts is what may be said.
	DefaultMaxParts = 16
	mostParts       = maxAttempts
	// DefaultMaxDelta is how many blocks funds may be locked for when nobody says.
	DefaultMaxDelta = 2016
	// roomForPayee is how many bytes the payee can be told at most: an onion has less room than that.
	roomForPayee = 1300
)

// check holds a request against what can be paid at all.
func check(r *pb.Request) error {
	payee := r.GetPayee()
	if _, err := btcec.ParsePubKey(payee.GetNode()); err != nil {
		return fmt.Errorf("%w: payee: %w", ErrBadRequest, err)
	}
	switch {
	case len(payee.GetNode()) != btcec.PubKeyBytesLenCompressed:
		return fmt.Errorf("%w: the payee's key is not compressed", ErrBadRequest)
	case r.GetAmountMsat() == 0 || r.GetAmountMsat() > btcutil.MaxSatoshi*1000:
		return fmt.Errorf("%w: an amount of %d msat", ErrBadRequest, r.GetAmountMsat())
	case r.GetMaxParts() == 0 || r.GetMaxParts() > mostParts:
		return fmt.Errorf("%w: %d parts, want 1 to %d", ErrBadRequest, r.GetMaxParts(), mostParts)
	case r.GetTimeoutNs() <= 0:
		return fmt.Errorf("%w: no time for an attempt", ErrBadRequest)
	case len(payee.GetSecret()) != 0 && len(payee.GetSecret()) != 32:
		return fmt.Errorf("%w: a payment secret of %d bytes", ErrBadRequest, len(payee.GetSecret()))
	case len(payee.GetKeysend()) != 0 && len(payee.GetKeysend()) != 32:
		return fmt.Errorf("%w: a keysend preimage of %d bytes", ErrBadRequest, len(payee.GetKeysend()))
	case len(payee.GetSecret()) == 0 && r.GetMaxParts() > 1:
		return fmt.Errorf("%w: several parts need a payment secret", ErrBadRequest)
	case forPayee(payee) > roomForPayee:
		return fmt.Errorf("%w: more for the payee than an onion has room for", ErrBadRequest)
	}
	return nil
}

// forPayee is how many bytes metadata and records take in an onion at least.
func forPayee(payee *pb.Payee) int {
	size := len(payee.GetMetadata())
	for _, record := range payee.GetRecords() {
		size += len(record.GetValue()) + 2 // type and length
	}
	return size
}

// withDefaults fills in the limits that nobody said.
func withDefaults(r *pb.Request) *pb.Request {
	r = proto.CloneOf(r)
	if r.GetMaxParts() == 0 {
		r.MaxParts = 1
		if len(r.GetPayee().GetSecret()) > 0 {
			r.MaxParts = DefaultMaxParts
		}
	}
	if r.GetMaxDelta() == 0 {
		r.MaxDelta = DefaultMaxDelta
	}
	if r.GetTimeoutNs() == 0 {
		r.TimeoutNs = int64(DefaultTimeout)
	}
	return r
}
