package wire_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"runtime"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/peer/wire"
)

// message joins a type and a payload.
func message(t wire.MessageType, body ...byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(t)), body...)
}

// every is every type the codec speaks.
func every() []wire.MessageType {
	var types []wire.MessageType
	for t := wire.MessageType(0); t < 1024; t++ {
		if wire.Name(t) != "unknown" {
			types = append(types, t)
		}
	}
	return types
}

func TestEveryMessageHasAGenerator(t *testing.T) {
	t.Parallel()
	require.Len(t, every(), len(own)+len(borrowed))
	for _, mt := range every() {
		_, isOwn := own[mt]
		_, isBorrowed := borrowed[mt]
		require.True(t, isOwn != isBorrowed, wire.Name(mt))
	}
}

func TestOwnMessagesRoundTrip(t *testing.T) {
	t.Parallel()
	for mt, generate := range own {
		t.Run(wire.Name(mt), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				m := generate(t)
				require.Equal(t, mt, m.MsgType())
				data, err := wire.Encode(m)
				require.NoError(t, err)
				back, err := wire.Decode(data)
				require.NoError(t, err)
				require.Equal(t, m, back)

				// An unknown odd record behind it changes nothing, an unknown even one is refused.
				odd, err := wire.Decode(append(bytes.Clone(data), 0xfd, 0xff, 0x01, 0x01, 0x2a))
				require.NoError(t, err)
				require.Equal(t, m, odd)
				_, err = wire.Decode(append(bytes.Clone(data), 0xfd, 0xff, 0x02, 0x01, 0x2a))
				require.ErrorIs(t, err, wire.ErrTLV)
			})
		})
	}
}

// Every strict prefix of a message is refused, or is the message without its last records.
func TestOwnMessagesTruncated(t *testing.T) {
	t.Parallel()
	for mt, generate := range own {
		t.Run(wire.Name(mt), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				data, err := wire.Encode(generate(t))
				require.NoError(t, err)
				data = data[:rapid.IntRange(0, len(data)-1).Draw(t, "cut")]
				if m, err := wire.Decode(data); err == nil {
					again, err := wire.Encode(m)
					require.NoError(t, err)
					require.Equal(t, data, again)
				}
			})
		})
	}
}

func TestBorrowedMessagesRoundTrip(t *testing.T) {
	t.Parallel()
	for mt, generate := range borrowed {
		t.Run(wire.Name(mt), func(t *testing.T) {
			t.Parallel()
			passed := 0
			rapid.Check(t, func(t *rapid.T) {
				data, err := wire.Encode(generate.RandTestMessage(t))
				require.NoError(t, err)
				m, err := wire.Decode(data)
				if err != nil {
					// lnwire makes up extensions, nonces of taproot channels and zlib, which are not for this node.
					known := errors.Is(err, wire.ErrTLV) || errors.Is(err, wire.ErrEncoding)
					require.True(t, known || wire.IsRouting(mt), "%v", err)
					return
				}
				passed++
				again, err := wire.Encode(m)
				require.NoError(t, err)
				require.Equal(t, data, again)
			})
			require.NotZero(t, passed, "no message got through")
		})
	}
}

// BOLT 1, "Message Extension".
func TestInitExtensionVectors(t *testing.T) {
	t.Parallel()
	for vector, ok := range map[string]bool{
		"001000000000":                   true,
		"001000000000c9012acb0104":       true,
		"00100000000001":                 false,
		"001000000000ca012a":             false,
		"001000000000c90101c90102":       false,
		"0010000000000120" + "ab":        false,
		"00100000000001020102":           false, // networks of two bytes
		"00100000000003020102":           true,  // an address we cannot read is advice not taken
		"0010000108000202aa" + "0300":    true,
		"00100002ffff00020001fd00":       false,
		"00100000000003071020304050":     false,
		"001000000000030701010203042607": true,
	} {
		data, err := hex.DecodeString(vector)
		require.NoError(t, err)
		m, err := wire.Decode(data)
		if !ok {
			require.Error(t, err, vector)
			continue
		}
		require.NoError(t, err, vector)
		require.IsType(t, &wire.Init{}, m)
	}
	data, _ := hex.DecodeString("0010" + "000180" + "0002" + "0201" + "0307" + "01" + "01020304" + "2607")
	m, err := wire.Decode(data)
	require.NoError(t, err)
	require.Equal(t, []int{0, 7, 9}, m.(*wire.Init).Features.Bits())
	require.Equal(t, "1.2.3.4:9735", m.(*wire.Init).RemoteAddr.String())
}

func TestDecodeUnknown(t *testing.T) {
	t.Parallel()
	m, err := wire.Decode(message(0x8001, 1, 2, 3))
	require.NoError(t, err)
	require.Equal(t, &wire.Unknown{Type: 0x8001, Body: []byte{1, 2, 3}}, m)
	again, err := wire.Encode(m)
	require.NoError(t, err)
	require.Equal(t, message(0x8001, 1, 2, 3), again)

	for _, even := range []wire.MessageType{0, 4, 66 + 8, 260, 0x8000, 0xfffe} {
		if wire.Name(even) != "unknown" {
			continue
		}
		_, err = wire.Decode(message(even))
		var unknown *wire.UnknownEvenError
		require.ErrorAs(t, err, &unknown)
		require.Equal(t, even, unknown.Type)
	}
}

func TestDecodeLimits(t *testing.T) {
	t.Parallel()
	_, err := wire.Decode(nil)
	require.ErrorIs(t, err, wire.ErrTooShort)
	_, err = wire.Decode([]byte{0})
	require.ErrorIs(t, err, wire.ErrTooShort)
	_, err = wire.Decode(make([]byte, wire.MaxMessage+1))
	require.ErrorIs(t, err, wire.ErrTooLong)
	_, err = wire.Decode(message(0x8001, make([]byte, wire.MaxMessage-2)...))
	require.NoError(t, err)

	_, err = wire.Encode(&wire.PeerStorage{Blob: make([]byte, wire.MaxMessage-4)})
	require.NoError(t, err)
	_, err = wire.Encode(&wire.PeerStorage{Blob: make([]byte, wire.MaxMessage-3)})
	require.ErrorIs(t, err, wire.ErrTooLong)
	_, err = wire.Encode(&wire.PeerStorage{Blob: make([]byte, 1<<20)})
	require.ErrorIs(t, err, wire.ErrTooLong)
}

// Every known message but the empty ones is refused when there is nothing in it, and says what it was.
func TestDecodeEmptyPayload(t *testing.T) {
	t.Parallel()
	for _, mt := range every() {
		_, err := wire.Decode(message(mt))
		require.ErrorIs(t, err, wire.ErrTooShort, wire.Name(mt))
		var malformed *wire.MalformedError
		require.ErrorAs(t, err, &malformed)
		require.Equal(t, mt, malformed.Type)
		require.ErrorContains(t, err, wire.Name(mt))
	}
}

func TestDecodeRefusesImpossibleAmounts(t *testing.T) {
	t.Parallel()
	body := make([]byte, 32+8)
	body = binary.BigEndian.AppendUint64(body, btcutil.MaxSatoshi+1)
	_, err := wire.Decode(message(wire.TypeTxAddOutput, append(body, 0, 0)...))
	require.ErrorIs(t, err, wire.ErrAmount)

	open := bytes.Repeat([]byte{0xff}, 400)
	_, err = wire.Decode(message(wire.TypeOpenChannel, open...))
	require.ErrorIs(t, err, wire.ErrAmount)

	_, err = wire.Encode(&wire.TxAddOutput{Amount: -1})
	require.ErrorIs(t, err, wire.ErrAmount)
	_, err = wire.Encode(&wire.TxAckRBF{Contribution: new(btcutil.Amount(btcutil.MaxSatoshi + 1))})
	require.ErrorIs(t, err, wire.ErrAmount)
}

func TestDecodeRefusesCompressedShortChannelIDs(t *testing.T) {
	t.Parallel()
	body := append(make([]byte, chainhash.HashSize), 0, 3, 1, 0x78, 0x9c)
	_, err := wire.Decode(message(wire.TypeQueryShortChannelIDs, body...))
	require.ErrorIs(t, err, wire.ErrEncoding)
}

// What a message claims costs nothing: memory follows what it holds.
func TestDecodeAllocatesNoMoreThanAFewTimesTheMessage(t *testing.T) {
	hostile := [][]byte{
		bytes.Repeat([]byte{0xff}, 2000),
		bytes.Repeat([]byte{0x00}, 2000),
		append(make([]byte, 32+64), bytes.Repeat([]byte{0xff}, 500)...),
		append(make([]byte, 32), bytes.Repeat([]byte{0xff}, 500)...),
	}
	const runs = 50
	for _, mt := range every() {
		for i, body := range hostile {
			data := message(mt, body...)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range runs {
				_, _ = wire.Decode(data)
			}
			runtime.ReadMemStats(&after)
			perMessage := (after.TotalAlloc - before.TotalAlloc) / runs
			require.Less(t, perMessage, uint64(64<<10), "%s, body %d", wire.Name(mt), i)
		}
	}
}

func TestChannelOf(t *testing.T) {
	t.Parallel()
	id := wire.ChannelID{1, 2, 3}
	for _, m := range []wire.Message{
		&wire.OpenChannel{PendingChannelID: id}, &wire.FundingCreated{PendingChannelID: id}, &wire.FundingSigned{ChanID: id},
		&wire.ChannelReady{ChanID: id}, &wire.UpdateAddHTLC{ChanID: id}, &wire.RevokeAndAck{ChanID: id},
		&wire.CommitSig{ChanID: id}, &wire.Error{ChanID: id},
		&wire.ClosingSig{ClosingProposal: wire.ClosingProposal{ChanID: id}},
		&wire.AnnouncementSignatures{ChannelID: id}, &wire.Stfu{ChanID: id}, &wire.ChannelReestablish{ChanID: id},
		&wire.UpdateFailMalformedHTLC{ChanID: id}, &wire.UpdateFee{ChanID: id}, &wire.UpdateFulfillHTLC{ChanID: id},
		&wire.UpdateFailHTLC{ChanID: id}, &wire.AcceptChannel{PendingChannelID: id}, &wire.Warning{ChanID: id},
	} {
		got, ok := wire.ChannelOf(m)
		require.True(t, ok, "%T", m)
		require.Equal(t, id, got, "%T", m)
	}
	for _, m := range []wire.Message{
		&wire.Init{}, &wire.Ping{}, &wire.ChannelUpdate{}, &wire.Unknown{}, &wire.PeerStorage{},
	} {
		_, ok := wire.ChannelOf(m)
		require.False(t, ok, "%T", m)
	}
}
