package curve

import (
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
)

// portable is the arithmetic of btcec. It is always built: libsecp256k1 is tested against it.
type portable struct{}

func (portable) verify(key *btcec.PublicKey, digest []byte, signature Signature) bool {
	var r, s btcec.ModNScalar
	if r.SetByteSlice(signature[:32]) || s.SetByteSlice(signature[32:]) || s.IsOverHalfOrder() {
		return false
	}
	return ecdsa.NewSignature(&r, &s).Verify(digest, key)
}

func (portable) sign(key *btcec.PrivateKey, digest []byte) (signature Signature, recovery byte, err error) {
	// The first byte of the compact form has 27, 4 for a compressed key, and the number.
	const first = 27 + 4
	compact := ecdsa.SignCompact(key, digest, true)
	return Signature(compact[1:]), compact[0] - first, nil
}

func (portable) multiply(scalar *btcec.ModNScalar, point *btcec.PublicKey) *btcec.PublicKey {
	var p, product btcec.JacobianPoint
	point.AsJacobian(&p)
	btcec.ScalarMultNonConst(scalar, &p, &product)
	product.ToAffine()
	return btcec.NewPublicKey(&product.X, &product.Y)
}
