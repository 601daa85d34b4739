package curve

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// order is that of the curve, and halfOrder the largest s that is low.
const (
	order     = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
	halfOrder = "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0"
)

var (
	anyBytes = rapid.SliceOfN(rapid.Byte(), 32, 32)
	anyKey   = rapid.Custom(func(t *rapid.T) *btcec.PrivateKey {
		key, _ := btcec.PrivKeyFromBytes(anyBytes.Filter(func(b []byte) bool {
			var scalar btcec.ModNScalar
			return !scalar.SetByteSlice(b) && !scalar.IsZero()
		}).Draw(t, "key"))
		return key
	})
)

func unhex(t require.TestingT, text string) []byte {
	b, err := hex.DecodeString(text)
	require.NoError(t, err)
	return b
}

func TestSignaturesAreTheSameByteForByte(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key, digest := anyKey.Draw(t, "key"), anyBytes.Draw(t, "digest")
		want, wantRecovery, err := portable{}.sign(key, digest)
		require.NoError(t, err)
		signature, recovery, err := Sign(key, digest)
		require.NoError(t, err)
		require.Equal(t, want, signature)
		require.Equal(t, wantRecovery, recovery)
		require.True(t, Verify(key.PubKey(), digest, signature))
	})
}

// The nonces of RFC 6979 as they are known for this curve.
func TestSignaturesOfKnownNonces(t *testing.T) {
	t.Parallel()
	for _, vector := range []struct{ key, text, signature string }{
		{
			"0000000000000000000000000000000000000000000000000000000000000001", "Satoshi Nakamoto",
			"934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8" +
				"2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5",
		},
		{
			"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140", "Satoshi Nakamoto",
			"fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d0" +
				"6b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5",
		},
	} {
		key, _ := btcec.PrivKeyFromBytes(unhex(t, vector.key))
		digest := sha256.Sum256([]byte(vector.text))
		signature, _, err := Sign(key, digest[:])
		require.NoError(t, err)
		require.Equal(t, vector.signature, hex.EncodeToString(signature[:]))
	}
}

func TestNothingSignsWithoutKeyOrDigest(t *testing.T) {
	t.Parallel()
	key, _ := btcec.PrivKeyFromBytes([]byte{1})
	for _, digest := range [][]byte{nil, make([]byte, 31), make([]byte, 33)} {
		_, _, err := Sign(key, digest)
		require.ErrorIs(t, err, ErrCannotSign)
		require.False(t, Verify(key.PubKey(), digest, Signature{}))
	}
	_, _, err := Sign(new(btcec.PrivateKey), make([]byte, 32))
	require.ErrorIs(t, err, ErrCannotSign)
}

// anySignature draws signatures that are right, and such as are wrong in each way that a verifier has to see.
func anySignature(t *rapid.T, key *btcec.PrivateKey, digest []byte) Signature {
	signature, _, err := portable{}.sign(key, digest)
	require.NoError(t, err)
	half := signature[:32]
	if rapid.Bool().Draw(t, "s") {
		half = signature[32:]
	}
	switch rapid.IntRange(0, 5).Draw(t, "what is wrong") {
	case 1: // in the upper half
		var s btcec.ModNScalar
		s.SetByteSlice(signature[32:])
		s.Negate().PutBytesUnchecked(signature[32:])
	case 2:
		half[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	case 3:
		clear(half)
	case 4: // at the edges
		edge := rapid.SampledFrom([]string{order, halfOrder}).Draw(t, "edge")
		copy(half, unhex(t, edge))
		half[31] += byte(rapid.IntRange(-1, 1).Draw(t, "beside"))
	case 5:
		copy(half, anyBytes.Draw(t, "anything"))
	}
	return signature
}

func TestVerdictsAreTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key, digest := anyKey.Draw(t, "key"), anyBytes.Draw(t, "digest")
		signature := anySignature(t, key, digest)
		if rapid.IntRange(0, 4).Draw(t, "another key") == 0 {
			key = anyKey.Draw(t, "which")
		}
		require.Equal(t, portable{}.verify(key.PubKey(), digest, signature), Verify(key.PubKey(), digest, signature))
	})
}

func TestHighSIsRefused(t *testing.T) {
	t.Parallel()
	key, public := btcec.PrivKeyFromBytes([]byte{7})
	digest := sha256.Sum256([]byte("what is signed"))
	signature, _, err := Sign(key, digest[:])
	require.NoError(t, err)
	require.True(t, Verify(public, digest[:], signature))
	var s btcec.ModNScalar
	s.SetByteSlice(signature[32:])
	s.Negate().PutBytesUnchecked(signature[32:])
	require.False(t, Verify(public, digest[:], signature))
	require.False(t, portable{}.verify(public, digest[:], signature))
}

func TestProductsAreTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key, point := anyKey.Draw(t, "scalar"), anyKey.Draw(t, "of the point").PubKey()
		want := portable{}.multiply(&key.Key, point)
		require.True(t, want.IsEqual(Multiply(&key.Key, point)))
		require.Equal(t, sha256.Sum256(want.SerializeCompressed()), ECDH(key, point))
		// Both sides of an exchange come to the same.
		other := anyKey.Draw(t, "the other side")
		require.Equal(t, ECDH(key, other.PubKey()), ECDH(other, key.PubKey()))
	})
}

func TestWhatIsNoPointStaysNone(t *testing.T) {
	t.Parallel()
	key, point := btcec.PrivKeyFromBytes([]byte{7})
	none := new(btcec.PublicKey)
	require.False(t, none.IsOnCurve())
	require.True(t, none.IsEqual(Multiply(new(btcec.ModNScalar), point)))
	require.True(t, none.IsEqual(Multiply(&key.Key, none)))
	signature, _, err := Sign(key, make([]byte, 32))
	require.NoError(t, err)
	require.False(t, Verify(none, make([]byte, 32), signature))
}

func BenchmarkVerify(b *testing.B) {
	key, public := btcec.PrivKeyFromBytes([]byte{7})
	digest := sha256.Sum256([]byte("what is signed"))
	signature, _, err := Sign(key, digest[:])
	require.NoError(b, err)
	for b.Loop() {
		Verify(public, digest[:], signature)
	}
}

func BenchmarkSign(b *testing.B) {
	key, _ := btcec.PrivKeyFromBytes([]byte{7})
	digest := sha256.Sum256([]byte("what is signed"))
	for b.Loop() {
		_, _, _ = Sign(key, digest[:])
	}
}

func BenchmarkMultiply(b *testing.B) {
	factor, of := sha256.Sum256([]byte("a factor")), sha256.Sum256([]byte("a point"))
	key, _ := btcec.PrivKeyFromBytes(factor[:])
	_, point := btcec.PrivKeyFromBytes(of[:])
	for b.Loop() {
		Multiply(&key.Key, point)
	}
}
