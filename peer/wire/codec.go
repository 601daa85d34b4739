package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/lightningnetwork/lnd/lnwire"
)

// MaxMessage is the size in bytes of the largest message, its type included (BOLT 8, "Lightning Message
// Specification").
const MaxMessage = 65535

// Decode reads one message: two bytes of type, the payload, the extension. It keeps nothing of data.
//
// An unknown odd type gives an *Unknown. Errors are *UnknownEvenError, *MalformedError (which wraps ErrTooShort,
// ErrTLV, ErrAmount and others), ErrTooShort where not even a type is there, and ErrTooLong.
func Decode(data []byte) (Message, error) {
	if len(data) > MaxMessage {
		return nil, ErrTooLong
	}
	if len(data) < lnwire.MessageTypeSize {
		return nil, fmt.Errorf("%w: %d bytes hold no type", ErrTooShort, len(data))
	}
	t := MessageType(binary.BigEndian.Uint16(data))
	body := data[lnwire.MessageTypeSize:]

	k, known := catalogue[t]
	if !known {
		if t%2 == 0 {
			return nil, &UnknownEvenError{Type: t}
		}
		return &Unknown{Type: t, Body: bytes.Clone(body)}, nil
	}
	if err := k.shape.check(body); err != nil {
		return nil, &MalformedError{Type: t, Err: err}
	}
	m := k.empty()
	if err := m.Decode(bytes.NewReader(body), 0); err != nil {
		return nil, &MalformedError{Type: t, Err: err}
	}
	return m, nil
}

// Encode writes one message, its type first. It may rewrite the extension that a message of lnwire keeps, so a message
// is encoded by one goroutine at a time. The error wraps ErrTooLong where the message does not fit the transport.
func Encode(m Message) ([]byte, error) {
	var buf bytes.Buffer
	var head [lnwire.MessageTypeSize]byte
	binary.BigEndian.PutUint16(head[:], uint16(m.MsgType()))
	buf.Write(head[:])
	if err := m.Encode(&buf, 0); err != nil {
		return nil, fmt.Errorf("encode %s: %w", Name(m.MsgType()), err)
	}
	if buf.Len() > MaxMessage {
		return nil, fmt.Errorf("encode %s: %w", Name(m.MsgType()), ErrTooLong)
	}
	return buf.Bytes(), nil
}
