package record_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"stormcell/messages/journal"
	"stormcell/messages/record"
	"stormcell/tests/recordpb"
)

const ledgerKind, ledgerVersion = 9401, 2

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawLedger(t)
		r, err := record.Encode(m)
		require.NoError(t, err)
		require.EqualValues(t, ledgerKind, r.Kind)
		require.EqualValues(t, ledgerVersion, r.Version)

		back, err := record.Decode(r)
		require.NoError(t, err)
		require.IsType(t, m, back)
		require.True(t, proto.Equal(m, back), "%v came back as %v", m, back)
	})
}

// TestEveryKindRoundTrips: the codec tells kinds apart, and an empty body is a message too.
func TestEveryKindRoundTrips(t *testing.T) {
	t.Parallel()
	for _, m := range []proto.Message{
		&recordpb.Ledger{},
		&journal.Head{LastEvent: 7, HasSnapshot: true, Failure: &journal.Failure{Lsn: 3, Count: 2, Reason: "stuck"}},
		&journal.Meta{Format: 1, Directory: "/var/lib"},
		&journal.Mark{},
		&journal.Mark{Lsn: 1 << 63},
	} {
		r, err := record.Encode(m)
		require.NoError(t, err)
		back, err := record.Decode(r)
		require.NoError(t, err)
		require.IsType(t, m, back)
		require.True(t, proto.Equal(m, back), "%v came back as %v", m, back)
	}
}

// TestEqualMessagesGiveEqualBytes builds one map in two orders of insertion; Go's maps iterate differently every time.
func TestEqualMessagesGiveEqualBytes(t *testing.T) {
	t.Parallel()
	names := make([]string, 100)
	for i := range names {
		names[i] = fmt.Sprintf("account-%d", i)
	}
	build := func(names []string) record.Record {
		m := &recordpb.Ledger{Balances: map[string]uint64{}}
		for _, name := range names {
			m.Balances[name] = uint64(len(name))
		}
		r, err := record.Encode(m)
		require.NoError(t, err)
		return r
	}
	want := build(names)
	slices.Reverse(names)
	for range 20 {
		require.Equal(t, want, build(names))
	}
}

func TestEncodeRefusesUndeclaredMessages(t *testing.T) {
	t.Parallel()
	for _, m := range []proto.Message{&recordpb.Entry{Amount: 1}, &journal.Failure{}, &record.Stored{}} {
		_, err := record.Encode(m)
		require.ErrorIs(t, err, record.ErrNotStored)
		require.ErrorContains(t, err, string(m.ProtoReflect().Descriptor().FullName()))
	}
}

// TestEncodeRefusesWhatProtobufCannotHold: the error names the message and is not one of Decode's.
func TestEncodeRefusesWhatProtobufCannotHold(t *testing.T) {
	t.Parallel()
	_, err := record.Encode(&recordpb.Ledger{Name: "not UTF-8: \xff"})
	require.ErrorContains(t, err, "stormcell.recordtest.Ledger")
	require.NotErrorIs(t, err, record.ErrNotStored)
	require.NotErrorIs(t, err, record.ErrBadBody)
}

func TestDecodeReadsOlderVersions(t *testing.T) {
	t.Parallel()
	r, err := record.Encode(&recordpb.Ledger{Name: "old"})
	require.NoError(t, err)
	r.Version = 1
	m, err := record.Decode(r)
	require.NoError(t, err)
	require.Equal(t, "old", m.(*recordpb.Ledger).GetName())
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	good, err := record.Encode(&recordpb.Ledger{Name: "ledger", Entries: []*recordpb.Entry{{Amount: 5}}})
	require.NoError(t, err)
	ledger := func(version uint32, body []byte) record.Record {
		return record.Record{Kind: ledgerKind, Version: version, Body: body}
	}
	tests := map[string]struct {
		record record.Record
		err    error
		says   string
	}{
		"kind zero":        {record.Record{Version: 1}, record.ErrUnknownKind, "0"},
		"unknown kind":     {record.Record{Kind: 4_000_000_001, Version: 1}, record.ErrUnknownKind, "4000000001"},
		"newer version":    {ledger(3, good.Body), record.ErrNewerVersion, "known up to 2"},
		"truncated body":   {ledger(2, good.Body[:len(good.Body)-1]), record.ErrBadBody, "Ledger"},
		"no protobuf":      {ledger(2, []byte("\xff\xff\xff")), record.ErrBadBody, "Ledger"},
		"invalid UTF-8":    {ledger(2, []byte("\x0a\x01\xff")), record.ErrBadBody, "Ledger"},
		"length past body": {ledger(2, []byte("\x12\xff\xff\xff\xff\x07")), record.ErrBadBody, "Ledger"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := record.Decode(test.record)
			require.ErrorIs(t, err, test.err)
			require.ErrorContains(t, err, test.says)
		})
	}
}

// TestDecodeRefusesVersionZero: versions begin at 1, so a zero was never written.
func TestDecodeRefusesVersionZero(t *testing.T) {
	t.Parallel()
	_, err := record.Decode(record.Record{Kind: ledgerKind})
	require.Error(t, err)
}

// FuzzDecode: whatever is on the disk, Decode gives a message that can be stored again, or one of its errors.
func FuzzDecode(f *testing.F) {
	ledger, err := record.Encode(&recordpb.Ledger{
		Name: "ledger", Balances: map[string]uint64{"a": 1}, State: &recordpb.Ledger_ClosedAt{ClosedAt: 9},
	})
	require.NoError(f, err)
	for _, kind := range []uint32{1, 2, 3, 10, ledgerKind, 77_777} {
		for version := range uint32(4) {
			f.Add(kind, version, ledger.Body)
		}
	}
	f.Fuzz(func(t *testing.T, kind, version uint32, body []byte) {
		m, err := record.Decode(record.Record{Kind: kind, Version: version, Body: body})
		if err != nil {
			requireDecodeError(t, err)
			return
		}
		r, err := record.Encode(m)
		require.NoError(t, err)
		again, err := record.Decode(r)
		require.NoError(t, err)
		second, err := record.Encode(again)
		require.NoError(t, err)
		require.Equal(t, r, second)
	})
}

// TestDecodeSurvivesDamage changes, cuts and lengthens good records at random.
func TestDecodeSurvivesDamage(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r, err := record.Encode(drawLedger(t))
		require.NoError(t, err)
		for range rapid.IntRange(1, 4).Draw(t, "damages") {
			if len(r.Body) > 0 && rapid.Bool().Draw(t, "flip") {
				r.Body[rapid.IntRange(0, len(r.Body)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			} else {
				r.Body = r.Body[:rapid.IntRange(0, len(r.Body)).Draw(t, "cut")]
				r.Body = append(r.Body, rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "tail")...)
			}
		}
		if _, err := record.Decode(r); err != nil {
			require.ErrorIs(t, err, record.ErrBadBody)
		}
	})
}

func requireDecodeError(t *testing.T, err error) {
	t.Helper()
	known := []error{record.ErrUnknownKind, record.ErrNewerVersion, record.ErrBadBody}
	isErr := func(k error) bool { return errors.Is(err, k) }
	require.True(t, slices.ContainsFunc(known, isErr), "not an error of Decode: %v", err)
}

func drawLedger(t *rapid.T) *recordpb.Ledger {
	entry := rapid.Custom(func(t *rapid.T) *recordpb.Entry {
		return &recordpb.Entry{
			Amount:    rapid.Int64().Draw(t, "amount"),
			Reference: rapid.Ptr(rapid.Uint64(), true).Draw(t, "reference"),
		}
	})
	m := &recordpb.Ledger{
		Name:     rapid.String().Draw(t, "name"),
		Seal:     rapid.SliceOf(rapid.Byte()).Draw(t, "seal"),
		Entries:  rapid.SliceOf(entry).Draw(t, "entries"),
		Balances: rapid.MapOf(rapid.String(), rapid.Uint64()).Draw(t, "balances"),
	}
	switch rapid.IntRange(0, 2).Draw(t, "state") {
	case 1:
		m.State = &recordpb.Ledger_ClosedAt{ClosedAt: rapid.Uint32().Draw(t, "closed at")}
	case 2:
		m.State = &recordpb.Ledger_Pending{Pending: entry.Draw(t, "pending")}
	}
	return m
}
