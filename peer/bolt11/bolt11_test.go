package bolt11

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/bech32"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/peer/wire"
)

// example is one of the specification's.
type example struct{ about, invoice string }

func examples(t *testing.T, file string) []example {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")[1:]
	var all []example
	for i := 0; i < len(lines); i += 2 {
		all = append(all, example{lines[i], lines[i+1]})
	}
	return all
}

// The key that the examples are signed with, and what most of them have in common.
var (
	exampleKey, examplePayee = btcec.PrivKeyFromBytes(mustHex("e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734"))
	exampleHash              = [32]byte(mustHex("0001020304050607080900010203040506070809000102030405060708090102"))
	exampleSecret            = [32]byte([]byte(strings.Repeat("\x11", 32)))
)

func mustHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func signExample(signed []byte) ([]byte, error) {
	return ecdsa.SignCompact(exampleKey, chainhash.HashB(signed), true), nil
}

func address(t *testing.T, text string, network *chaincfg.Params) btcutil.Address {
	a, err := btcutil.DecodeAddress(text, network)
	require.NoError(t, err)
	return a
}

func hint(t *testing.T, key string, channel uint64, base, rate uint32, delta uint16) HopHint {
	k, err := btcec.ParsePubKey(mustHex(key))
	require.NoError(t, err)
	return HopHint{NodeID: k, ChannelID: channel, FeeBaseMSat: base, FeeProportionalMillionths: rate, CLTVExpiryDelta: delta}
}

func TestExamples(t *testing.T) {
	t.Parallel()
	mainnet := &chaincfg.MainNetParams
	list := sha256.Sum256([]byte("One piece of chocolate cake, one icecream cone, one pickle, one slice of swiss cheese, " +
		"one slice of salami, one lollypop, one piece of cherry pie, one sausage, one cupcake, and one slice of watermelon"))
	secret := wire.Features{}.Require(wire.VarOnionOptin, wire.PaymentSecret)
	donation := func(i *Invoice) { i.Description = "Please consider supporting this project" }
	cake := func(i *Invoice) { i.Amount, i.DescriptionHash = 2_000_000_000, &list }
	fallback := func(text string) func(*Invoice) {
		return func(i *Invoice) { cake(i); i.Fallback = address(t, text, mainnet) }
	}
	beans := func(i *Invoice) {
		i.Amount, i.Description, i.Features = 2_500_000_000, "coffee beans", secret.With(wire.Feature(98))
	}
	wants := []func(i *Invoice){
		donation,
		func(i *Invoice) { i.Amount, i.Description, i.Expiry = 250_000_000, "1 cup coffee", time.Minute },
		func(i *Invoice) { i.Amount, i.Description, i.Expiry = 250_000_000, "ナンセンス 1杯", time.Minute },
		cake,
		func(i *Invoice) {
			cake(i)
			i.Network = &chaincfg.TestNet3Params
			i.Fallback = address(t, "mk2QpYatsKicvFVuTAQLBryyccRXMUaGHP", i.Network)
		},
		func(i *Invoice) {
			fallback("1RustyRX2oai4EYYDpQGWvEL62BBGqN9T")(i)
			i.Hints = [][]HopHint{{
				hint(t, "029e03a901b85534ff1e92c43c74431f7ce72046060fcf7a95c37e148f78c77255", 0x0102030405060708, 1, 20, 3),
				hint(t, "039e03a901b85534ff1e92c43c74431f7ce72046060fcf7a95c37e148f78c77255", 0x030405060708090a, 2, 30, 4),
			}}
		},
		fallback("3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX"),
		fallback("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
		fallback("bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3"),
		fallback("bc1pptdvg0d2nj99568qn6ssdy4cygnwuxgw2ukmnwgwz7jpqjz2kszse2s3lm"),
		func(i *Invoice) {
			i.Amount, i.Timestamp, i.Expiry, i.FinalCLTVDelta = 967_878_534, time.Unix(1572468703, 0), 7*24*time.Hour, 10
			i.PaymentHash = [32]byte(mustHex("462264ede7e14047e9b249da94fefc47f41f7d02ee9b091815a5506bc8abf75f"))
			i.Description = `Blockstream Store: 88.85 USD for Blockstream Ledger Nano S x 1, "Back In My Day" Sticker x 2, ` +
				`"I Got Lightning Working" Sticker x 2 and 1 more items`
			i.Hints = [][]HopHint{{hint(t, "03d06758583bb5154774a6eb221b1276c9e82d65bbaceca806d90e20c108f4b1c7",
				589390<<40|3312<<16|1, 1000, 2500, 40)}}
		},
		beans, beans, beans,
		func(i *Invoice) {
			i.Amount, i.Description, i.Metadata = 1_000_000_000, "payment metadata inside", mustHex("01fafaf0")
			i.Features = secret.Require(wire.PaymentMetadata)
		},
		func(i *Invoice) {
			donation(i)
			// The other S under the same recovery id is a signature by another key.
			var err error
			i.Payee, err = btcec.ParsePubKey(mustHex("02d0139ce7427d6dfffd26a326c18be754ef1e64672b42694ba5b23ef6e6e7803d"))
			require.NoError(t, err)
		},
	}
	all := examples(t, "valid.txt")
	require.Len(t, all, len(wants))
	for n, e := range all {
		t.Run(e.about, func(t *testing.T) {
			t.Parallel()
			want := &Invoice{
				Network: mainnet, Timestamp: time.Unix(1496314658, 0), PaymentHash: exampleHash, PaymentSecret: exampleSecret,
				Payee: examplePayee, Expiry: DefaultExpiry, FinalCLTVDelta: DefaultFinalCLTVDelta, Features: secret,
			}
			wants[n](want)
			got, err := Decode(e.invoice, want.Network)
			require.NoError(t, err)
			require.True(t, want.Payee.IsEqual(got.Payee), "%x", got.Payee.SerializeCompressed())
			if want.Fallback != nil {
				require.Equal(t, want.Fallback.String(), got.Fallback.String())
			}
			got.Payee, got.Fallback = want.Payee, want.Fallback // alike, but not in memory
			require.Equal(t, want, got)
		})
	}
}

func TestInvalidExamples(t *testing.T) {
	t.Parallel()
	for _, e := range examples(t, "invalid.txt") {
		_, err := Decode(e.invoice, &chaincfg.MainNetParams)
		require.ErrorIs(t, err, ErrInvalid, e.about)
		t.Logf("%s: %s", e.about, err)
	}
}

// sealed is an invoice with the given human-readable part and fields, well signed.
func sealed(t testing.TB, hrp string, edit func(fields []byte) []byte) string {
	t.Helper()
	text := encodeExample(t, func(*Invoice) {})
	_, data, err := bech32.DecodeNoLimit(text)
	require.NoError(t, err)
	data = edit(data[:len(data)-signatureGroups])
	signed, err := bech32.ConvertBits(data, 5, 8, true)
	require.NoError(t, err)
	compact, err := signExample(append([]byte(hrp), signed...))
	require.NoError(t, err)
	signature, err := bech32.ConvertBits(append(compact[1:], compact[0]-31), 8, 5, true)
	require.NoError(t, err)
	text, err = bech32.Encode(hrp, append(data, signature...))
	require.NoError(t, err)
	return text
}

func encodeExample(t testing.TB, edit func(*Invoice)) string {
	i := &Invoice{
		Network: &chaincfg.MainNetParams, Timestamp: time.Unix(1496314658, 0), PaymentHash: exampleHash,
		PaymentSecret: exampleSecret, Expiry: time.Minute, FinalCLTVDelta: 40,
		Features: wire.Features{}.Require(wire.VarOnionOptin, wire.PaymentSecret).With(wire.BasicMPP),
	}
	edit(i)
	text, err := Encode(i, signExample)
	require.NoError(t, err)
	return text
}

func field(kind byte, groups ...byte) func([]byte) []byte {
	return func(data []byte) []byte {
		return append(append(data, kind, byte(len(groups)>>5), byte(len(groups)&31)), groups...)
	}
}

// first puts a field before all others, so that it is the one that counts.
func first(kind byte, groups ...byte) func([]byte) []byte {
	return func(data []byte) []byte {
		rest := append([]byte{}, data[timestampGroups:]...)
		return append(field(kind, groups...)(data[:timestampGroups:timestampGroups]), rest...)
	}
}

func TestStrictness(t *testing.T) {
	t.Parallel()
	same := func(data []byte) []byte { return data }
	_, err := Decode(sealed(t, "lnbc1m", same), &chaincfg.MainNetParams)
	require.NoError(t, err, "otherwise the cases below fail for another reason")
	seven := []byte{31, 31, 31, 31, 31, 31, 31}
	tests := []struct{ name, invoice, says string }{
		{"empty", "", "bech32"},
		{"too long", "lnbc1" + strings.Repeat("q", maxLength), "characters"},
		{"an address", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "begins with"},
		{"for regtest", sealed(t, "lnbcrt1m", same), "another network (lnbcrt)"},
		{"for signet", sealed(t, "lntbs", same), "another network (lntbs)"},
		{"amount of nothing", sealed(t, "lnbc0m", same), "amount"},
		{"amount with a leading zero", sealed(t, "lnbc01m", same), "amount"},
		{"amount without a number", sealed(t, "lnbcm", same), "another network"},
		{"amount with a sign", sealed(t, "lnbc+1m", same), "another network"},
		{"unknown multiplier", sealed(t, "lnbc1x", same), "amount"},
		{"part of a millisatoshi", sealed(t, "lnbc11p", same), "whole number"},
		{"more than all bitcoins", sealed(t, "lnbc21000001", same), "more than there is"},
		{"an amount that overflows", sealed(t, "lnbc184467441", same), "more than there is"},
		{"an amount of more than 64 bits", sealed(t, "lnbc99999999999999999999p", same), "amount"},
		{"half a field", sealed(t, "lnbc1m", func(d []byte) []byte { return append(d, 6, 0) }), "middle of a field"},
		{"a field past the end", sealed(t, "lnbc1m", func(d []byte) []byte { return append(d, 6, 0, 1) }), "middle of a field"},
		{"an expiry that overflows", sealed(t, "lnbc1m", first(fieldExpiry, seven...)), "expires after"},
		{"an expiry of more than 64 bits", sealed(t, "lnbc1m", first(fieldExpiry, append(seven, seven...)...)), "expires after"},
		{"an expiry with a leading zero", sealed(t, "lnbc1m", first(fieldExpiry, 0, 1)), "longer than"},
		{"a CLTV delta of 35 bits", sealed(t, "lnbc1m", first(fieldCLTV, seven...)), "CLTV"},
		{"features with a leading zero", sealed(t, "lnbc1m", first(fieldFeatures, 0, 8, 8, 0)), "longer than"},
		{"an unknown feature", sealed(t, "lnbc1m", first(fieldFeatures, 2, 0)), "requires gossip_queries"},
		{"a description that is no text", sealed(t, "lnbc1m", first(13, 31, 28)), "UTF-8"},
		{"a second description", sealed(t, "lnbc1m", field(23, make([]byte, 52)...)), "both"},
		{"a payee who did not sign", sealed(t, "lnbc1m", field(fieldPayee, otherKey(t)...)), "signature"},
		{"half a route hint", sealed(t, "lnbc1m", field(3, 1, 2, 3)), ""},
		{"signed over something else", strings.Replace(encodeExample(t, func(*Invoice) {}), "lnbc1", "lnbc2", 1), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := Decode(test.invoice, &chaincfg.MainNetParams)
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, test.says)
		})
	}
}

func otherKey(t *testing.T) []byte {
	_, key := btcec.PrivKeyFromBytes([]byte{1})
	groups, err := bech32.ConvertBits(key.SerializeCompressed(), 8, 5, true)
	require.NoError(t, err)
	return groups
}

func TestNothingToWrite(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*Invoice){
		"no network":            func(i *Invoice) { i.Network = nil },
		"too much":              func(i *Invoice) { i.Amount = MaxAmount + 1 },
		"before time":           func(i *Invoice) { i.Timestamp = time.Unix(-1, 0) },
		"after time":            func(i *Invoice) { i.Timestamp = time.Unix(1<<35, 0) },
		"two descriptions":      func(i *Invoice) { i.Description, i.DescriptionHash = "tea", new([32]byte) },
		"long description":      func(i *Invoice) { i.Description = strings.Repeat("t", 640) },
		"description no text":   func(i *Invoice) { i.Description = "\xff" },
		"long metadata":         func(i *Invoice) { i.Metadata = make([]byte, 640) },
		"no time to pay":        func(i *Invoice) { i.Expiry = 0 },
		"too much time":         func(i *Invoice) { i.Expiry = MaxExpiry + 1 },
		"empty hint":            func(i *Invoice) { i.Hints = [][]HopHint{{}} },
		"hint without node":     func(i *Invoice) { i.Hints = [][]HopHint{{{}}} },
		"long hint":             func(i *Invoice) { i.Hints = [][]HopHint{make([]HopHint, 13)} },
		"feature without need":  func(i *Invoice) { i.Features = wire.Features{}.Require(wire.ZeroConf) },
		"somebody else's payee": func(i *Invoice) { _, i.Payee = btcec.PrivKeyFromBytes([]byte{1}) },
	}
	for name, edit := range tests {
		i := &Invoice{Network: &chaincfg.MainNetParams, Timestamp: time.Unix(1, 0), Expiry: time.Minute}
		edit(i)
		_, err := Encode(i, signExample)
		require.Error(t, err, name)
	}
	away := errors.New("signer is away")
	_, err := Encode(&Invoice{Network: &chaincfg.MainNetParams, Timestamp: time.Unix(1, 0), Expiry: time.Minute},
		func([]byte) ([]byte, error) { return nil, away })
	require.ErrorIs(t, err, away)
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	networks := []*chaincfg.Params{
		&chaincfg.MainNetParams, &chaincfg.TestNet3Params, &chaincfg.SigNetParams, &chaincfg.RegressionNetParams,
	}
	rapid.Check(t, func(t *rapid.T) {
		bytes32 := func(name string) [32]byte {
			return [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, name))
		}
		want := &Invoice{
			Network:        rapid.SampledFrom(networks).Draw(t, "network"),
			Amount:         wire.MilliSatoshi(rapid.Uint64Range(0, uint64(MaxAmount)).Draw(t, "amount")),
			Timestamp:      time.Unix(rapid.Int64Range(0, 1<<35-1).Draw(t, "timestamp"), 0),
			PaymentHash:    bytes32("hash"),
			PaymentSecret:  bytes32("secret"),
			Expiry:         time.Duration(rapid.Int64Range(1, int64(MaxExpiry/time.Second)).Draw(t, "expiry")) * time.Second,
			FinalCLTVDelta: rapid.Uint32().Draw(t, "delta"),
			Features: rapid.SampledFrom([]wire.Features{
				{}, wire.Features{}.Require(wire.VarOnionOptin, wire.PaymentSecret).With(wire.BasicMPP),
			}).Draw(t, "features"),
		}
		if rapid.Bool().Draw(t, "hash of a description") {
			hash := bytes32("description")
			want.DescriptionHash = &hash
		} else {
			want.Description = rapid.StringN(0, 100, MaxDescription).Draw(t, "description")
		}
		if rapid.Bool().Draw(t, "with payee") {
			want.Payee = examplePayee
		}
		if rapid.Bool().Draw(t, "with metadata") {
			want.Metadata = rapid.SliceOfN(rapid.Byte(), 1, MaxDescription).Draw(t, "metadata")
		}
		for range rapid.IntRange(0, 3).Draw(t, "hints") {
			want.Hints = append(want.Hints, []HopHint{{
				NodeID: examplePayee, ChannelID: rapid.Uint64().Draw(t, "channel"), FeeBaseMSat: rapid.Uint32().Draw(t, "base"),
				FeeProportionalMillionths: rapid.Uint32().Draw(t, "rate"), CLTVExpiryDelta: rapid.Uint16().Draw(t, "hop delta"),
			}})
		}
		text, err := Encode(want, signExample)
		require.NoError(t, err)
		got, err := Decode(text, want.Network)
		require.NoError(t, err)
		require.True(t, examplePayee.IsEqual(got.Payee))
		got.Payee = want.Payee
		require.Equal(t, want, got)
	})
}

func TestExpired(t *testing.T) {
	t.Parallel()
	i := &Invoice{Timestamp: time.Unix(1000, 0), Expiry: time.Minute}
	require.False(t, i.Expired(time.Unix(1060, 0)))
	require.True(t, i.Expired(time.Unix(1061, 0)))
}

func FuzzDecode(f *testing.F) {
	f.Add(encodeExample(f, func(*Invoice) {}))
	f.Add("lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs")
	f.Fuzz(func(t *testing.T, text string) {
		i, err := Decode(text, &chaincfg.MainNetParams)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		require.LessOrEqual(t, i.Amount, MaxAmount)
		require.LessOrEqual(t, i.Expiry, MaxExpiry)
		require.NotNil(t, i.Payee)
	})
}

// FuzzFields signs what the fuzzer makes up, so that it gets past checksum and signature.
func FuzzFields(f *testing.F) {
	f.Add([]byte{6, 0, 1, 1})
	f.Add([]byte{9, 0, 2, 0, 1, 3, 0, 0, 20, 0, 1, 1})
	f.Fuzz(func(t *testing.T, groups []byte) {
		text := sealed(t, "lnbc1m", func(data []byte) []byte {
			data = data[:timestampGroups:timestampGroups]
			for _, g := range groups[:min(len(groups), maxLength/2)] {
				data = append(data, g&31)
			}
			return data
		})
		if _, err := Decode(text, &chaincfg.MainNetParams); err != nil {
			require.ErrorIs(t, err, ErrInvalid)
		}
	})
}
