package invoice

import (
	"encoding/hex"
	"errors"
	"time"

	"github.com/btcsuite/btcd/btcutil"

	"stormcell/actors/durable"
	pb "stormcell/messages/invoice"
	"stormcell/peer/bolt11"
	"stormcell/peer/wire"
)

// Name is the kind of these actors.
const Name = "invoice"

// Address is where the invoice with a payment hash lives.
func Address(hash [32]byte) durable.Address {
	return durable.Address(Name + "/" + hex.EncodeToString(hash[:]))
}

// Refusals.
var (
	// ErrExists: there is an invoice with this payment hash, or a payment to it came unasked.
	ErrExists = errors.New("there is an invoice with this payment hash already")
	// ErrNotFound: there is no such invoice.
	ErrNotFound = errors.New("there is no invoice with this payment hash")
	// ErrBadRequest: the invoice that was asked for makes no sense. It wraps what is wrong.
	ErrBadRequest = errors.New("invoice makes no sense")
	// ErrNotHeld: the invoice is not paid, or not in full, so that there is nothing to settle.
	ErrNotHeld = errors.New("invoice is not paid yet")
	// ErrSettled: the invoice is settled; that is never undone.
	ErrSettled = errors.New("invoice is already settled")
	// ErrCanceled: the invoice is cancelled, or was given back because its HTLCs came close to their expiry.
	ErrCanceled = errors.New("invoice is already canceled")
	// ErrWrongPreimage: it does not open the payment hash.
	ErrWrongPreimage = errors.New("this is not the preimage of the invoice's payment hash")
	// ErrNoChain: how many blocks there are is not known yet, so that nobody knows whether it is too late.
	ErrNoChain = errors.New("the chain is not known yet, try again later")
)

// What an invoice can be asked. All is volatile: whoever asks can ask again.
type (
	// Add makes an invoice. The answer is a *pb.Invoice. Refused with ErrExists, ErrBadRequest, and what the signer says.
	Add struct{ Request }

	// Settle claims a held invoice. The answer, nil, comes when the claim is on its way, and nothing can stop it. Refused with
	// ErrNotHeld, ErrSettled, ErrCanceled, ErrWrongPreimage and ErrNoChain.
	Settle struct{ Preimage [32]byte }

	// Cancel gives back what was paid, and takes nothing more. The answer is nil, also if it was cancelled before. Refused
	// with ErrSettled.
	Cancel struct{}

	// Height says how many blocks the chain has, to invoices that hold HTLCs.
	Height struct{ Height uint32 }
)

// Request is what an invoice asks for.
type Request struct {
	// Preimage is nil if whoever asks keeps it back: the payment is held until it is given, or cancelled.
	Preimage *[32]byte
	// Hold waits to be told although the preimage is known.
	Hold bool
	// Amount is zero to leave it to the payer.
	Amount wire.MilliSatoshi
	// Description, or the hash of one that is found elsewhere.
	Description     string
	DescriptionHash *[32]byte
	// Expiry is how long the invoice can be paid; zero for a day.
	Expiry time.Duration
	// FinalCLTVDelta is how many blocks HTLCs must have left when they arrive; zero for what the node usually wants.
	FinalCLTVDelta uint32
	Fallback       btcutil.Address
	// Hints lead payers to private channels.
	Hints [][]bolt11.HopHint
}

// What leaves an invoice, for the World to carry out.
type (
	// Holding says that the invoice holds HTLCs from now on, and wants to be told Height, or holds none any more.
	Holding struct{ On bool }

	// Changed says what the invoice has become. It must not be changed. Settled: with this change it was settled.
	Changed struct {
		Invoice *pb.Invoice
		Settled bool
	}
)

// tooLong ends the waiting for the rest of a set.
type tooLong struct{}
