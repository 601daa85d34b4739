// Package bolt11 writes and reads invoices (BOLT 11). The format is lnd's zpay32's; this package is the one door to it,
// and adds the checks that zpay32 leaves out.
package bolt11

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"stormcell/peer/wire"
)

const (
	// DefaultExpiry is how long an invoice that does not say so is valid.
	DefaultExpiry = time.Hour
	// DefaultFinalCLTVDelta is the final CLTV delta of an invoice that does not say so, in blocks.
	DefaultFinalCLTVDelta = 18
	// MaxDescription is the longest description or metadata, in bytes: the most that a tagged field holds.
	MaxDescription = 639
	// MaxExpiry is the longest that an invoice may be valid.
	MaxExpiry = 100 * 365 * 24 * time.Hour
	// MaxAmount is all the money there is.
	MaxAmount = lnwire.MilliSatoshi(btcutil.MaxSatoshi * 1000)
)

// ErrInvalid refuses an invoice: one to read, or one to write.
var ErrInvalid = errors.New("invalid invoice")

// HopHint is one channel on the way to a payee who is not in the graph.
type HopHint = zpay32.HopHint

// Invoice asks for a payment.
type Invoice struct {
	Network *chaincfg.Params
	// Amount is what is asked for; zero leaves it to the payer.
	Amount    wire.MilliSatoshi
	Timestamp time.Time // in seconds

	PaymentHash   [32]byte
	PaymentSecret [32]byte
	// Payee is who signed. Writing an invoice may leave it out: then readers recover it from the signature.
	Payee *btcec.PublicKey

	// DescriptionHash stands in for a description that is found elsewhere; nil if Description is it.
	Description     string
	DescriptionHash *[32]byte

	Expiry time.Duration // after Timestamp, in seconds
	// FinalCLTVDelta is how many blocks the last HTLC must have left when it arrives.
	FinalCLTVDelta uint32
	// Fallback is an address on the chain; may be nil.
	Fallback btcutil.Address
	// Hints are ways to the payee, each from a public node on.
	Hints    [][]HopHint
	Features wire.Features
	// Metadata comes back with the payment; nil if there is none.
	Metadata []byte
}

// Expired tells whether it is too late to pay.
func (i *Invoice) Expired(now time.Time) bool { return now.After(i.Timestamp.Add(i.Expiry)) }

// understood are the features that an invoice may require.
var understood = []wire.Feature{wire.VarOnionOptin, wire.PaymentSecret, wire.BasicMPP, wire.PaymentMetadata}

// checkFeatures refuses what we cannot pay, or nobody could.
func checkFeatures(f wire.Features) error {
	for _, bit := range f.Bits() {
		if bit%2 == 0 && !slices.Contains(understood, wire.Feature(bit)) {
			return fmt.Errorf("%w: it requires %s, which this node does not have", ErrInvalid, wire.Feature(bit))
		}
	}
	if err := f.CheckDependencies(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// Sign signs the SHA256 of an invoice's human-readable part and data. The signature is in btcec's compact form.
type Sign func(signed []byte) ([]byte, error)

// Encode writes an invoice. The error is ErrInvalid, or says that there is no signature.
func Encode(i *Invoice, sign Sign) (string, error) {
	if err := i.check(); err != nil {
		return "", err
	}
	options := []func(*zpay32.Invoice){
		zpay32.PaymentAddr(i.PaymentSecret), zpay32.Expiry(i.Expiry), zpay32.CLTVExpiry(uint64(i.FinalCLTVDelta)),
		zpay32.Features(featuresOut(i.Features)),
	}
	if i.Amount != 0 {
		options = append(options, zpay32.Amount(i.Amount))
	}
	if i.DescriptionHash != nil {
		options = append(options, zpay32.DescriptionHash(*i.DescriptionHash))
	} else {
		options = append(options, zpay32.Description(i.Description))
	}
	if i.Payee != nil {
		options = append(options, zpay32.Destination(i.Payee))
	}
	if i.Fallback != nil {
		options = append(options, zpay32.FallbackAddr(i.Fallback))
	}
	for _, hint := range i.Hints {
		options = append(options, zpay32.RouteHint(hint))
	}
	if i.Metadata != nil {
		options = append(options, zpay32.Metadata(i.Metadata))
	}
	invoice, err := zpay32.NewInvoice(i.Network, i.PaymentHash, i.Timestamp, options...)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	text, err := invoice.Encode(zpay32.MessageSigner{SignCompact: sign})
	if err != nil {
		return "", fmt.Errorf("encode an invoice: %w", err)
	}
	return text, nil
}

// check refuses what could not be written, or not be read again.
func (i *Invoice) check() error {
	switch {
	case i.Network == nil:
		return fmt.Errorf("%w: no network", ErrInvalid)
	case i.Amount > MaxAmount:
		return fmt.Errorf("%w: %d msat is more than there is", ErrInvalid, uint64(i.Amount))
	case i.Timestamp.Unix() < 0 || i.Timestamp.Unix() >= 1<<35:
		return fmt.Errorf("%w: it cannot be of %s", ErrInvalid, i.Timestamp)
	case i.DescriptionHash != nil && i.Description != "":
		return fmt.Errorf("%w: a description and the hash of one", ErrInvalid)
	case len(i.Description) > MaxDescription:
		return fmt.Errorf("%w: a description of %d bytes, at most %d", ErrInvalid, len(i.Description), MaxDescription)
	case !utf8.ValidString(i.Description):
		return fmt.Errorf("%w: the description is not UTF-8", ErrInvalid)
	case len(i.Metadata) > MaxDescription:
		return fmt.Errorf("%w: metadata of %d bytes, at most %d", ErrInvalid, len(i.Metadata), MaxDescription)
	case i.Expiry < time.Second || i.Expiry > MaxExpiry:
		return fmt.Errorf("%w: valid for %s, want a second to %s", ErrInvalid, i.Expiry, MaxExpiry)
	}
	for _, hint := range i.Hints {
		if len(hint) == 0 || len(hint)*hopHintSize > MaxDescription {
			return fmt.Errorf("%w: a route hint of %d hops", ErrInvalid, len(hint))
		}
		for _, hop := range hint {
			if hop.NodeID == nil {
				return fmt.Errorf("%w: a route hint without a node", ErrInvalid)
			}
		}
	}
	return checkFeatures(i.Features)
}

const hopHintSize = 51 // bytes in the invoice

func featuresOut(f wire.Features) *lnwire.FeatureVector {
	raw := lnwire.NewRawFeatureVector()
	for _, bit := range f.Bits() {
		raw.Set(lnwire.FeatureBit(bit))
	}
	return lnwire.NewFeatureVector(raw, nil)
}
