package keys

import (
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/input"

	"stormcell/chain/curve"
)

// Basepoints are the public keys that one side of a channel sends in `open_channel` or `accept_channel` and that every
// commitment's keys come from (BOLT 3, "Key Derivation").
type Basepoints struct {
	Revocation     *btcec.PublicKey
	HTLC           *btcec.PublicKey
	Payment        *btcec.PublicKey
	DelayedPayment *btcec.PublicKey
}

// CommitmentKeys are the public keys in the scripts of one commitment. The broadcaster is the side whose commitment it is
// ("local" in BOLT 3), the countersigner the other one. The HTLC keys are nil where no output needs them.
type CommitmentKeys struct {
	Revocation           *btcec.PublicKey // the countersigner's, once the broadcaster has revoked
	BroadcasterDelayed   *btcec.PublicKey
	BroadcasterHTLC      *btcec.PublicKey
	CountersignerHTLC    *btcec.PublicKey
	CountersignerPayment *btcec.PublicKey // the basepoint itself, with option_static_remotekey
}

// ForCommitment derives the keys of the broadcaster's commitment with the given per-commitment point, which is the
// broadcaster's.
func ForCommitment(broadcaster, countersigner Basepoints, point *btcec.PublicKey) CommitmentKeys {
	k := ForEmptyCommitment(broadcaster, countersigner, point)
	k.BroadcasterHTLC, k.CountersignerHTLC = tweak(broadcaster.HTLC, point), tweak(countersigner.HTLC, point)
	return k
}

// ForEmptyCommitment is ForCommitment for a commitment that has no HTLC outputs: without the HTLC keys, which take a third
// of the time.
func ForEmptyCommitment(broadcaster, countersigner Basepoints, point *btcec.PublicKey) CommitmentKeys {
	return CommitmentKeys{
		Revocation:           revocationKey(countersigner.Revocation, point),
		BroadcasterDelayed:   tweak(broadcaster.DelayedPayment, point),
		CountersignerPayment: countersigner.Payment,
	}
}

// revocationKey is the sum of basepoint and point, each times a hash of both. It is input.DeriveRevocationPubkey with the
// products of package curve.
func revocationKey(base, point *btcec.PublicKey) *btcec.PublicKey {
	return add(
		curve.Multiply(scalar(input.SingleTweakBytes(base, point)), base),
		curve.Multiply(scalar(input.SingleTweakBytes(point, base)), point))
}

// tweak adds the hash of point and basepoint, times the generator, to the basepoint. It is input.TweakPubKey without that
// one's second multiplication, which takes half its time.
func tweak(base, point *btcec.PublicKey) *btcec.PublicKey {
	var product, addend, sum btcec.JacobianPoint
	btcec.ScalarBaseMultNonConst(scalar(input.SingleTweakBytes(point, base)), &product)
	base.AsJacobian(&addend)
	btcec.AddNonConst(&addend, &product, &sum)
	return affine(&sum)
}

func add(a, b *btcec.PublicKey) *btcec.PublicKey {
	var left, right, sum btcec.JacobianPoint
	a.AsJacobian(&left)
	b.AsJacobian(&right)
	btcec.AddNonConst(&left, &right, &sum)
	return affine(&sum)
}

func affine(p *btcec.JacobianPoint) *btcec.PublicKey {
	p.ToAffine()
	return btcec.NewPublicKey(&p.X, &p.Y)
}

func scalar(hash []byte) *btcec.ModNScalar {
	var s btcec.ModNScalar
	s.SetByteSlice(hash)
	return &s
}
