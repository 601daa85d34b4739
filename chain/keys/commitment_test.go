package keys_test

import (
	"encoding/hex"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/input"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/chain/keys"
)

func hexOf(key *btcec.PublicKey) string { return hex.EncodeToString(key.SerializeCompressed()) }

// BOLT 3, Appendix E.
func TestKeyDerivationVectors(t *testing.T) {
	t.Parallel()
	base := secretOf(t, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	secret := secretOf(t, "1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100")
	basePrivate, basePoint := btcec.PrivKeyFromBytes(base[:])
	require.Equal(t, "036d6caac248af96f6afa7f904f550253a0f3ef3f5aa2fe6838a95b216691468e2", hexOf(basePoint))
	require.Equal(t, "025f7117a78150fe2ef97db7cfc83bd57b2e2c0d0dd25eaf467a4a1c2a45ce1486", hexOf(secret.Point()))

	points := keys.Basepoints{Revocation: basePoint, HTLC: basePoint, Payment: basePoint, DelayedPayment: basePoint}
	derived := keys.ForCommitment(points, points, secret.Point())
	const tweaked = "0235f2dbfaa89b57ec7b055afe29849ef7ddfeb1cefdb9ebdc43f5494984db29e5"
	require.Equal(t, tweaked, hexOf(derived.BroadcasterDelayed))
	require.Equal(t, tweaked, hexOf(derived.BroadcasterHTLC))
	require.Equal(t, tweaked, hexOf(derived.CountersignerHTLC))
	require.Equal(t, hexOf(basePoint), hexOf(derived.CountersignerPayment))
	require.Equal(t, "02916e326636d19c33f13e8c0c3a03dd157f332f3e99c317c141dd865eb01f8ff0", hexOf(derived.Revocation))

	private := input.TweakPrivKey(basePrivate, input.SingleTweakBytes(secret.Point(), basePoint))
	require.Equal(t, "cbced912d3b21bf196a766651e436aff192362621ce317704ea2f75d87e7be0f",
		hex.EncodeToString(private.Serialize()))
	secretKey, _ := btcec.PrivKeyFromBytes(secret[:])
	require.Equal(t, "d09ffff62ddb2297ab000cc85bcb4283fdeb6aa052affbc9dddcf33b61078110",
		hex.EncodeToString(input.DeriveRevocationPrivKey(basePrivate, secretKey).Serialize()))
}

func mustFundingKey(t require.TestingT, signer keys.Signer, index uint32) *btcec.PublicKey {
	key, err := signer.FundingKey(index)
	require.NoError(t, err)
	return key
}

func TestTweakedKeysAreThoseOfLnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		point := keys.Secret(rapid.SliceOfN(rapid.ByteRange(1, 255), 32, 32).Draw(t, "secret")).Point()
		ours, err := signerOf(t, rapid.Byte().Draw(t, "our seed")).Basepoints(0)
		require.NoError(t, err)
		theirs, err := signerOf(t, rapid.Byte().Draw(t, "their seed")).Basepoints(0)
		require.NoError(t, err)
		derived := keys.ForCommitment(ours, theirs, point)
		require.Equal(t, hexOf(input.DeriveRevocationPubkey(theirs.Revocation, point)), hexOf(derived.Revocation))
		require.Equal(t, hexOf(input.TweakPubKey(ours.DelayedPayment, point)), hexOf(derived.BroadcasterDelayed))
		require.Equal(t, hexOf(input.TweakPubKey(ours.HTLC, point)), hexOf(derived.BroadcasterHTLC))
		require.Equal(t, hexOf(input.TweakPubKey(theirs.HTLC, point)), hexOf(derived.CountersignerHTLC))
	})
}
