// Package transport is BOLT 8: authenticated, encrypted connections that carry whole messages. The Noise handshake and
// the ciphers are lnd's brontide; this package adds what a node on the open network needs around them: one time limit
// over the whole handshake, limits before it, cancellation, and buffers that turn a burst of messages into one write.
package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/brontide"
)

// MaxMessage is the size in bytes of the largest message: its length is two bytes on the wire (BOLT 8, "Lightning
// Message Specification").
const MaxMessage = 65535

// bufferSize is the size in bytes of each connection's read buffer and of its write buffer.
const bufferSize = 16 << 10

var (
	// ErrCorrupt: a message failed its authentication. The peer, or someone in between, sends garbage.
	ErrCorrupt = errors.New("message fails its authentication")
	// ErrTooLong: a message is longer than MaxMessage.
	ErrTooLong = errors.New("message is longer than 65535 bytes")
)

// NodeKey is a node's identity. The private key may be in another process.
type NodeKey interface {
	// PubKey is the node's public key.
	PubKey() *btcec.PublicKey
	// ECDH is the SHA256 of the compressed product of the private key and a point (BOLT 8, "Handshake State").
	ECDH(point *btcec.PublicKey) ([32]byte, error)
}

// Conn is a connection whose handshake is through. One goroutine may read while another writes; Close may be called by
// anyone, and ends both.
type Conn struct {
	raw     net.Conn
	machine *brontide.Machine
	remote  *btcec.PublicKey

	source source
	in     *bufio.Reader
	buf    []byte // the last message read
	out    *bufio.Writer
}

func newConn(raw net.Conn, machine *brontide.Machine, remote *btcec.PublicKey) *Conn {
	c := &Conn{raw: raw, machine: machine, remote: remote, source: source{raw: raw}}
	c.in = bufio.NewReaderSize(&c.source, bufferSize)
	c.out = bufio.NewWriterSize(raw, bufferSize)
	return c
}

// ReadMessage waits for the next message. What it returns is valid until the next call. The error is io.EOF when the
// peer closed between two messages, io.ErrUnexpectedEOF when it closed within one, wraps ErrCorrupt, or is the
// network's.
func (c *Conn) ReadMessage() ([]byte, error) {
	size, err := c.machine.ReadHeader(c.in)
	if err != nil {
		return nil, c.readError(err)
	}
	if int(size) > cap(c.buf) {
		c.buf = make([]byte, size)
	}
	message, err := c.machine.ReadBody(c.in, c.buf[:size])
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, c.readError(err)
	}
	return message, nil
}

// WriteMessage encrypts a message into the write buffer, and writes out what does not fit. Flush sends the rest.
func (c *Conn) WriteMessage(message []byte) error {
	if len(message) > MaxMessage {
		return ErrTooLong
	}
	if err := c.machine.WriteMessage(message); err != nil {
		return fmt.Errorf("encrypt message: %w", err)
	}
	if _, err := c.machine.Flush(c.out); err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	return nil
}

// Flush sends what WriteMessage has left in the buffer.
func (c *Conn) Flush() error {
	if err := c.out.Flush(); err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	return nil
}

// RemoteKey is the peer's node key, which the handshake has proven.
func (c *Conn) RemoteKey() *btcec.PublicKey { return c.remote }

// RemoteAddr is where the peer is.
func (c *Conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// Close drops the connection at once. What is in the write buffer is lost.
func (c *Conn) Close() error { return c.raw.Close() }

// readError tells what the network did from what the cipher found.
func (c *Conn) readError(err error) error {
	if c.source.err == nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return err
	}
	return fmt.Errorf("read message: %w", err)
}

// source reads from the network and remembers that it failed.
type source struct {
	raw net.Conn
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.raw.Read(p)
	if err != nil {
		s.err = err
	}
	return n, err
}
