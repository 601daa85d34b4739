package wire

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/tlv"
	"github.com/stretchr/testify/require"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

func walk(stream []byte, known ...tlv.Type) ([]record, error) {
	var records []record
	err := walkTLVs(stream, known, func(r record) error {
		records = append(records, r)
		return nil
	})
	return records, err
}

// The streams of BOLT 1, "Type-Length-Value Test Vectors", that fail in any namespace, and one by one for their order.
func TestTLVStreamsThatFail(t *testing.T) {
	t.Parallel()
	for name, stream := range map[string]string{
		"type truncated":            "fd",
		"type truncated, two bytes": "fd01",
		"type not minimal":          "fd0001 00",
		"missing length":            "fd0101",
		"length truncated":          "0f fd",
		"length truncated, one":     "0f fd26",
		"missing value":             "0f fd2602",
		"length not minimal":        "0f fd0001 00",
		"value truncated":           "0f fd0201" + strings.Repeat("00", 256),
		"unknown even":              "12 00",
		"unknown even, two bytes":   "fd0102 00",
		"unknown even, four bytes":  "fe01000002 00",
		"unknown even, eight bytes": "ff0100000000000002 00",
		"order":                     "02 08 0000000000000226 01 01 2a",
		"duplicate":                 "02 08 0000000000000231 02 08 0000000000000451",
		"order of ignored":          "1f 00 0f 01 2a",
		"duplicate of ignored":      "1f 00 1f 01 2a",
		"wrapped around":            "ffffffffffffffffff 00 00 00",
		"length of eight bytes":     "0f ffffffffffffffffff 00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := walk(unhex(t, stream), 0, 2)
			require.ErrorIs(t, err, ErrTLV)
			// Neither does it help to stand behind a valid record.
			_, err = walk(append([]byte{1, 0}, unhex(t, stream)...), 0, 2)
			require.ErrorIs(t, err, ErrTLV)
		})
	}
}

func TestTLVStreamsThatPass(t *testing.T) {
	t.Parallel()
	for _, stream := range []string{
		"", "21 00", "fd0201 00", "fd00fd 00", "fd00ff 00", "fe02000001 00", "ff0200000000000001 00", "00 00 01 01 05 02 00",
	} {
		_, err := walk(unhex(t, stream), 0, 2)
		require.NoError(t, err, stream)
	}
	records, err := walk(unhex(t, "02 02 0a0b 21 00"), 2)
	require.NoError(t, err)
	require.Equal(t, []record{{2, []byte{10, 11}}, {0x21, []byte{}}}, records)
}

// The typed records of namespace n1 in BOLT 1, in a tail of this package's fields.
func TestTLVValues(t *testing.T) {
	t.Parallel()
	type three struct {
		node *btcec.PublicKey
		a, b uint64
	}
	type n1 struct {
		scid  *uint64
		three *three
		delta *uint16
		flag  bool
	}
	fields := func(n *n1) tail {
		return tail{
			optional(2, &n.scid, func(v *uint64) []field { return []field{num(v)} }),
			optional(3, &n.three, func(v *three) []field { return []field{key{&v.node}, num(&v.a), num(&v.b)} }),
			flag(4, &n.flag),
			optional(254, &n.delta, func(v *uint16) []field { return []field{num(v)} }),
		}
	}
	const node = "023da092f6980e58d2c037173180e9a465476026ee50f96695963e8efe436f54eb"
	for name, stream := range map[string]string{
		"scid short":   "02 07 01010101010101",
		"scid long":    "02 09 010101010101010101",
		"no amounts":   "03 21" + node,
		"one amount":   "03 29" + node + "0000000000000001",
		"amount short": "03 30" + node + "000000000000000100000000000001",
		"no point":     "03 31 04" + node[2:] + "00000000000000010000000000000002",
		"three long":   "03 32" + node + "0000000000000001000000000000000001",
		"flag long":    "04 01 00",
		"delta none":   "fd00fe 00",
		"delta short":  "fd00fe 01 01",
		"delta long":   "fd00fe 03 010101",
		"unknown":      "00 00",
	} {
		_, err := fields(new(n1)).take(unhex(t, stream))
		require.ErrorIs(t, err, ErrTLV, name)
	}

	var n n1
	whole := unhex(t, "02 08 0000000000000226 03 31"+node+"00000000000000010000000000000002 04 00 fd00fe 02 0226")
	_, err := fields(&n).take(whole)
	require.NoError(t, err)
	require.EqualValues(t, 550, *n.scid)
	require.EqualValues(t, 1, n.three.a)
	require.EqualValues(t, 2, n.three.b)
	require.Equal(t, node, hex.EncodeToString(n.three.node.SerializeCompressed()))
	require.True(t, n.flag)
	require.EqualValues(t, 550, *n.delta)

	var w bytes.Buffer
	require.NoError(t, fields(&n).put(&w))
	require.Equal(t, whole, w.Bytes())
}
