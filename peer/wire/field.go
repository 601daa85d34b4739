package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwire"
)

// field is one part of a message of this package's own, bound to where its value lives. A message lists its fields
// once, for both directions.
type field interface {
	put(w *bytes.Buffer) error
	// take reads the value off the front of body and returns the rest. What it stores may alias body.
	take(body []byte) ([]byte, error)
}

// encode writes the fields in order.
func encode(w *bytes.Buffer, fields ...field) error {
	for _, f := range fields {
		if err := f.put(w); err != nil {
			return err
		}
	}
	return nil
}

// decode reads the fields in order from a copy of what r holds.
func decode(r io.Reader, fields ...field) error {
	body, err := io.ReadAll(io.LimitReader(r, MaxMessage+1))
	if err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	if len(body) > MaxMessage {
		return ErrTooLong
	}
	for _, f := range fields {
		if body, err = f.take(body); err != nil {
			return err
		}
	}
	return nil
}

// fixed is a field of constant size: the slice of an array.
type fixed []byte

func (f fixed) put(w *bytes.Buffer) error {
	w.Write(f)
	return nil
}

func (f fixed) take(body []byte) ([]byte, error) {
	if len(body) < len(f) {
		return nil, ErrTooShort
	}
	copy(f, body)
	return body[len(f):], nil
}

// number is an unsigned integer of the size of its type, big-endian.
type number[T uint8 | uint16 | uint32 | uint64] struct{ at *T }

func num[T uint8 | uint16 | uint32 | uint64](at *T) number[T] { return number[T]{at} }

func (f number[T]) put(w *bytes.Buffer) error {
	return binary.Write(w, binary.BigEndian, *f.at)
}

func (f number[T]) take(body []byte) ([]byte, error) {
	n, err := binary.Decode(body, binary.BigEndian, f.at)
	if err != nil {
		return nil, ErrTooShort
	}
	return body[n:], nil
}

// amount is a u64 of satoshi, at most 21 million bitcoin.
type amount struct{ at *btcutil.Amount }

func (f amount) put(w *bytes.Buffer) error {
	if *f.at < 0 || *f.at > btcutil.MaxSatoshi {
		return ErrAmount
	}
	return lnwire.WriteSatoshi(w, *f.at)
}

func (f amount) take(body []byte) ([]byte, error) {
	rest, err := sats(body)
	if err != nil {
		return nil, err
	}
	*f.at = btcutil.Amount(binary.BigEndian.Uint64(body))
	return rest, nil
}

// contribution is an s64 of satoshi: what a side adds to a funding output, or takes out of it where it is negative.
type contribution struct{ at *btcutil.Amount }

func (f contribution) put(w *bytes.Buffer) error {
	if *f.at < -btcutil.MaxSatoshi || *f.at > btcutil.MaxSatoshi {
		return ErrAmount
	}
	return lnwire.WriteUint64(w, uint64(*f.at))
}

func (f contribution) take(body []byte) ([]byte, error) {
	if len(body) < 8 {
		return nil, ErrTooShort
	}
	v := btcutil.Amount(binary.BigEndian.Uint64(body))
	if v < -btcutil.MaxSatoshi || v > btcutil.MaxSatoshi {
		return nil, ErrAmount
	}
	*f.at = v
	return body[8:], nil
}

// blob is a u16 length and so many bytes. An empty one is nil.
type blob[T ~[]byte] struct{ at *T }

func bytes16[T ~[]byte](at *T) blob[T] { return blob[T]{at} }

func (f blob[T]) put(w *bytes.Buffer) error {
	if len(*f.at) > MaxMessage {
		return ErrTooLong
	}
	if err := lnwire.WriteUint16(w, uint16(len(*f.at))); err != nil {
		return err
	}
	w.Write(*f.at)
	return nil
}

func (f blob[T]) take(body []byte) ([]byte, error) {
	value, rest, err := cutVector(body)
	if err != nil {
		return nil, err
	}
	*f.at = nil
	if len(value) > 0 {
		*f.at = value
	}
	return rest, nil
}

// key is a compressed point.
type key struct{ at **btcec.PublicKey }

func (f key) put(w *bytes.Buffer) error { return lnwire.WritePublicKey(w, *f.at) }

func (f key) take(body []byte) ([]byte, error) {
	if len(body) < point {
		return nil, ErrTooShort
	}
	k, err := btcec.ParsePubKey(body[:point])
	if err != nil {
		return nil, fmt.Errorf("point: %w", err)
	}
	*f.at = k
	return body[point:], nil
}

// signature is a 64-byte signature.
type signature struct{ at *Sig }

func (f signature) put(w *bytes.Buffer) error { return lnwire.WriteSig(w, *f.at) }

func (f signature) take(body []byte) ([]byte, error) {
	if len(body) < sig {
		return nil, ErrTooShort
	}
	s, err := lnwire.NewSigFromWireECDSA(body[:sig])
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	*f.at = s
	return body[sig:], nil
}

// signatures is a u16 count and so many signatures.
type signatures struct{ at *[]Sig }

func (f signatures) put(w *bytes.Buffer) error { return lnwire.WriteSigs(w, *f.at) }

func (f signatures) take(body []byte) ([]byte, error) {
	if len(body) < 2 {
		return nil, ErrTooShort
	}
	n := int(binary.BigEndian.Uint16(body))
	if body = body[2:]; len(body) < n*sig {
		return nil, fmt.Errorf("%w: %d signatures claimed, %d bytes left", ErrTooShort, n, len(body))
	}
	*f.at = nil
	for range n {
		var s Sig
		body, _ = signature{&s}.take(body)
		*f.at = append(*f.at, s)
	}
	return body, nil
}
