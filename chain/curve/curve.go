// Package curve is the one door to the costly arithmetic of secp256k1: ECDSA signatures, and products of points. Built with
// cgo it is libsecp256k1, which checks a signature in a quarter of the time and multiplies in a third of it, and in constant
// time where a secret is involved; built without, it is btcec. Which of the two it is nobody can tell from the answers.
package curve

import (
	"crypto/sha256"
	"errors"

	"github.com/btcsuite/btcd/btcec/v2"
)

// DigestSize is the size of what is signed, in bytes.
const DigestSize = 32

// Signature is an ECDSA signature: r and s, each 32 bytes, big-endian.
type Signature [64]byte

// ErrCannotSign refuses a digest of the wrong size, and a key that is zero.
var ErrCannotSign = errors.New("cannot sign")

// Verify tells whether the signature of the digest is the key's, and in the one form that the protocol accepts: r and s
// are in range, and s is in the lower half (BOLT 2, "Committing Updates So Far").
func Verify(key *btcec.PublicKey, digest []byte, signature Signature) bool {
	return len(digest) == DigestSize && key.IsOnCurve() && chosen.verify(key, digest, signature)
}

// Sign signs a digest, with the nonce of RFC 6979 and a low s: the same call has the same answer. recovery is the number,
// from 0 to 3, that the key is recovered with. The error is ErrCannotSign.
func Sign(key *btcec.PrivateKey, digest []byte) (signature Signature, recovery byte, err error) {
	if len(digest) != DigestSize || key.Key.IsZero() {
		return Signature{}, 0, ErrCannotSign
	}
	return chosen.sign(key, digest)
}

// Multiply multiplies a point. Where there is no product, with zero or of what is not on the curve, it gives the point
// (0, 0), which is not on the curve either.
func Multiply(scalar *btcec.ModNScalar, point *btcec.PublicKey) *btcec.PublicKey {
	if scalar.IsZero() || !point.IsOnCurve() {
		return new(btcec.PublicKey)
	}
	return chosen.multiply(scalar, point)
}

// ECDH is SHA256 of the compressed product of the key and the point.
func ECDH(key *btcec.PrivateKey, point *btcec.PublicKey) [32]byte {
	return sha256.Sum256(Multiply(&key.Key, point).SerializeCompressed())
}
