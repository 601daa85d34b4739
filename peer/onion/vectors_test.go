package onion

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	sphinx "github.com/lightningnetwork/lightning-onion"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// vector is a file of the specification's folder bolt04.
type vector struct {
	Generate struct {
		SessionKey     string `json:"session_key"`
		AssociatedData string `json:"associated_data"`
		FailureMessage string `json:"failure_message"`
		Hops           []struct {
			Pubkey       string
			Payload      string
			SharedSecret string `json:"hop_shared_secret"`
		}
	}
	Onion       string
	Decode      []string
	ErrorPacket string
}

func readVector(t *testing.T, name string) *vector {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	var v vector
	require.NoError(t, json.Unmarshal(text, &v))
	return &v
}

func (v *vector) session(t *testing.T) *btcec.PrivateKey {
	key, _ := btcec.PrivKeyFromBytes(unhex(t, v.Generate.SessionKey))
	return key
}

func (v *vector) keys(t *testing.T) []*btcec.PublicKey {
	var keys []*btcec.PublicKey
	for _, hop := range v.Generate.Hops {
		key, err := btcec.ParsePubKey(unhex(t, hop.Pubkey))
		require.NoError(t, err)
		keys = append(keys, key)
	}
	return keys
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func TestOnionVector(t *testing.T) {
	t.Parallel()
	v := readVector(t, "onion-test.json")
	hash := [32]byte(unhex(t, v.Generate.AssociatedData))
	var layers []layer
	for i, key := range v.keys(t) {
		withLength := bytes.NewReader(unhex(t, v.Generate.Hops[i].Payload))
		_, err := sphinx.ReadVarInt(withLength, new([8]byte))
		require.NoError(t, err)
		payload := make([]byte, withLength.Len())
		_, err = withLength.Read(payload)
		require.NoError(t, err)
		layers = append(layers, layer{key, payload})
	}
	packet, err := wrap(v.session(t), layers, hash)
	require.NoError(t, err)
	require.Equal(t, v.Onion, hex.EncodeToString(packet[:]))

	wanted := []Payload{
		{Amount: 15_000, Expiry: 1500, Channel: lnwire.NewShortChanIDFromInt(1)},
		{Amount: 14_000, Expiry: 1400, Channel: lnwire.NewShortChanIDFromInt(2)},
		{Amount: 12_500, Expiry: 1250, Channel: lnwire.NewShortChanIDFromInt(3)},
		{Amount: 10_000, Expiry: 1000, Channel: lnwire.NewShortChanIDFromInt(4)},
		{Amount: 10_000, Expiry: 1000, Payment: &PaymentData{
			Secret: [32]byte(unhex(t, "24a33562c54507a9334e79f0dc4f17d407e6d7c61f0e2f3d0d38599502f61704")), Total: 10_000,
		}},
	}
	for i, key := range v.Decode {
		peeled, err := Peel(ecdhOf(unhex(t, key)), packet[:], hash)
		require.NoError(t, err, "hop %d", i)
		require.Equal(t, wanted[i], peeled.Payload, "hop %d", i)
		require.Equal(t, i == len(v.Decode)-1, peeled.Final, "hop %d", i)
		packet = peeled.Next
	}
}

func TestFailureVector(t *testing.T) {
	t.Parallel()
	v := readVector(t, "onion-error-test.json")
	last := len(v.Generate.Hops) - 1
	secret := func(hop int) Secret { return Secret(unhex(t, v.Generate.Hops[hop].SharedSecret)) }

	reason, err := Fail(secret(last), &lnwire.FailTemporaryNodeFailure{})
	require.NoError(t, err)
	for hop := last - 1; hop >= 0; hop-- {
		reason, err = Wrap(secret(hop), reason)
		require.NoError(t, err)
	}
	require.Equal(t, v.ErrorPacket, hex.EncodeToString(reason))

	failure, err := Decrypt(v.session(t), v.keys(t), reason)
	require.NoError(t, err)
	require.Equal(t, &Failure{
		Hop: last, Code: lnwire.CodeTemporaryNodeFailure, Message: &lnwire.FailTemporaryNodeFailure{},
		Plain: unhex(t, v.Generate.FailureMessage),
	}, failure)
}
