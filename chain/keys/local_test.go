package keys_test

import (
	"crypto/sha256"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/chain/keys"
)

func masterOf(t require.TestingT, seed []byte) *hdkeychain.ExtendedKey {
	master, err := hdkeychain.NewMaster(seed, &chaincfg.RegressionNetParams)
	require.NoError(t, err)
	return master
}

func signerOf(t require.TestingT, seed byte) *keys.LocalSigner {
	raw := sha256.Sum256([]byte{seed})
	signer, err := keys.NewLocalSigner(masterOf(t, raw[:]), keychain.CoinTypeTestnet, concurrently)
	require.NoError(t, err)
	return signer
}

// concurrently is a Parallel that lets the race detector see what runs at once.
func concurrently(n int, work func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { work(i) })
	}
	all.Wait()
}

func someInput() keys.Input {
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Index: 3}, nil, nil))
	tx.AddTxOut(wire.NewTxOut(9_000, []byte{txscript.OP_TRUE}))
	return keys.Input{Tx: tx, Amount: 10_000, WitnessScript: []byte{txscript.OP_TRUE}, HashType: txscript.SigHashAll}
}

func TestSignaturesVerifyUnderTheDerivedPublicKeys(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		us, them := signerOf(t, 1), signerOf(t, 2)
		channel := rapid.Uint32Range(0, hdkeychain.HardenedKeyStart-1).Draw(t, "channel")
		number := rapid.Uint64Range(0, keys.MaxCommitments-1).Draw(t, "number")
		ourBase, err := us.Basepoints(channel)
		require.NoError(t, err)
		theirBase, err := them.Basepoints(channel)
		require.NoError(t, err)
		funding, err := us.FundingKey(channel)
		require.NoError(t, err)
		ourPoint, err := us.CommitmentPoint(channel, number)
		require.NoError(t, err)
		theirPoint, err := them.CommitmentPoint(channel, number)
		require.NoError(t, err)
		theirSecret, err := them.ReleaseSecret(channel, number)
		require.NoError(t, err)
		require.Equal(t, theirPoint, theirSecret.Point())

		ours := keys.ForCommitment(ourBase, theirBase, ourPoint)
		theirs := keys.ForCommitment(theirBase, ourBase, theirPoint)
		wanted := []struct {
			ref keys.KeyRef
			key *btcec.PublicKey
		}{
			{keys.FundingKeyRef(channel), funding},
			{keys.HTLCKeyRef(channel, ourPoint), ours.BroadcasterHTLC},
			{keys.DelayedKeyRef(channel, ourPoint), ours.BroadcasterDelayed},
			{keys.HTLCKeyRef(channel, theirPoint), theirs.CountersignerHTLC},
			{keys.PaymentKeyRef(channel), theirs.CountersignerPayment},
			{keys.RevocationKeyRef(channel, theirSecret), theirs.Revocation},
		}
		var requests []keys.SignRequest
		for _, w := range wanted {
			requests = append(requests, keys.SignRequest{Input: someInput(), Key: w.ref})
		}
		signatures, err := us.Sign(requests)
		require.NoError(t, err)
		again, err := us.Sign(requests)
		require.NoError(t, err)
		require.Equal(t, signatures, again, "signing is deterministic")
		for i, w := range wanted {
			require.NoError(t, someInput().Verify(w.key, signatures[i]), "request %d", i)
			other := wanted[(i+1)%len(wanted)].key
			require.ErrorIs(t, someInput().Verify(other, signatures[i]), keys.ErrInvalidSignature)
		}
	})
}

func TestSignRefusesWhatAKeyIsNotFor(t *testing.T) {
	t.Parallel()
	signer := signerOf(t, 1)
	sign := func(ref keys.KeyRef, in keys.Input) error {
		_, err := signer.Sign([]keys.SignRequest{{Input: in, Key: ref}})
		return err
	}
	require.ErrorIs(t, sign(keys.NodeKeyRef(), someInput()), keys.ErrKeyMisused)
	require.ErrorIs(t, sign(keys.KeyRef{Family: keychain.KeyFamilyRevocationRoot}, someInput()), keys.ErrKeyMisused)
	require.Error(t, sign(keys.KeyRef{Family: keychain.KeyFamilyTowerID}, someInput()))
	require.ErrorIs(t, sign(keys.FundingKeyRef(hdkeychain.HardenedKeyStart), someInput()), keys.ErrIndexTooHigh)
	require.Error(t, sign(keys.KeyRef{Tweak: keys.CommitmentTweak}, someInput()), "no such point")
	require.Error(t, sign(keys.KeyRef{Tweak: 9}, someInput()))
	for _, index := range []int{-1, 1} {
		in := someInput()
		in.Index = index
		require.Error(t, sign(keys.FundingKeyRef(0), in))
	}
	require.Error(t, sign(keys.FundingKeyRef(0), keys.Input{}))
	_, err := signer.ReleaseSecret(0, keys.MaxCommitments)
	require.ErrorIs(t, err, keys.ErrNoSuchCommitment)
	_, err = signer.SignGossip(keys.PaymentKeyRef(0), []byte("x"))
	require.ErrorIs(t, err, keys.ErrKeyMisused)
}

func TestVerifyRefusesMalformedSignatures(t *testing.T) {
	t.Parallel()
	signer := signerOf(t, 1)
	key, err := signer.FundingKey(0)
	require.NoError(t, err)
	signatures, err := signer.Sign([]keys.SignRequest{{Input: someInput(), Key: keys.FundingKeyRef(0)}})
	require.NoError(t, err)
	good := signatures[0].RawBytes()

	var s btcec.ModNScalar
	s.SetByteSlice(good[32:])
	high := s.Negate().Bytes()
	order := btcec.S256().N.Bytes()
	for name, raw := range map[string][]byte{
		"high s": append(append([]byte{}, good[:32]...), high[:]...),
		"zero r": append(make([]byte, 32), good[32:]...),
		"zero s": append(append([]byte{}, good[:32]...), make([]byte, 32)...),
		"r is n": append(append([]byte{}, order...), good[32:]...),
		"zeros":  make([]byte, 64),
	} {
		signature, err := lnwire.NewSigFromWireECDSA(raw)
		require.NoError(t, err)
		require.ErrorIs(t, someInput().Verify(key, signature), keys.ErrInvalidSignature, name)
	}
}

func TestNodeKeySignsGossipInvoicesAndMessages(t *testing.T) {
	t.Parallel()
	signer := signerOf(t, 1)
	signature, err := signer.SignGossip(keys.NodeKeyRef(), []byte("announcement"))
	require.NoError(t, err)
	parsed, err := signature.ToSignature()
	require.NoError(t, err)
	require.True(t, parsed.Verify(chainhash.DoubleHashB([]byte("announcement")), signer.NodeKey()))

	funding, err := signer.FundingKey(7)
	require.NoError(t, err)
	signature, err = signer.SignGossip(keys.FundingKeyRef(7), []byte("announcement"))
	require.NoError(t, err)
	parsed, err = signature.ToSignature()
	require.NoError(t, err)
	require.True(t, parsed.Verify(chainhash.DoubleHashB([]byte("announcement")), funding))

	compact, err := signer.SignInvoice([]byte("lnbc"))
	require.NoError(t, err)
	recovered, _, err := ecdsa.RecoverCompact(compact, chainhash.HashB([]byte("lnbc")))
	require.NoError(t, err)
	require.True(t, recovered.IsEqual(signer.NodeKey()))

	compact, err = signer.SignMessage([]byte("hello"))
	require.NoError(t, err)
	recovered, _, err = ecdsa.RecoverCompact(compact, chainhash.DoubleHashB([]byte("Lightning Signed Message:hello")))
	require.NoError(t, err)
	require.True(t, recovered.IsEqual(signer.NodeKey()))
}

func TestECDHAgrees(t *testing.T) {
	t.Parallel()
	one, other := signerOf(t, 1), signerOf(t, 2)
	ours, err := keys.NodeECDH{Signer: one}.ECDH(other.NodeKey())
	require.NoError(t, err)
	theirs, err := keys.NodeECDH{Signer: other}.ECDH(one.NodeKey())
	require.NoError(t, err)
	require.Equal(t, ours, theirs)
}

func BenchmarkSignOneCommitmentWith483HTLCs(b *testing.B) {
	signer := signerOf(b, 1)
	point, err := signer.CommitmentPoint(0, 0)
	require.NoError(b, err)
	requests := []keys.SignRequest{{Input: someInput(), Key: keys.FundingKeyRef(0)}}
	for range 483 {
		requests = append(requests, keys.SignRequest{Input: someInput(), Key: keys.HTLCKeyRef(0, point)})
	}
	for b.Loop() {
		if _, err := signer.Sign(requests); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignOneCommitment(b *testing.B) {
	signer := signerOf(b, 1)
	request := []keys.SignRequest{{Input: someInput(), Key: keys.FundingKeyRef(0)}}
	for b.Loop() {
		if _, err := signer.Sign(request); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCommitmentPoint(b *testing.B) {
	signer := signerOf(b, 1)
	for b.Loop() {
		if _, err := signer.CommitmentPoint(0, 12345); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkForCommitment(b *testing.B) {
	ours, err := signerOf(b, 1).Basepoints(0)
	require.NoError(b, err)
	theirs, err := signerOf(b, 2).Basepoints(0)
	require.NoError(b, err)
	point, err := signerOf(b, 1).CommitmentPoint(0, 0)
	require.NoError(b, err)
	for b.Loop() {
		keys.ForCommitment(ours, theirs, point)
	}
}
