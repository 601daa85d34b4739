package bolt3_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"stormcell/chain/bolt3"
	"stormcell/chain/fees"
	"stormcell/chain/keys"
)

// vector is one of BOLT 3, Appendix F. The opener is "local", and the commitment is the opener's.
type vector struct {
	Name              string
	LocalBalance      lnwire.MilliSatoshi
	RemoteBalance     lnwire.MilliSatoshi
	DustLimitSatoshis btcutil.Amount
	FeePerKw          fees.SatPerKW
	UseTestHtlcs      bool
	HtlcDescs         []struct {
		RemoteSigHex    string
		ResolutionTxHex string
	}
	ExpectedCommitmentTxHex string
	RemoteSigHex            string
}

func readVectors(t *testing.T) []vector {
	raw, err := os.ReadFile("testdata/anchors.json")
	require.NoError(t, err)
	var vectors []vector
	require.NoError(t, json.Unmarshal(raw, &vectors))
	require.NotEmpty(t, vectors)
	return vectors
}

func fromHex(t require.TestingT, text string) []byte {
	raw, err := hex.DecodeString(text)
	require.NoError(t, err)
	return raw
}

func privateOf(t require.TestingT, text string) *btcec.PrivateKey {
	key, _ := btcec.PrivKeyFromBytes(fromHex(t, text))
	return key
}

func repeat(b byte) *btcec.PrivateKey {
	key, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{b}, 32))
	return key
}

// The keys of Appendix C.
type vectorKeys struct {
	localFunding, remoteFunding                 *btcec.PrivateKey
	localPayment, remotePayment                 *btcec.PrivateKey // HTLC basepoints too
	remoteRevocation, localDelayed, localSecret *btcec.PrivateKey
}

func readVectorKeys(t require.TestingT) vectorKeys {
	return vectorKeys{
		localFunding:     privateOf(t, "30ff4956bbdd3222d44cc5e8a1261dab1e07957bdac5ae88fe3261ef321f3749"),
		remoteFunding:    privateOf(t, "1552dfba4f6cf29a62a0af13c8d6981d36d0ef8d61ba10fb0fe90da7634d7e13"),
		localPayment:     repeat(0x11),
		remoteRevocation: repeat(0x22),
		localDelayed:     repeat(0x33),
		remotePayment:    repeat(0x44),
		localSecret:      privateOf(t, "1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100"),
	}
}

func (k *vectorKeys) htlcKey(base *btcec.PrivateKey) *btcec.PrivateKey {
	return input.TweakPrivKey(base, input.SingleTweakBytes(k.localSecret.PubKey(), base.PubKey()))
}

func vectorChannel(t require.TestingT, k vectorKeys, dustLimit btcutil.Amount) *bolt3.Channel {
	funding, err := chainhash.NewHashFromStr("8984484a580b825b9972d7adb15050b3ab624ccd731946b3eeddb92f4e7ef6be")
	require.NoError(t, err)
	return &bolt3.Channel{
		Outpoint: wire.OutPoint{Hash: *funding},
		Capacity: 10_000_000,
		Parties: [2]bolt3.Party{
			bolt3.Opener: {
				FundingKey: k.localFunding.PubKey(),
				Basepoints: keys.Basepoints{
					Revocation: k.localDelayed.PubKey(), // not in this side's commitments
					HTLC:       k.localPayment.PubKey(), Payment: k.localPayment.PubKey(),
					DelayedPayment: k.localDelayed.PubKey(),
				},
				DustLimit: dustLimit, ToSelfDelay: 144,
			},
			bolt3.Accepter: {
				FundingKey: k.remoteFunding.PubKey(),
				Basepoints: keys.Basepoints{
					Revocation: k.remoteRevocation.PubKey(),
					HTLC:       k.remotePayment.PubKey(), Payment: k.remotePayment.PubKey(),
					DelayedPayment: k.remotePayment.PubKey(), // not in the other side's commitments
				},
				DustLimit: dustLimit, ToSelfDelay: 144,
			},
		},
	}
}

var vectorPreimages = [][32]byte{
	{}, [32]byte(bytes.Repeat([]byte{1}, 32)), [32]byte(bytes.Repeat([]byte{2}, 32)),
	[32]byte(bytes.Repeat([]byte{3}, 32)), [32]byte(bytes.Repeat([]byte{4}, 32)),
	[32]byte(bytes.Repeat([]byte{5}, 32)), [32]byte(bytes.Repeat([]byte{5}, 32)),
}

// vectorHTLCs are the HTLCs of Appendix C, whose ids are their places.
func vectorHTLCs(ids ...int) []bolt3.HTLC {
	all := []bolt3.HTLC{
		{Direction: bolt3.Received, Amount: 1_000_000, Expiry: 500},
		{Direction: bolt3.Received, Amount: 2_000_000, Expiry: 501},
		{Direction: bolt3.Offered, Amount: 2_000_000, Expiry: 502},
		{Direction: bolt3.Offered, Amount: 3_000_000, Expiry: 503},
		{Direction: bolt3.Received, Amount: 4_000_000, Expiry: 504},
		{Direction: bolt3.Offered, Amount: 5_000_000, Expiry: 506},
		{Direction: bolt3.Offered, Amount: 5_000_001, Expiry: 505},
	}
	var chosen []bolt3.HTLC
	for _, id := range ids {
		htlc := all[id]
		htlc.ID, htlc.PaymentHash = uint64(id), sha256.Sum256(vectorPreimages[id][:])
		chosen = append(chosen, htlc)
	}
	return chosen
}

func signWith(t require.TestingT, key *btcec.PrivateKey, in keys.Input) lnwire.Sig {
	digest, err := in.Digest()
	require.NoError(t, err)
	signature, err := lnwire.NewSigFromSignature(ecdsa.Sign(key, digest))
	require.NoError(t, err)
	return signature
}

func serialized(t require.TestingT, tx *wire.MsgTx) string {
	var b bytes.Buffer
	require.NoError(t, tx.Serialize(&b))
	return hex.EncodeToString(b.Bytes())
}

// BOLT 3, Appendix F, with the keys and HTLCs of Appendix C: every transaction byte for byte, with every signature.
func TestAnchorVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			k := readVectorKeys(t)
			channel := vectorChannel(t, k, v.DustLimitSatoshis)
			spec := bolt3.Spec{
				Number: 42, FeeRate: v.FeePerKw, ToBroadcaster: v.LocalBalance, ToCountersigner: v.RemoteBalance,
			}
			switch {
			case v.Name == "commitment tx with 3 htlc outputs, 2 offered having the same amount and preimage":
				spec.HTLCs = vectorHTLCs(1, 5, 6)
			case v.UseTestHtlcs:
				spec.HTLCs = vectorHTLCs(0, 1, 2, 3, 4)
			}
			commitment, err := channel.Commitment(bolt3.Opener, spec, k.localSecret.PubKey())
			require.NoError(t, err)

			requests := commitment.CountersignRequests(0, 0)
			remote := signWith(t, k.remoteFunding, requests[0].Input)
			require.Equal(t, v.RemoteSigHex, hex.EncodeToString(remote.ToSignatureBytes()))
			own := signWith(t, k.localFunding, commitment.SignRequest(0).Input)
			require.Equal(t, v.ExpectedCommitmentTxHex, serialized(t, commitment.Signed(own, remote)))

			txs := commitment.HTLCTxs()
			require.Len(t, txs, len(v.HtlcDescs))
			var remoteHTLCs []lnwire.Sig
			for i, want := range v.HtlcDescs {
				remoteHTLC := signWith(t, k.htlcKey(k.remotePayment), requests[1+i].Input)
				require.Equal(t, want.RemoteSigHex, hex.EncodeToString(remoteHTLC.ToSignatureBytes()))
				remoteHTLCs = append(remoteHTLCs, remoteHTLC)

				signed := txs[i].Tx.Copy()
				ownHTLC := signWith(t, k.htlcKey(k.localPayment), txs[i].SignRequest(0, signed, 0).Input)
				signed.TxIn[0].Witness = txs[i].Witness(ownHTLC, remoteHTLC, vectorPreimages[txs[i].HTLC.ID])
				require.Equal(t, want.ResolutionTxHex, serialized(t, signed))
			}
			require.NoError(t, commitment.Verify(remote, remoteHTLCs, keys.Sequential))

			number, ok := channel.CommitmentNumber(commitment.Tx)
			require.True(t, ok)
			require.Equal(t, uint64(42), number)
		})
	}
}

// BOLT 3, Appendix C.
func TestVectorKeysAndFunding(t *testing.T) {
	t.Parallel()
	k := readVectorKeys(t)
	channel := vectorChannel(t, k, 546)
	require.Equal(t, "5221023da092f6980e58d2c037173180e9a465476026ee50f96695963e8efe436f54eb21030e9f7b623d2ccc7c9bd44d66d5"+
		"ce21ce504c0acf6385a132cec6d3c39fa711c152ae", hex.EncodeToString(channel.FundingScript()))
	require.Equal(t, int64(10_000_000), channel.FundingOutput().Value)

	derived := keys.ForCommitment(channel.Parties[bolt3.Opener].Basepoints, channel.Parties[bolt3.Accepter].Basepoints,
		k.localSecret.PubKey())
	for want, key := range map[string]*btcec.PublicKey{
		"030d417a46946384f88d5f3337267c5e579765875dc4daca813e21734b140639e7": derived.BroadcasterHTLC,
		"0394854aa6eab5b2a8122cc726e9dded053a2184d88256816826d6231c068d4a5b": derived.CountersignerHTLC,
		"03fd5960528dc152014952efdb702a88f71e3c1653b2314431701ec77e57fde83c": derived.BroadcasterDelayed,
		"0212a140cd0c6539d07cd08dfe09984dec3251ea808b892efeac3ede9402bf2b19": derived.Revocation,
		"032c0b7cf95324a07d05398b240174dc0c2be444d96b159aa6c7f7b1e668680991": derived.CountersignerPayment,
	} {
		require.Equal(t, want, hex.EncodeToString(key.SerializeCompressed()))
	}

	// The obscuring factor is that of the first commitment, whose number is zero.
	zero, err := channel.Commitment(bolt3.Opener, bolt3.Spec{ToBroadcaster: 10_000_000_000}, k.localSecret.PubKey())
	require.NoError(t, err)
	const factor = 0x2bb038521914
	require.Equal(t, uint32(0x80000000|factor>>24), zero.Tx.TxIn[0].Sequence)
	require.Equal(t, uint32(0x20000000|factor&0xffffff), zero.Tx.LockTime)
	require.Equal(t, txscript.SigHashAll, zero.SignRequest(0).HashType)
}
