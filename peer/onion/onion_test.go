package onion

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	sphinx "github.com/lightningnetwork/lightning-onion"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var testHash = [32]byte{7, 7, 7}

func ecdhOf(private []byte) ECDH {
	key, _ := btcec.PrivKeyFromBytes(private)
	return (&sphinx.PrivKeyECDH{PrivKey: key}).ECDH
}

// node i has a private key of bytes i+1.
func privateOf(i int) []byte { return bytes.Repeat([]byte{byte(i + 1)}, 32) }

func keyOf(i int) *btcec.PublicKey {
	_, public := btcec.PrivKeyFromBytes(privateOf(i))
	return public
}

func sessionKey(seed byte) *btcec.PrivateKey {
	key, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{seed | 0x40}, 32))
	return key
}

// through is a route of n hops that ends with the payload.
func through(n int, last Payload) []Hop {
	var route []Hop
	for i := range n - 1 {
		route = append(route, Hop{keyOf(i), Payload{
			Amount: lnwire.MilliSatoshi(1_000_000 + n - i), Expiry: uint32(800_000 + 40*(n-i)),
			Channel: lnwire.NewShortChanIDFromInt(uint64(i + 1)),
		}})
	}
	return append(route, Hop{keyOf(n - 1), last})
}

func anyPayload(t *rapid.T) Payload {
	p := Payload{
		Amount: lnwire.MilliSatoshi(rapid.Uint64().Draw(t, "amount")),
		Expiry: rapid.Uint32().Draw(t, "expiry"),
	}
	some32 := func(name string) *[32]byte {
		return (*[32]byte)(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, name))
	}
	if rapid.Bool().Draw(t, "with payment data") {
		p.Payment = &PaymentData{*some32("secret"), lnwire.MilliSatoshi(rapid.Uint64().Draw(t, "total"))}
	}
	if rapid.Bool().Draw(t, "with keysend") {
		p.Keysend = some32("preimage")
	}
	if rapid.Bool().Draw(t, "with metadata") {
		p.Metadata = rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "metadata")
	}
	last := uint64(firstCustom)
	for range rapid.IntRange(0, 3).Draw(t, "custom records") {
		last += rapid.Uint64Range(1, 1<<30).Draw(t, "type")
		p.Custom = append(p.Custom, Record{last, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value")})
	}
	return p
}

func TestEveryHopReadsItsPayload(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		route := through(rapid.IntRange(1, 15).Draw(t, "hops"), anyPayload(t))
		session := sessionKey(rapid.Byte().Draw(t, "session"))
		packet, err := Build(session, route, testHash)
		require.NoError(t, err)
		again, err := Build(session, route, testHash)
		require.NoError(t, err)
		require.Equal(t, packet, again, "an onion depends on its arguments alone")
		for i, hop := range route {
			peeled, err := Peel(ecdhOf(privateOf(i)), packet[:], testHash)
			require.NoError(t, err, "hop %d", i)
			require.Equal(t, hop.Payload, peeled.Payload, "hop %d", i)
			require.Equal(t, i == len(route)-1, peeled.Final, "hop %d", i)
			packet = peeled.Next
		}
	})
}

func TestLongestRoute(t *testing.T) {
	t.Parallel()
	// With the shortest payloads there are: amounts and heights of no bytes.
	var route []Hop
	for i := range MaxHops {
		route = append(route, Hop{keyOf(i), Payload{Channel: lnwire.NewShortChanIDFromInt(1)}})
	}
	route[MaxHops-1].Payload.Channel = lnwire.ShortChannelID{}
	packet, err := Build(sessionKey(1), route, testHash)
	require.NoError(t, err)
	for i := range route {
		peeled, err := Peel(ecdhOf(privateOf(i)), packet[:], testHash)
		require.NoError(t, err)
		packet = peeled.Next
	}
}

func TestRoutesWithoutOnion(t *testing.T) {
	t.Parallel()
	final := Payload{Amount: 1, Expiry: 1}
	tests := map[string][]Hop{
		"empty":                   nil,
		"too long":                through(MaxHops+1, final),
		"too much to say":         through(1, Payload{Amount: 1, Expiry: 1, Metadata: make([]byte, 1300)}),
		"no key":                  {{nil, final}},
		"nowhere to go":           {{keyOf(0), final}, {keyOf(1), final}},
		"the end leads on":        {{keyOf(0), Payload{Amount: 1, Channel: lnwire.NewShortChanIDFromInt(1)}}},
		"custom type too low":     through(1, Payload{Amount: 1, Custom: []Record{{65535, nil}}}),
		"custom type twice":       through(1, Payload{Amount: 1, Custom: []Record{{65537, nil}, {65537, nil}}}),
		"two records for keysend": through(1, Payload{Keysend: new([32]byte), Custom: []Record{{uint64(typeKeysend), nil}}}),
	}
	for name, route := range tests {
		_, err := Build(sessionKey(1), route, testHash)
		require.ErrorIs(t, err, ErrRoute, name)
	}
}

func TestMalformedOnions(t *testing.T) {
	t.Parallel()
	good, err := Build(sessionKey(1), through(2, Payload{Amount: 1, Expiry: 1}), testHash)
	require.NoError(t, err)
	tests := []struct {
		name string
		edit func(p *Packet)
		hash [32]byte
		code lnwire.FailCode
	}{
		{"another version", func(p *Packet) { p[0] = 1 }, testHash, lnwire.CodeInvalidOnionVersion},
		{"no point of the curve", func(p *Packet) { p[1] = 9 }, testHash, lnwire.CodeInvalidOnionKey},
		{"a damaged payload", func(p *Packet) { p[100] ^= 1 }, testHash, lnwire.CodeInvalidOnionHmac},
		{"a damaged HMAC", func(p *Packet) { p[Size-1] ^= 1 }, testHash, lnwire.CodeInvalidOnionHmac},
		{"another payment's", func(*Packet) {}, [32]byte{8}, lnwire.CodeInvalidOnionHmac},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			packet := good
			test.edit(&packet)
			_, err := Peel(ecdhOf(privateOf(0)), packet[:], test.hash)
			var m *Malformed
			require.ErrorAs(t, err, &m)
			require.Equal(t, test.code, m.Code)
			require.Equal(t, sha256.Sum256(packet[:]), m.OnionHash)
			require.NotZero(t, m.Code&lnwire.FlagBadOnion)
		})
	}
	t.Run("another node's", func(t *testing.T) {
		t.Parallel()
		_, err := Peel(ecdhOf(privateOf(1)), good[:], testHash)
		require.ErrorContains(t, err, "mac")
	})
	t.Run("too short", func(t *testing.T) {
		t.Parallel()
		_, err := Peel(ecdhOf(privateOf(0)), good[:Size-1], testHash)
		require.ErrorAs(t, err, new(*Malformed))
	})
	require.Equal(t, lnwire.FailCode(lnwire.CodeInvalidBlinding), Blinded(good[:]).Code)
}

func TestSignerThatIsAway(t *testing.T) {
	t.Parallel()
	packet, err := Build(sessionKey(1), through(1, Payload{Amount: 1, Expiry: 1}), testHash)
	require.NoError(t, err)
	away := errors.New("signer is away")
	_, err = Peel(func(*btcec.PublicKey) ([32]byte, error) { return [32]byte{}, away }, packet[:], testHash)
	require.ErrorIs(t, err, away)
	require.False(t, errors.As(err, new(*Malformed)), "that is not the onion's fault")
}

func TestPayloadsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		raw    string
		middle bool
		kind   uint64
		offset uint16
	}{
		{name: "empty", raw: "", kind: 2},
		{name: "no expiry", raw: "020101", kind: 4},
		{name: "no amount", raw: "040101", kind: 2},
		{name: "no channel", raw: "020101040101", middle: true, kind: 6},
		{name: "payment data on the way", raw: "020101040101060800000000000000010820" + zeros(32), middle: true, kind: 8},
		{name: "channel at the end", raw: "02010104010106080000000000000001", kind: 6},
		{name: "wrong order", raw: "040101020101", kind: 2, offset: 3},
		{name: "twice", raw: "020101020101", kind: 2, offset: 3},
		{name: "unknown even type", raw: "0201010401010e00", kind: 14, offset: 6},
		{name: "leading zero", raw: "02020001040101", kind: 2},
		{name: "long expiry", raw: "02010104050100000000", kind: 4, offset: 3},
		{name: "long amount", raw: "0209010000000000000000", kind: 2},
		{name: "short payment data", raw: "020101040101081f" + zeros(31), kind: 8, offset: 6},
		{name: "leading zero in the total", raw: "0201010401010821" + zeros(33), kind: 8, offset: 6},
		{name: "short preimage", raw: "020101040101ff0000000146c6616c1f" + zeros(31), kind: 5482373484, offset: 6},
		{name: "short channel", raw: "02010104010106070000000000000", middle: true, kind: 6, offset: 6},
		{name: "channel 0", raw: "02010104010106080000000000000000", middle: true, kind: 6, offset: 6},
		{name: "blinded, a total of nothing", raw: "0201010401010a01ff1200", kind: 18, offset: 9},
		{name: "type that is not minimal", raw: "fd0002", kind: 0},
		{name: "length that is not minimal", raw: "02fd0001ff", kind: 2},
		{name: "length past the end", raw: "020101040101fe00010000fdffff00", kind: 65536, offset: 6},
		{name: "half a type", raw: "020101040101fd01", kind: 0, offset: 6},
		{name: "path key without a path", raw: "0201010401010c21" + hexKey(1), kind: 12},
		{name: "blinded, without a total", raw: "0201010401010a0100", kind: 18},
		{name: "blinded, with more than it needs", raw: "0201010a0100", middle: true, kind: 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			raw := test.raw
			if len(raw)%2 == 1 {
				raw += "0"
			}
			_, err := ParsePayload(unhex(t, raw), !test.middle)
			var invalid *PayloadError
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, test.kind, invalid.Type, invalid.Reason)
			require.Equal(t, test.offset, invalid.Offset, invalid.Reason)
			require.Equal(t, lnwire.NewInvalidOnionPayload(test.kind, test.offset), invalid.Failure())
		})
	}
}

func TestPayloadOfABlindedPath(t *testing.T) {
	t.Parallel()
	final := Payload{Amount: 1, Expiry: 2, TotalAmount: 3, RecipientData: []byte{1}, PathKey: keyOf(0)}
	raw, err := final.encode(true)
	require.NoError(t, err)
	parsed, err := ParsePayload(raw, true)
	require.NoError(t, err)
	require.Equal(t, final.RecipientData, parsed.RecipientData)
	require.True(t, final.PathKey.IsEqual(parsed.PathKey))
	require.Equal(t, lnwire.MilliSatoshi(3), parsed.Total())

	middle := Payload{RecipientData: []byte{1}}
	raw, err = middle.encode(false)
	require.NoError(t, err)
	parsed, err = ParsePayload(raw, false)
	require.NoError(t, err)
	require.Equal(t, middle, parsed)
}

func TestPayloadErrorReachesThePayer(t *testing.T) {
	t.Parallel()
	packet, err := wrap(sessionKey(1), []layer{{keyOf(0), unhex(t, "0201010401010e00")}}, testHash)
	require.NoError(t, err)
	_, err = Peel(ecdhOf(privateOf(0)), packet[:], testHash)
	var invalid *PayloadError
	require.ErrorAs(t, err, &invalid)
	reason, err := Fail(invalid.Secret, invalid.Failure())
	require.NoError(t, err)
	failure, err := Decrypt(sessionKey(1), []*btcec.PublicKey{keyOf(0)}, reason)
	require.NoError(t, err)
	require.Equal(t, lnwire.NewInvalidOnionPayload(14, 6), failure.Message)
}

// A length of zero or one announced a format that is gone (BOLT 4, "Packet Structure").
func TestOldPayloadsAreRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "00"} {
		packet, err := wrap(sessionKey(1), []layer{{keyOf(0), unhex(t, raw)}}, testHash)
		require.NoError(t, err)
		_, err = Peel(ecdhOf(privateOf(0)), packet[:], testHash)
		require.ErrorAs(t, err, new(*PayloadError))
	}
}

func TestFailuresTellWhoSentThem(t *testing.T) {
	t.Parallel()
	messages := []lnwire.FailureMessage{
		&lnwire.FailUnknownNextPeer{},
		lnwire.NewFailIncorrectDetails(12_345, 800_000),
		lnwire.NewFinalIncorrectCltvExpiry(800_001),
		lnwire.NewTemporaryChannelFailure(nil),
		&lnwire.FailMPPTimeout{},
	}
	rapid.Check(t, func(t *rapid.T) {
		route := through(rapid.IntRange(1, 20).Draw(t, "hops"), Payload{Amount: 1, Expiry: 1})
		sender := rapid.IntRange(0, len(route)-1).Draw(t, "sender")
		message := rapid.SampledFrom(messages).Draw(t, "message")
		session := sessionKey(rapid.Byte().Draw(t, "session"))
		packet, err := Build(session, route, testHash)
		require.NoError(t, err)
		var secrets []Secret
		for i := range sender + 1 {
			peeled, err := Peel(ecdhOf(privateOf(i)), packet[:], testHash)
			require.NoError(t, err)
			secrets, packet = append(secrets, peeled.Secret), peeled.Next
		}
		reason, err := Fail(secrets[sender], message)
		require.NoError(t, err)
		for i := sender - 1; i >= 0; i-- {
			reason, err = Wrap(secrets[i], reason)
			require.NoError(t, err)
		}
		failure, err := Decrypt(session, keysOf(route), reason)
		require.NoError(t, err)
		require.Equal(t, sender, failure.Hop)
		require.Equal(t, message.Code(), failure.Code)
		require.IsType(t, message, failure.Message)

		reason[rapid.IntRange(0, len(reason)-1).Draw(t, "damage")] ^= 1
		_, err = Decrypt(session, keysOf(route), reason)
		require.ErrorIs(t, err, ErrUnreadable)
	})
}

// Who sends nonsense is known, so that the payment can go around them.
func TestFailureOfAnUnknownKind(t *testing.T) {
	t.Parallel()
	route := through(1, Payload{Amount: 1, Expiry: 1})
	packet, err := Build(sessionKey(1), route, testHash)
	require.NoError(t, err)
	peeled, err := Peel(ecdhOf(privateOf(0)), packet[:], testHash)
	require.NoError(t, err)
	tests := map[string]struct {
		plain []byte
		want  Failure
	}{
		"unknown code": {
			append([]byte{0, 3, 0x40, 0x63, 1, 1, 0}, make([]byte, 256)...),
			Failure{Code: 0x4063, Plain: []byte{0x40, 0x63, 1}},
		},
		"half a message": {
			append([]byte{0, 2, 0, 18}, make([]byte, 256)...),
			Failure{Code: lnwire.CodeFinalIncorrectCltvExpiry, Plain: []byte{0, 18}},
		},
		"no code":          {make([]byte, 260), Failure{Plain: []byte{}}},
		"length too large": {bytes.Repeat([]byte{0xff}, 260), Failure{}},
	}
	for name, test := range tests {
		reason, err := encrypt(peeled.Secret, true, test.plain)
		require.NoError(t, err, name)
		failure, err := Decrypt(sessionKey(1), keysOf(route), reason)
		require.NoError(t, err, name)
		require.Equal(t, test.want, *failure, name)
	}
}

func TestUnreadableFailures(t *testing.T) {
	t.Parallel()
	for _, reason := range [][]byte{nil, make([]byte, 291), make([]byte, 292), make([]byte, 60_000)} {
		_, err := Decrypt(sessionKey(1), []*btcec.PublicKey{keyOf(0)}, reason)
		require.ErrorIs(t, err, ErrUnreadable)
	}
	_, err := Decrypt(sessionKey(1), nil, make([]byte, 292))
	require.ErrorIs(t, err, ErrUnreadable)
}

func keysOf(route []Hop) []*btcec.PublicKey {
	var keys []*btcec.PublicKey
	for _, hop := range route {
		keys = append(keys, hop.Key)
	}
	return keys
}
