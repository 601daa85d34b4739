package onion

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	sphinx "github.com/lightningnetwork/lightning-onion"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Malformed says that an onion cannot be read, and so neither a payload nor a way to answer the payer: the peer is told
// with `update_fail_malformed_htlc`.
type Malformed struct {
	Code      lnwire.FailCode
	OnionHash [32]byte
	Reason    error
}

func (m *Malformed) Error() string { return fmt.Sprintf("onion is malformed: %s", m.Reason) }

func (m *Malformed) Unwrap() error { return m.Reason }

// Blinded says of an onion that came with a path key that no blinded path leads through this node.
func Blinded(packet []byte) *Malformed {
	return malformed(lnwire.CodeInvalidBlinding, packet, errors.New("it belongs to a blinded path of nobody"))
}

func malformed(code lnwire.FailCode, packet []byte, reason error) *Malformed {
	return &Malformed{Code: code, OnionHash: sha256.Sum256(packet), Reason: reason}
}

func codeOf(err error) lnwire.FailCode {
	switch {
	case errors.Is(err, sphinx.ErrInvalidOnionVersion):
		return lnwire.CodeInvalidOnionVersion
	case errors.Is(err, sphinx.ErrInvalidOnionKey):
		return lnwire.CodeInvalidOnionKey
	default:
		return lnwire.CodeInvalidOnionHmac
	}
}

// Fail is the failure that this node sends towards the payer (BOLT 4, "Returning Errors").
func Fail(secret Secret, message lnwire.FailureMessage) ([]byte, error) {
	var plain bytes.Buffer
	if err := lnwire.EncodeFailure(&plain, message, 0); err != nil {
		return nil, fmt.Errorf("encode failure %s: %w", message.Code(), err)
	}
	return encrypt(secret, true, plain.Bytes())
}

// Wrap adds this node's layer to a failure of a node further down the route.
func Wrap(secret Secret, reason []byte) ([]byte, error) { return encrypt(secret, false, reason) }

func encrypt(secret Secret, initial bool, data []byte) ([]byte, error) {
	var e sphinx.OnionErrorEncrypter
	if err := e.Decode(bytes.NewReader(secret[:])); err != nil {
		return nil, fmt.Errorf("encrypt a failure: %w", err)
	}
	return e.EncryptError(initial, data), nil
}

// Failure is what a node on the route said when the payment failed there.
type Failure struct {
	// Hop is the place in the route of who said it, from 0.
	Hop  int
	Code lnwire.FailCode
	// Message is nil when the failure is of a kind that is not known, or does not parse.
	Message lnwire.FailureMessage
	// Plain is the failure message as that node wrote it: the code and what belongs to it.
	Plain []byte
}

// ErrUnreadable says that no node of the route can be told to have sent a failure: one of them damaged it.
var ErrUnreadable = errors.New("failure is from no node of the route")

// Decrypt reads a failure that came back for an onion, with its session key and the keys of its route. The error is
// ErrUnreadable.
func Decrypt(session *btcec.PrivateKey, route []*btcec.PublicKey, reason []byte) (*Failure, error) {
	if len(route) == 0 || len(route) > MaxHops {
		return nil, fmt.Errorf("%w: the route has %d hops", ErrUnreadable, len(route))
	}
	circuit := &sphinx.Circuit{SessionKey: session, PaymentPath: route}
	opened, err := sphinx.NewOnionErrorDecrypter(circuit).DecryptError(reason)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	f := &Failure{Hop: opened.SenderIdx - 1}
	if f.Plain = failureMessage(opened.Message); len(f.Plain) >= 2 {
		f.Code = lnwire.FailCode(binary.BigEndian.Uint16(f.Plain))
	}
	if message, err := lnwire.DecodeFailureMessage(bytes.NewReader(f.Plain), 0); err == nil {
		f.Message = message
	}
	return f, nil
}

// failureMessage takes length and padding off. Who wrote it is known, so what cannot be read is theirs to answer for.
func failureMessage(padded []byte) []byte {
	if len(padded) < 2 {
		return nil
	}
	length := int(binary.BigEndian.Uint16(padded))
	if length > len(padded)-2 {
		return nil
	}
	return padded[2 : 2+length]
}
