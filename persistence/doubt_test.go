package persistence

import (
	"os"
	"path/filepath"
	"testing"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"

	"stormcell/messages/journal"
)

// doubtOn opens a journal with some options, and gives the doubt about it.
func doubtOn(t *testing.T, dir string, change func(*Options)) Doubt {
	t.Helper()
	o := testOptions(dir)
	if change != nil {
		change(&o)
	}
	b := openBadger(t, o)
	defer func() { require.NoError(t, b.Close()) }()
	return b.Doubt()
}

func confirmMove(o *Options) { o.ConfirmMove = true }
func restored(o *Options)    { o.Restored = true }

func TestAJournalThatMovedIsDoubted(t *testing.T) {
	t.Parallel()
	dir := filled(t, 1)
	require.Zero(t, doubtOn(t, dir, nil))
	require.Zero(t, doubtOn(t, dir, confirmMove))

	moved := filepath.Join(t.TempDir(), "moved")
	require.NoError(t, os.Rename(dir, moved))
	for range 2 { // the doubt outlives restarts, and does not become another
		d := doubtOn(t, moved, nil)
		require.EqualValues(t, 1, d.Number)
		require.Contains(t, d.Why, "directory")
	}
	require.Zero(t, doubtOn(t, moved, confirmMove))
	require.Zero(t, doubtOn(t, moved, nil))

	edit(t, moved, func(txn *badger.Txn) error {
		meta, _, err := getOwn[*journal.Meta](txn, []byte(metaKey))
		if err != nil {
			return err
		}
		meta.Machine = "elsewhere"
		return plant(metaKey, encodeOwn(meta))(txn)
	})
	require.EqualValues(t, 2, doubtOn(t, moved, nil).Number, "a new doubt has a new number")
}

func TestAConfirmedMoveIsNoDoubt(t *testing.T) {
	t.Parallel()
	dir := filled(t, 1)
	moved := filepath.Join(t.TempDir(), "moved")
	require.NoError(t, os.Rename(dir, moved))
	require.Zero(t, doubtOn(t, moved, confirmMove))
	require.Zero(t, doubtOn(t, moved, nil))
}

// TestAnOldCopyStaysDoubted: that it was moved besides does not make it newer.
func TestAnOldCopyStaysDoubted(t *testing.T) {
	t.Parallel()
	dir := filled(t, 1)
	require.EqualValues(t, 1, doubtOn(t, dir, restored).Number)
	require.EqualValues(t, 1, doubtOn(t, dir, nil).Number)
	require.EqualValues(t, 1, doubtOn(t, dir, confirmMove).Number)
	require.EqualValues(t, 2, doubtOn(t, dir, restored).Number, "another copy, another doubt")

	moved := filepath.Join(t.TempDir(), "moved")
	require.NoError(t, os.Rename(dir, moved))
	require.EqualValues(t, 3, doubtOn(t, moved, nil).Number)
	d := doubtOn(t, moved, confirmMove)
	require.EqualValues(t, 3, d.Number)
	require.Contains(t, d.Why, "restored")
	require.EqualValues(t, 4, doubtOn(t, moved, func(o *Options) { o.Restored, o.ConfirmMove = true, true }).Number)
}

func TestALostTailIsDoubted(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"ahead": func(path string) error {
			m, err := readHeadFile(filepath.Dir(path))
			if err != nil {
				return err
			}
			m.lsn += 7
			return os.WriteFile(path, m.encode(), 0o600)
		},
		"broken":  func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) },
		"missing": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filled(t, 10)
			require.NoError(t, damage(filepath.Join(dir, headFileName)))
			d := doubtOn(t, dir, func(o *Options) { o.AcceptLoss = true })
			require.EqualValues(t, 1, d.Number)
			require.Contains(t, d.Why, "lost")
			require.Equal(t, d, doubtOn(t, dir, confirmMove))
		})
	}
}
