package bolt11

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/bech32"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/zpay32"

	"stormcell/peer/wire"
)

// maxLength is the longest invoice that is read, in characters: what a QR code holds.
const maxLength = 7089

// Decode reads an invoice for a network, and checks its signature and all that can be checked without a clock. The error
// is ErrInvalid, with a sentence for people.
func Decode(text string, network *chaincfg.Params) (*Invoice, error) {
	if len(text) > maxLength {
		return nil, fmt.Errorf("%w: %d characters, at most %d", ErrInvalid, len(text), maxLength)
	}
	hrp, data, err := bech32.DecodeNoLimit(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	i := &Invoice{Network: network, Expiry: DefaultExpiry, FinalCLTVDelta: DefaultFinalCLTVDelta}
	if i.Amount, err = readPrefix(hrp, network); err != nil {
		return nil, err
	}
	if err := i.readNumbers(data); err != nil {
		return nil, err
	}
	parsed, err := zpay32.Decode(text, network)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := i.take(parsed); err != nil {
		return nil, err
	}
	return i, nil
}

// take takes what needs no more checks than zpay32 makes.
func (i *Invoice) take(parsed *zpay32.Invoice) error {
	if parsed.PaymentAddr.IsNone() {
		return fmt.Errorf("%w: no payment secret", ErrInvalid)
	}
	i.PaymentSecret = parsed.PaymentAddr.UnwrapOr([32]byte{})
	i.PaymentHash = *parsed.PaymentHash
	i.Timestamp = parsed.Timestamp
	i.Payee = parsed.Destination
	i.DescriptionHash = parsed.DescriptionHash
	if parsed.Description != nil {
		i.Description = *parsed.Description
	}
	i.Fallback = parsed.FallbackAddr
	i.Hints = parsed.RouteHints
	i.Metadata = parsed.Metadata
	for bit := range parsed.Features.Features() {
		if bit%2 == 0 {
			i.Features = i.Features.Require(wire.Feature(bit))
		} else {
			i.Features = i.Features.With(wire.Feature(bit - 1))
		}
	}
	return checkFeatures(i.Features)
}

// prefixOf is what an invoice for a network begins with.
func prefixOf(network *chaincfg.Params) string {
	if network.Name == chaincfg.SigNetParams.Name {
		return "lntbs" // its addresses are testnet's, its invoices are not
	}
	return "ln" + network.Bech32HRPSegwit
}

// readPrefix reads the human-readable part: the network, and the amount if there is one.
func readPrefix(hrp string, network *chaincfg.Params) (wire.MilliSatoshi, error) {
	prefix, amount := hrp, ""
	if at := strings.IndexAny(hrp, "0123456789"); at >= 0 {
		prefix, amount = hrp[:at], hrp[at:]
	}
	switch wanted := prefixOf(network); {
	case prefix != wanted && strings.HasPrefix(prefix, "ln"):
		return 0, fmt.Errorf("%w: it is for another network (%s): this node is on %s (%s)",
			ErrInvalid, prefix, network.Name, wanted)
	case prefix != wanted:
		return 0, fmt.Errorf("%w: it begins with %q instead of %q", ErrInvalid, prefix, wanted)
	case amount == "":
		return 0, nil
	}
	return readAmount(amount)
}

// unitOf is what one unit is worth in millisatoshis. A pico-bitcoin is a tenth of one.
var unitOf = map[byte]uint64{'m': 100_000_000, 'u': 100_000, 'n': 100, 'p': 1}

// readAmount reads a number of bitcoins, or of a fraction of them (BOLT 11, "Human-Readable Part").
func readAmount(text string) (wire.MilliSatoshi, error) {
	digits, unit, multiplier := text, uint64(1000*btcutil.SatoshiPerBitcoin), text[len(text)-1]
	if of, ok := unitOf[multiplier]; ok {
		digits, unit = text[:len(text)-1], of
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || digits[0] == '0' {
		return 0, fmt.Errorf("%w: amount %q", ErrInvalid, text)
	}
	if multiplier == 'p' {
		if n%10 != 0 {
			return 0, fmt.Errorf("%w: amount %q is no whole number of millisatoshis", ErrInvalid, text)
		}
		n /= 10
	}
	if n > uint64(MaxAmount)/unit {
		return 0, fmt.Errorf("%w: amount %q is more than there is", ErrInvalid, text)
	}
	return wire.MilliSatoshi(n * unit), nil
}

const (
	timestampGroups = 7 // of five bits
	signatureGroups = 104

	fieldExpiry   = 6
	fieldCLTV     = 24
	fieldFeatures = 5
	fieldPayee    = 19
	payeeGroups   = 53
)

// readNumbers walks the tagged fields, for the numbers that zpay32 lets overflow, and for what it lets pass.
func (i *Invoice) readNumbers(data []byte) error {
	if len(data) < timestampGroups+signatureGroups {
		return fmt.Errorf("%w: it is too short", ErrInvalid)
	}
	fields, signature := data[timestampGroups:len(data)-signatureGroups], data[len(data)-signatureGroups:]
	seen, named := map[byte]bool{}, false
	for len(fields) > 0 {
		if len(fields) < 3 || len(fields) < 3+int(fields[1])<<5+int(fields[2]) {
			return fmt.Errorf("%w: it ends in the middle of a field", ErrInvalid)
		}
		kind, value := fields[0], fields[3:3+int(fields[1])<<5+int(fields[2])]
		fields = fields[3+len(value):]
		named = named || kind == fieldPayee && len(value) == payeeGroups
		if seen[kind] {
			continue // the first is the one that counts
		}
		seen[kind] = true
		if err := i.readNumber(kind, value); err != nil {
			return err
		}
	}
	if named && highS(signature) {
		return fmt.Errorf("%w: its signature is not in the low form", ErrInvalid)
	}
	return nil
}

func (i *Invoice) readNumber(kind byte, value []byte) error {
	switch kind {
	case fieldExpiry, fieldCLTV, fieldFeatures:
	default:
		return nil
	}
	if len(value) > 0 && value[0] == 0 && (len(value) > 1 || kind == fieldFeatures) {
		return fmt.Errorf("%w: field %d is longer than it needs to be", ErrInvalid, kind)
	}
	switch kind {
	case fieldExpiry:
		seconds := number(value)
		if seconds > uint64(MaxExpiry/time.Second) {
			return fmt.Errorf("%w: it expires after more than %s", ErrInvalid, MaxExpiry)
		}
		i.Expiry = time.Duration(seconds) * time.Second
	case fieldCLTV:
		blocks := number(value)
		if blocks > math.MaxUint32 {
			return fmt.Errorf("%w: a final CLTV delta of more than 32 bits", ErrInvalid)
		}
		i.FinalCLTVDelta = uint32(blocks)
	}
	return nil
}

// number is what the groups of five bits say, or MaxUint64 if it is more.
func number(groups []byte) uint64 {
	var n uint64
	for _, g := range groups {
		if n > math.MaxUint64>>5 {
			return math.MaxUint64
		}
		n = n<<5 | uint64(g)
	}
	return n
}

func highS(groups []byte) bool {
	signature, err := bech32.ConvertBits(groups, 5, 8, true)
	if err != nil || len(signature) < 64 {
		return false
	}
	var s btcec.ModNScalar
	overflows := s.SetByteSlice(signature[32:64])
	return overflows || s.IsOverHalfOrder()
}
