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
		if err := perform(raw, 1, one[:], err); err != nil {
			return err
		}
		var two [brontide.ActTwoSize]byte
		if err := attend(raw, 2, two[:], func() error { return machine.RecvActTwo(two) }); err != nil {
			return err
		}
		three, err := machine.GenActThree()
		return perform(raw, 3, three[:], err)
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
		if err := attend(raw, 1, one[:], func() error { return machine.RecvActOne(one) }); err != nil {
			return err
		}
		two, err := machine.GenActTwo()
		if err := perform(raw, 2, two[:], err); err != nil {
			return err
		}
		var three [brontide.ActThreeSize]byte
		return attend(raw, 3, three[:], func() (err error) {
			remote, err = finish(machine, three)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return newConn(raw, machine, remote), nil
}

// perform writes an act, if it could be made.
func perform(raw io.Writer, number int, act []byte, err error) *HandshakeError {
	if err == nil {
		_, err = raw.Write(act)
	}
	if err != nil {
		return &HandshakeError{Act: number, Err: err}
	}
	return nil
}

// attend reads an act and takes it.
func attend(raw io.Reader, number int, act []byte, take func() error) *HandshakeError {
	_, err := io.ReadFull(raw, act)
	if err == nil {
		err = take()
	}
	if err != nil {
		return &HandshakeError{Act: number, Err: err}
	}
	return nil
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
