package wire

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/lightningnetwork/lnd/tlv"
)

// record is one TLV record; value aliases the message it was read from.
type record struct {
	kind  tlv.Type
	value []byte
}

// walkTLVs visits the records of a TLV stream and holds it to BOLT 1, "Type-Length-Value Format": types strictly
// increase, types and lengths are minimal, no length runs past the end, and no even type is unknown. known lists the
// even types that are known; odd ones need no entry.
func walkTLVs(stream []byte, known []tlv.Type, visit func(record) error) error {
	var (
		scratch [8]byte
		r       = bytes.NewReader(stream)
		last    tlv.Type
	)
	for first := true; r.Len() > 0; first = false {
		number, err := tlv.ReadVarInt(r, &scratch)
		if err != nil {
			return fmt.Errorf("%w: type: %w", ErrTLV, noEOF(err))
		}
		kind := tlv.Type(number)
		if !first && kind <= last {
			return fmt.Errorf("%w: type %d after type %d", ErrTLV, kind, last)
		}
		last = kind
		length, err := tlv.ReadVarInt(r, &scratch)
		if err != nil {
			return fmt.Errorf("%w: length of type %d: %w", ErrTLV, kind, noEOF(err))
		}
		if length > uint64(r.Len()) {
			return fmt.Errorf("%w: type %d claims %d bytes of %d left", ErrTLV, kind, length, r.Len())
		}
		if kind%2 == 0 && !slices.Contains(known, kind) {
			return fmt.Errorf("%w: unknown even type %d", ErrTLV, kind)
		}
		rest := stream[len(stream)-r.Len():]
		if err := visit(record{kind: kind, value: rest[:length:length]}); err != nil {
			return fmt.Errorf("%w: type %d: %w", ErrTLV, kind, err)
		}
		stream = rest[length:]
		r.Reset(stream)
	}
	return nil
}

// appendTLV writes one record.
func appendTLV(w *bytes.Buffer, rec record) error {
	var scratch [8]byte
	if err := tlv.WriteVarInt(w, uint64(rec.kind), &scratch); err != nil {
		return fmt.Errorf("write TLV type: %w", err)
	}
	if err := tlv.WriteVarInt(w, uint64(len(rec.value)), &scratch); err != nil {
		return fmt.Errorf("write TLV length: %w", err)
	}
	w.Write(rec.value)
	return nil
}

// noEOF keeps an end in the middle of a stream from looking like a clean one.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
