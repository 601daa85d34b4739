package onion

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/tlv"
)

// The types of a payload (BOLT 4, "`payload` format"). keysend is not in the BOLTs; every implementation has it.
const (
	typeAmount        tlv.Type = 2
	typeExpiry        tlv.Type = 4
	typeChannel       tlv.Type = 6
	typePaymentData   tlv.Type = 8
	typeRecipientData tlv.Type = 10
	typePathKey       tlv.Type = 12
	typeMetadata      tlv.Type = 16
	typeTotalAmount   tlv.Type = 18
	typeKeysend       tlv.Type = 5482373484
	// firstCustom is where the types begin that applications share out among themselves. They are handed to the
	// application, so that this package cannot say which even ones are unknown.
	firstCustom tlv.Type = 65536
)

// Payload is what one node of a route is told.
type Payload struct {
	// Amount of the outgoing HTLC; for the final node, of the incoming one.
	Amount lnwire.MilliSatoshi
	// Expiry of the outgoing HTLC as a block height; for the final node, the least of the incoming one.
	Expiry uint32
	// Channel is where the HTLC goes on; zero for the final node.
	Channel lnwire.ShortChannelID
	// Payment is the final node's, from its invoice.
	Payment *PaymentData
	// RecipientData and PathKey belong to a blinded path, TotalAmount to its end.
	RecipientData []byte
	PathKey       *btcec.PublicKey
	TotalAmount   lnwire.MilliSatoshi
	// Metadata is the final node's, from its invoice.
	Metadata []byte
	// Keysend is the preimage of a payment that nobody asked for.
	Keysend *[32]byte
	// Custom records, by increasing type.
	Custom []Record
}

// PaymentData is `payment_data`.
type PaymentData struct {
	Secret [32]byte
	// Total is the amount of all HTLCs of the payment together.
	Total lnwire.MilliSatoshi
}

// Record is a TLV record with a meaning that only the application knows. Its type is at least 65536.
type Record struct {
	Type  uint64
	Value []byte
}

// PayloadError says that a payload makes no sense. The payer is told with `invalid_onion_payload`.
type PayloadError struct {
	Secret Secret
	Type   uint64 // zero when it is about no certain type
	Offset uint16 // of the record in the payload
	Reason string
}

func (e *PayloadError) Error() string {
	return fmt.Sprintf("onion payload: type %d at byte %d: %s", e.Type, e.Offset, e.Reason)
}

// Failure is what the payer is told.
func (e *PayloadError) Failure() lnwire.FailureMessage {
	return lnwire.NewInvalidOnionPayload(e.Type, e.Offset)
}

// Total is the amount of all HTLCs of the payment together, as the final node is told.
func (p *Payload) Total() lnwire.MilliSatoshi {
	switch {
	case p.Payment != nil:
		return p.Payment.Total
	case p.TotalAmount != 0:
		return p.TotalAmount
	default:
		return p.Amount
	}
}

// ParsePayload reads a payload and checks that it has what such a node must be told. The error is a *PayloadError.
func ParsePayload(raw []byte, final bool) (Payload, error) {
	var p Payload
	seen := map[tlv.Type]bool{}
	last, rest := tlv.Type(0), raw
	for len(rest) > 0 {
		at := uint16(len(raw) - len(rest))
		kind, value, after, err := nextRecord(rest)
		switch {
		case err != nil:
		case len(seen) > 0 && kind <= last:
			err = fmt.Errorf("it comes after type %d", last)
		default:
			err = p.set(kind, value)
		}
		if err != nil {
			return Payload{}, &PayloadError{Type: uint64(kind), Offset: at, Reason: err.Error()}
		}
		seen[kind], last, rest = true, kind, after
	}
	if kind, reason := p.lacks(seen, final); reason != "" {
		return Payload{}, &PayloadError{Type: uint64(kind), Reason: reason}
	}
	return p, nil
}

// nextRecord splits the first record off a TLV stream (BOLT 1, "Type-Length-Value Format").
func nextRecord(stream []byte) (kind tlv.Type, value, rest []byte, err error) {
	var scratch [8]byte
	r := bytes.NewReader(stream)
	number, err := tlv.ReadVarInt(r, &scratch)
	if err != nil {
		return 0, nil, nil, fmt.Errorf("type: %w", err)
	}
	length, err := tlv.ReadVarInt(r, &scratch)
	if err != nil {
		return tlv.Type(number), nil, nil, fmt.Errorf("length: %w", err)
	}
	if length > uint64(r.Len()) {
		return tlv.Type(number), nil, nil, fmt.Errorf("%d bytes of %d left", length, r.Len())
	}
	rest = stream[len(stream)-r.Len():]
	return tlv.Type(number), rest[:length:length], rest[length:], nil
}

func (p *Payload) set(kind tlv.Type, value []byte) (err error) {
	switch kind {
	case typeAmount:
		p.Amount, err = amount(value)
	case typeExpiry:
		var expiry uint64
		expiry, err = truncated(value, 4)
		p.Expiry = uint32(expiry)
	case typeChannel:
		if err = exactly(value, 8); err == nil {
			p.Channel = lnwire.NewShortChanIDFromInt(binary.BigEndian.Uint64(value))
		}
		if err == nil && p.Channel == (lnwire.ShortChannelID{}) {
			err = errors.New("no channel has the id 0")
		}
	case typePaymentData:
		if len(value) < 32 {
			return fmt.Errorf("%d bytes", len(value))
		}
		p.Payment = &PaymentData{Secret: [32]byte(value[:32])}
		p.Payment.Total, err = amount(value[32:])
	case typeRecipientData:
		p.RecipientData = bytes.Clone(value)
	case typePathKey:
		p.PathKey, err = btcec.ParsePubKey(value)
	case typeMetadata:
		p.Metadata = bytes.Clone(value)
	case typeTotalAmount:
		if p.TotalAmount, err = amount(value); err == nil && p.TotalAmount == 0 {
			err = errors.New("a payment of nothing")
		}
	case typeKeysend:
		if err = exactly(value, 32); err == nil {
			p.Keysend = (*[32]byte)(bytes.Clone(value))
		}
	default:
		if kind >= firstCustom {
			p.Custom = append(p.Custom, Record{uint64(kind), bytes.Clone(value)})
		} else if kind%2 == 0 {
			return errors.New("unknown even type")
		}
	}
	return err
}

// lacks names the first thing that is missing or out of place, with an empty reason if nothing is.
func (p *Payload) lacks(seen map[tlv.Type]bool, final bool) (tlv.Type, string) {
	var required, forbidden []tlv.Type
	switch blinded := seen[typeRecipientData]; {
	case blinded && final:
		required = []tlv.Type{typeAmount, typeExpiry, typeTotalAmount}
		forbidden = []tlv.Type{typeChannel, typePaymentData}
	case blinded:
		forbidden = []tlv.Type{typeAmount, typeExpiry, typeChannel, typePaymentData, typeMetadata, typeTotalAmount}
	case final:
		required = []tlv.Type{typeAmount, typeExpiry}
		forbidden = []tlv.Type{typeChannel, typePathKey, typeTotalAmount}
	default:
		required = []tlv.Type{typeAmount, typeExpiry, typeChannel}
		forbidden = []tlv.Type{typePaymentData, typePathKey, typeTotalAmount}
	}
	for _, kind := range required {
		if !seen[kind] {
			return kind, "missing"
		}
	}
	for _, kind := range forbidden {
		if seen[kind] {
			return kind, "out of place"
		}
	}
	return 0, ""
}

// encode writes a payload for the final node or for one before.
func (p *Payload) encode(final bool) ([]byte, error) {
	var records []Record
	add := func(kind tlv.Type, value []byte) { records = append(records, Record{uint64(kind), value}) }
	if final || p.RecipientData == nil {
		add(typeAmount, truncate(uint64(p.Amount)))
		add(typeExpiry, truncate(uint64(p.Expiry)))
	}
	if p.Channel != (lnwire.ShortChannelID{}) {
		add(typeChannel, binary.BigEndian.AppendUint64(nil, p.Channel.ToUint64()))
	}
	if p.Payment != nil {
		add(typePaymentData, append(bytes.Clone(p.Payment.Secret[:]), truncate(uint64(p.Payment.Total))...))
	}
	if p.RecipientData != nil {
		add(typeRecipientData, p.RecipientData)
	}
	if p.PathKey != nil {
		add(typePathKey, p.PathKey.SerializeCompressed())
	}
	if p.Metadata != nil {
		add(typeMetadata, p.Metadata)
	}
	if p.TotalAmount != 0 {
		add(typeTotalAmount, truncate(uint64(p.TotalAmount)))
	}
	for _, custom := range p.Custom {
		if custom.Type < uint64(firstCustom) {
			return nil, fmt.Errorf("custom record %d: types begin at %d", custom.Type, firstCustom)
		}
		records = append(records, custom)
	}
	if p.Keysend != nil {
		add(typeKeysend, p.Keysend[:])
	}
	slices.SortStableFunc(records, func(a, b Record) int {
		if a.Type < b.Type {
			return -1
		}
		return 1
	})
	raw, err := encodeRecords(records)
	if err != nil {
		return nil, err
	}
	_, err = ParsePayload(raw, final) // what we would not accept we do not send
	return raw, err
}

func encodeRecords(records []Record) ([]byte, error) {
	var (
		w       bytes.Buffer
		scratch [8]byte
	)
	for _, r := range records {
		for _, n := range []uint64{r.Type, uint64(len(r.Value))} {
			if err := tlv.WriteVarInt(&w, n, &scratch); err != nil {
				return nil, fmt.Errorf("encode a payload: %w", err)
			}
		}
		w.Write(r.Value)
	}
	return w.Bytes(), nil
}

func exactly(value []byte, n int) error {
	if len(value) != n {
		return fmt.Errorf("%d bytes, want %d", len(value), n)
	}
	return nil
}

func amount(value []byte) (lnwire.MilliSatoshi, error) {
	n, err := truncated(value, 8)
	return lnwire.MilliSatoshi(n), err
}

// truncated reads a big-endian number of at most size bytes without leading zeros (`tu32`, `tu64`).
func truncated(value []byte, size int) (uint64, error) {
	if len(value) > size {
		return 0, fmt.Errorf("%d bytes, at most %d", len(value), size)
	}
	if len(value) > 0 && value[0] == 0 {
		return 0, errors.New("a number with leading zeros")
	}
	var n [8]byte
	copy(n[8-len(value):], value)
	return binary.BigEndian.Uint64(n[:]), nil
}

func truncate(n uint64) []byte {
	return bytes.TrimLeft(binary.BigEndian.AppendUint64(nil, n), "\x00")
}
