package transport

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/brontide"
)

// HandshakeError says in which act a handshake failed (BOLT 8, "Authenticated Key Exchange Handshake Specification").
type HandshakeError struct {
	Act int // 1 to 3
	Err error
}

func (e *HandshakeError) Error() string {
	return fmt.Sprintf("handshake failed in act %d: %v", e.Act, e.Err)
}

func (e *HandshakeError) Unwrap() error { return e.Err }

// Client does the initiator's part of the handshake over raw, with the node whose key is remote. It takes raw over, and
// closes it if the handshake fails or the context ends first. The error is a *HandshakeError; it wraps the context's
// cause where that ended it.
func Client(ctx context.Context, raw net.Conn, key NodeKey, remote *btcec.PublicKey) (*Conn, error) {
	machine := brontide.NewBrontideMachine(true, key, remote)
	err := guarded(ctx, raw, func() *HandshakeError {
		one, err := machine.GenActOne()
		if err == nil {
			_, err = raw.Write(one[:])
		}
		if err != nil {
			return &HandshakeError{Act: 1, Err: err}
		}

		var two [brontide.ActTwoSize]byte
		if _, err = io.ReadFull(raw, two[:]); err == nil {
			err = machine.RecvActTwo(two)
		}
		if err != nil {
			return &HandshakeError{Act: 2, Err: err}
		}

		three, err := machine.GenActThree()
		if err == nil {
			_, err = raw.Write(three[:])
		}
		if err != nil {
			return &HandshakeError{Act: 3, Err: err}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return newConn(raw, machine, remote), nil
}

// Server does the responder's part of the handshake over raw, and learns who the other is. It takes raw over, and
// closes it if the handshake fails or the context ends first. Errors are as Client's.
func Server(ctx context.Context, raw net.Conn, key NodeKey) (*Conn, error) {
	machine := brontide.NewBrontideMachine(false, key, nil)
	var remote *btcec.PublicKey
	err := guarded(ctx, raw, func() *HandshakeError {
		var one [brontide.ActOneSize]byte
		_, err := io.ReadFull(raw, one[:])
		if err == nil {
			err = machine.RecvActOne(one)
		}
		if err != nil {
			return &HandshakeError{Act: 1, Err: err}
		}

		two, err := machine.GenActTwo()
		if err == nil {
			_, err = raw.Write(two[:])
		}
		if err != nil {
			return &HandshakeError{Act: 2, Err: err}
		}

		var three [brontide.ActThreeSize]byte
		if _, err = io.ReadFull(raw, three[:]); err == nil {
			remote, err = finish(machine, three)
		}
		if err != nil {
			return &HandshakeError{Act: 3, Err: err}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return newConn(raw, machine, remote), nil
}

// finish takes the initiator's last act, and returns the key it proves. The machine keeps that key to itself, so a copy
// of it is spent on decrypting the key first: nothing is believed before the machine has checked the whole act.
func finish(machine *brontide.Machine, act [brontide.ActThreeSize]byte) (*btcec.PublicKey, error) {
	const version, sealedKey = 1, btcec.PubKeyBytesLenCompressed + 16
	ahead := *machine
	serialized, err := ahead.DecryptAndHash(act[version : version+sealedKey])
	if err != nil {
		return nil, err
	}
	if err := machine.RecvActThree(act); err != nil {
		return nil, err
	}
	return btcec.ParsePubKey(serialized)
}

// guarded runs a handshake that the context can end, by closing the connection under it.
func guarded(ctx context.Context, raw net.Conn, handshake func() *HandshakeError) error {
	release := context.AfterFunc(ctx, func() { raw.Close() })
	failed := handshake()
	if ended := !release(); ended {
		if failed == nil {
			failed = &HandshakeError{Act: 3}
		}
		failed.Err = context.Cause(ctx)
	}
	if failed != nil {
		raw.Close()
		return failed
	}
	return nil
}
