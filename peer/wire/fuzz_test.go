package wire_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/peer/wire"
)

// FuzzDecode feeds any bytes to the decoder of any message. What is read must survive being written and read again.
func FuzzDecode(f *testing.F) {
	for _, mt := range every() {
		generate, isOwn := own[mt]
		if !isOwn {
			generate = borrowed[mt].RandTestMessage
		}
		for seed := range 3 {
			data, err := wire.Encode(rapid.Custom(generate).Example(seed))
			require.NoError(f, err)
			f.Add(uint16(mt), data[2:])
		}
		f.Add(uint16(mt), bytes.Repeat([]byte{0xff}, 200))
		f.Add(uint16(mt), []byte{})
	}
	f.Add(uint16(0x8001), []byte("custom"))
	f.Fuzz(func(t *testing.T, number uint16, body []byte) {
		m, err := wire.Decode(message(wire.MessageType(number), body...))
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.Equal(t, wire.MessageType(number), m.MsgType())
		data, err := wire.Encode(m)
		require.NoError(t, err)
		again, err := wire.Decode(data)
		require.NoError(t, err)
		twice, err := wire.Encode(again)
		require.NoError(t, err)
		require.Equal(t, data, twice)
	})
}

// FuzzFeatures negotiates with any vectors.
func FuzzFeatures(f *testing.F) {
	f.Add(wire.DefaultFeatures().Bytes(), wire.DefaultFeatures().Bytes())
	f.Add([]byte{}, bytes.Repeat([]byte{0x55}, 20))
	f.Add([]byte{0xff}, []byte{0x80, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		ours, theirs := wire.ParseFeatures(a), wire.ParseFeatures(b)
		got, err := wire.Negotiate(ours, theirs)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		want := ours.Requires(wire.Splicing) || ours.Offers(wire.Splicing) && theirs.Offers(wire.Splicing)
		require.Equal(t, want, got.Splicing)
		require.Equal(t, theirs, wire.ParseFeatures(theirs.Bytes()))
	})
}
