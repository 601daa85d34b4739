package persistence

import (
	"testing"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"

	"stormcell/messages/journal"
	"stormcell/messages/record"
)

// What is wrong in the database is named: the actor and the key.
func TestReadNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	const a = "account/a"
	remove := func(key string) func(*badger.Txn) error {
		return func(txn *badger.Txn) error { return txn.Delete([]byte(key)) }
	}
	scramble := func(key string) func(*badger.Txn) error {
		return func(txn *badger.Txn) error {
			value, err := get(txn, []byte(key))
			if err != nil {
				return err
			}
			value[len(value)/2] ^= 1
			return txn.Set([]byte(key), value)
		}
	}
	transplant := func(from, to string) func(*badger.Txn) error {
		return func(txn *badger.Txn) error {
			value, err := get(txn, []byte(from))
			if err != nil {
				return err
			}
			return txn.Set([]byte(to), value)
		}
	}
	event := func(n uint64) string { return string(appendEventKey(nil, a, n)) }
	letter := string(appendInboxKey(nil, a, InboxID{LSN: 4}))
	future := encodeOwn(&journal.Head{LastEvent: 4})
	future.Version = 7
	for name, c := range map[string]struct {
		change func(*badger.Txn) error
		want   error
		key    string
	}{
		"a broken head":               {scramble("h/" + a), ErrCorrupt, "h/account/a"},
		"a broken snapshot":           {scramble("s/" + a), ErrCorrupt, "s/account/a"},
		"a broken event":              {scramble(event(4)), ErrCorrupt, `e/account/a\x00\x00\x00\x00\x00\x00\x00\x00\x04`},
		"a broken letter":             {scramble(letter), ErrCorrupt, `i/account/a\x00`},
		"no head":                     {remove("h/" + a), ErrCorrupt, "s/account/a"},
		"no snapshot":                 {remove("s/" + a), ErrCorrupt, "s/account/a"},
		"a gap":                       {remove(event(3)), ErrCorrupt, `\x03`},
		"no last event":               {remove(event(4)), ErrCorrupt, `\x04`},
		"an event past the last":      {transplant(event(4), event(5)), ErrCorrupt, `\x05`},
		"an event in another's place": {transplant(event(3), event(4)), ErrCorrupt, `\x04`},
		"a head of another kind":      {plant("h/"+a, encodeOwn(&journal.Mark{Lsn: 1})), ErrCorrupt, "h/account/a"},
		"a head of unknown kind":      {plant("h/"+a, record.Record{Kind: 1 << 30, Version: 1}), record.ErrUnknownKind, "h/account/a"},
		"a head of a newer version":   {plant("h/"+a, future), record.ErrNewerVersion, "h/account/a"},
		"a head that does not parse": {
			plant("h/"+a, record.Record{Kind: future.Kind, Version: 1, Body: []byte{0xff}}), record.ErrBadBody, "h/account/a",
		},
		"an empty value": {func(txn *badger.Txn) error { return txn.Set([]byte(event(3)), nil) }, ErrCorrupt, `\x03`},
		"a short event key": {
			func(txn *badger.Txn) error { return txn.Set([]byte(event(4)+"\x00"), []byte("x")) }, ErrCorrupt, `e/account/a`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			b := openBadger(t, testOptions(dir))
			b.Start(newProgress())
			act := &actor{addr: a}
			submit(t, b, act.events("1", "2"))
			submit(t, b, act.snapshot("two events and more than a few bytes"))
			submit(t, b, act.events("3 has some bytes", "4 has some bytes"))
			submit(t, b, act.send(a, "a letter with some bytes"))
			require.NoError(t, b.Close())
			edit(t, dir, c.change)
			b = openBadger(t, testOptions(dir))
			_, err := b.Read(a)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, "read account/a: ")
			require.ErrorContains(t, err, c.key)
		})
	}
}

func TestBrokenColumnsAndLiveSet(t *testing.T) {
	t.Parallel()
	dir := filled(t, 1)
	edit(t, dir, func(txn *badger.Txn) error {
		return txn.Set([]byte("c/some column"), []byte("not an envelope"))
	})
	edit(t, dir, func(txn *badger.Txn) error { return txn.Set([]byte("l/account/a"), []byte("not an envelope")) })
	b := openBadger(t, testOptions(dir))
	_, err := b.Column("some column")
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, "c/some column")
	_, err = b.Columns(Page{Limit: 1})
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, "c/some column")
	err = b.Live(func(Address) bool { t.Error("called"); return true })
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, "l/account/a")
}

func TestLostAndMixedPieces(t *testing.T) {
	t.Parallel()
	piece := string(appendPieceKey(nil, []byte("s/account/a"), 1))
	for name, change := range map[string]func(txn *badger.Txn) error{
		"lost":  func(txn *badger.Txn) error { return txn.Delete([]byte(piece)) },
		"mixed": plant(piece, rec("a piece of something else")),
	} {
		dir := t.TempDir()
		b := openBadger(t, testOptions(dir))
		b.Start(newProgress())
		a := &actor{addr: "account/a"}
		submit(t, b, a.snapshot(string(make([]byte, 2*maxValue))))
		require.NoError(t, b.Close())
		b = openBadger(t, testOptions(dir))
		require.Equal(t, uint32(2), read(t, b, a.addr).Head.SnapshotChunks)
		require.NoError(t, b.Close())
		edit(t, dir, change)
		b = openBadger(t, testOptions(dir))
		_, err := b.Read(a.addr)
		require.ErrorIs(t, err, ErrCorrupt, name)
		require.ErrorContains(t, err, "s/account/a", name)
	}
}

func TestReadRefusesBadAddresses(t *testing.T) {
	t.Parallel()
	_, err := openBadger(t, testOptions(t.TempDir())).Read("account")
	require.ErrorIs(t, err, ErrBadAddress)
}
