package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/btcsuite/btcd/wire"
)

// witnesses is a u16 count, and per input a u16 length with a witness stack as transactions carry it: a compact size
// count of items, and each item with its compact size length.
type witnesses struct{ at *[]wire.TxWitness }

func (f witnesses) put(w *bytes.Buffer) error {
	if len(*f.at) > MaxMessage {
		return ErrTooLong
	}
	if err := num(new(uint16(len(*f.at)))).put(w); err != nil {
		return err
	}
	for _, stack := range *f.at {
		var b bytes.Buffer
		if err := wire.WriteVarInt(&b, 0, uint64(len(stack))); err != nil {
			return fmt.Errorf("witness: %w", err)
		}
		for _, item := range stack {
			if err := wire.WriteVarBytes(&b, 0, item); err != nil {
				return fmt.Errorf("witness item: %w", err)
			}
		}
		if err := bytes16(new(b.Bytes())).put(w); err != nil {
			return err
		}
	}
	return nil
}

func (f witnesses) take(body []byte) ([]byte, error) {
	if len(body) < 2 {
		return nil, ErrTooShort
	}
	count := binary.BigEndian.Uint16(body)
	body = body[2:]
	// Each witness takes two bytes and more, so a count that the message cannot hold ends early.
	*f.at = nil
	for range count {
		raw, rest, err := cutVector(body)
		if err != nil {
			return nil, err
		}
		stack, err := parseWitness(raw)
		if err != nil {
			return nil, err
		}
		*f.at = append(*f.at, stack)
		body = rest
	}
	return body, nil
}

// parseWitness reads one stack, which must fill raw exactly. The items alias raw.
func parseWitness(raw []byte) (wire.TxWitness, error) {
	r := bytes.NewReader(raw)
	count, err := wire.ReadVarInt(r, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: witness", ErrTooShort)
	}
	var stack wire.TxWitness
	for range count {
		length, err := wire.ReadVarInt(r, 0)
		if err != nil || length > uint64(r.Len()) {
			return nil, fmt.Errorf("%w: witness item", ErrTooShort)
		}
		rest := raw[len(raw)-r.Len():]
		stack = append(stack, rest[:length:length])
		r.Reset(rest[length:])
		raw = rest[length:]
	}
	if r.Len() > 0 {
		return nil, fmt.Errorf("witness: %d bytes too many", r.Len())
	}
	return stack, nil
}
