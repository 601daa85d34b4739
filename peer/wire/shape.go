package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/tlv"
)

// shape is the outline of a message that lnwire decodes: what its payload is made of, up to its extension. Messages of
// this package's own check themselves and have none.
type shape []segment

// segment eats one part of a payload and returns the rest.
type segment func(body []byte) ([]byte, error)

// check holds a payload against the shape.
func (s shape) check(body []byte) error {
	var err error
	for _, eat := range s {
		if body, err = eat(body); err != nil {
			return err
		}
	}
	return nil
}

// size is a part of n bytes.
func size(n int) segment {
	return func(body []byte) ([]byte, error) {
		if len(body) < n {
			return nil, ErrTooShort
		}
		return body[n:], nil
	}
}

// vector is a u16 count and so many bytes.
func vector(body []byte) ([]byte, error) {
	_, rest, err := cutVector(body)
	return rest, err
}

// sats is an amount that lnwire holds in a signed number.
func sats(body []byte) ([]byte, error) {
	if len(body) < 8 {
		return nil, ErrTooShort
	}
	if binary.BigEndian.Uint64(body) > btcutil.MaxSatoshi {
		return nil, ErrAmount
	}
	return body[8:], nil
}

// scids is a vector of short channel ids in the plain encoding (BOLT 7, "Query Messages"). zlib is not allowed any
// more, and lnwire would unpack it to more than the message holds.
func scids(body []byte) ([]byte, error) {
	ids, rest, err := cutVector(body)
	if err != nil {
		return nil, err
	}
	if len(ids) > 0 && ids[0] != 0 {
		return nil, fmt.Errorf("%w: encoding %d", ErrEncoding, ids[0])
	}
	return rest, nil
}

// extension is the TLV stream at the end, with the even types that are known.
func extension(known ...tlv.Type) segment {
	return func(body []byte) ([]byte, error) {
		return nil, walkTLVs(body, known, func(record) error { return nil })
	}
}

// cutVector cuts a u16 count and so many bytes off the front.
func cutVector(body []byte) (value, rest []byte, err error) {
	if len(body) < 2 {
		return nil, nil, ErrTooShort
	}
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	if len(body) < n {
		return nil, nil, fmt.Errorf("%w: %d bytes claimed, %d left", ErrTooShort, n, len(body))
	}
	return body[:n], body[n:], nil
}
