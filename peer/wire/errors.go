package wire

import (
	"errors"
	"fmt"
)

var (
	// ErrTooShort: a message ends before its contents do.
	ErrTooShort = errors.New("message ends before its contents")
	// ErrTooLong: a message is longer than the 65535 bytes the transport can carry.
	ErrTooLong = fmt.Errorf("message is longer than %d bytes", MaxMessage)
	// ErrTLV: a TLV stream breaks a rule of BOLT 1, "Type-Length-Value Format".
	ErrTLV = errors.New("invalid TLV stream")
	// ErrAmount: a satoshi amount is above 21 million bitcoin.
	ErrAmount = errors.New("amount is above 21 million bitcoin")
	// ErrEncoding: short channel ids are packed in a way that is not allowed any more (zlib) or never was.
	ErrEncoding = errors.New("short channel ids are not in the plain encoding")
)

// MalformedError says that a message of a known type cannot be read. BOLT 1 has the connection closed for it.
type MalformedError struct {
	Type MessageType
	Err  error
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("malformed %s (type %d): %v", Name(e.Type), uint16(e.Type), e.Err)
}

func (e *MalformedError) Unwrap() error { return e.Err }

// UnknownEvenError says that a message has an even type which this node does not know: the sender insists on being
// understood, so the connection must be closed (BOLT 1, "Lightning Message Format").
type UnknownEvenError struct {
	Type MessageType
}

func (e *UnknownEvenError) Error() string {
	return fmt.Sprintf("unknown message of even type %d", uint16(e.Type))
}
