package wire

import (
	"bytes"
	"io"
)

// PeerStorage asks the peer to keep a blob, in place of the one before (BOLT 1, "Peer storage").
type PeerStorage struct {
	Blob []byte
}

func (m *PeerStorage) fields() []field { return []field{bytes16(&m.Blob), tail{}} }

// Encode writes the message without its type.
func (m *PeerStorage) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *PeerStorage) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypePeerStorage.
func (m *PeerStorage) MsgType() MessageType { return TypePeerStorage }

// PeerStorageRetrieval gives a kept blob back after a reconnection (BOLT 1, "Peer storage").
type PeerStorageRetrieval struct {
	Blob []byte
}

func (m *PeerStorageRetrieval) fields() []field { return []field{bytes16(&m.Blob), tail{}} }

// Encode writes the message without its type.
func (m *PeerStorageRetrieval) Encode(w *bytes.Buffer, _ uint32) error {
	return encode(w, m.fields()...)
}

// Decode reads the message without its type.
func (m *PeerStorageRetrieval) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypePeerStorageRetrieval.
func (m *PeerStorageRetrieval) MsgType() MessageType { return TypePeerStorageRetrieval }
