package wire

import (
	"bytes"
	"fmt"
	"io"
)

// Unknown is a message of an odd type that this node does not know. It is to be ignored (BOLT 1), which is the
// receiver's to do: the codec only says so.
type Unknown struct {
	Type MessageType
	Body []byte
}

// Encode writes the body as it is.
func (m *Unknown) Encode(w *bytes.Buffer, _ uint32) error {
	w.Write(m.Body)
	return nil
}

// Decode takes all that is there.
func (m *Unknown) Decode(r io.Reader, _ uint32) error {
	body, err := io.ReadAll(io.LimitReader(r, MaxMessage+1))
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if len(body) > MaxMessage {
		return ErrTooLong
	}
	m.Body = body
	return nil
}

// MsgType is the type the message came with.
func (m *Unknown) MsgType() MessageType { return m.Type }
