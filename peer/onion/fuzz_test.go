package onion

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/stretchr/testify/require"
)

func zeros(n int) string { return strings.Repeat("00", n) }

func hexKey(i int) string { return hex.EncodeToString(keyOf(i).SerializeCompressed()) }

// What is accepted is written again byte for byte, except for unknown records, which are dropped.
func FuzzParsePayload(f *testing.F) {
	f.Add(unhex(f, "020101040101"), true)
	f.Add(unhex(f, "02010104010106080000000000000001"), false)
	f.Add(unhex(f, "02010104010106080000000000000000"), false)
	f.Add(unhex(f, "0201010401010a01ff1200"), true)
	f.Add(unhex(f, "0201010401010820"+zeros(32)+"1000"), true)
	f.Add(unhex(f, "020101040101ff0000000146c6616c20"+zeros(32)), true)
	f.Fuzz(func(t *testing.T, raw []byte, final bool) {
		p, err := ParsePayload(raw, final)
		if err != nil {
			require.ErrorAs(t, err, new(*PayloadError))
			return
		}
		written, err := p.encode(final)
		require.NoError(t, err)
		require.LessOrEqual(t, len(written), len(raw))
		again, err := ParsePayload(written, final)
		require.NoError(t, err)
		require.Equal(t, p, again)
	})
}

// The sender of an onion chooses all of it, and so also what a payload's length says.
func FuzzPeel(f *testing.F) {
	good, err := Build(sessionKey(1), through(3, Payload{Amount: 1, Expiry: 1}), testHash)
	require.NoError(f, err)
	f.Add(good[:])
	ecdh := ecdhOf(privateOf(0))
	f.Fuzz(func(t *testing.T, packet []byte) {
		if _, err := Peel(ecdh, packet, testHash); err != nil {
			known := errors.As(err, new(*Malformed)) || errors.As(err, new(*PayloadError))
			require.True(t, known, "%v", err)
		}
	})
}

func FuzzDecrypt(f *testing.F) {
	f.Add(make([]byte, 292))
	keys := []*btcec.PublicKey{keyOf(0), keyOf(1)}
	f.Fuzz(func(t *testing.T, reason []byte) {
		if _, err := Decrypt(sessionKey(1), keys, reason); err != nil {
			require.ErrorIs(t, err, ErrUnreadable)
		}
	})
}

// The plain failure is the sender's to choose.
func FuzzFailureMessage(f *testing.F) {
	f.Add(append([]byte{0, 2, 0x20, 2, 1, 0}, make([]byte, 254)...))
	f.Add(append([]byte{0, 4, 0x10, 7, 0xff, 0xff}, make([]byte, 260)...))
	secret, err := ecdhOf(privateOf(0))(sessionKey(1).PubKey())
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, plain []byte) {
		if len(plain) < 260 {
			return
		}
		reason, err := encrypt(secret, true, plain)
		require.NoError(t, err)
		_, err = Decrypt(sessionKey(1), []*btcec.PublicKey{keyOf(0)}, reason)
		require.NoError(t, err)
	})
}
