//go:build cgo

package curve

import (
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/erigontech/secp256k1"
)

var chosen native

// native is the arithmetic of libsecp256k1.
type native struct{}

func (native) verify(key *btcec.PublicKey, digest []byte, signature Signature) bool {
	// The point in full: to find y from x takes a square root.
	return secp256k1.VerifySignature(key.SerializeUncompressed(), digest, signature[:])
}

func (native) sign(key *btcec.PrivateKey, digest []byte) (signature Signature, recovery byte, err error) {
	secret := key.Key.Bytes()
	signed, err := secp256k1.Sign(digest, secret[:])
	clear(secret[:])
	if err != nil {
		return Signature{}, 0, fmt.Errorf("%w: %w", ErrCannotSign, err)
	}
	return Signature(signed[:64]), signed[64], nil
}

func (native) multiply(scalar *btcec.ModNScalar, point *btcec.PublicKey) *btcec.PublicKey {
	factor := scalar.Bytes()
	x, y := secp256k1.S256().ScalarMult(point.X(), point.Y(), factor[:])
	clear(factor[:])
	var fx, fy btcec.FieldVal
	var coordinate [32]byte
	fx.SetByteSlice(x.FillBytes(coordinate[:]))
	fy.SetByteSlice(y.FillBytes(coordinate[:]))
	return btcec.NewPublicKey(&fx, &fy)
}
