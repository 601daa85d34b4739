package wallet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
	"stormcell/chain/wallet"
)

var born = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func TestWordsRestoreTheSeed(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	for _, passphrase := range []string{"", "correct horse"} {
		words, err := seed.Words([]byte(passphrase))
		require.NoError(t, err)
		require.Len(t, words, 24)
		restored, err := wallet.RestoreSeed(words, []byte(passphrase))
		require.NoError(t, err)
		requireSameSeed(t, seed, restored)
	}
	require.WithinDuration(t, born, seed.Birthday(), 24*time.Hour)
	require.False(t, seed.Birthday().After(born), "no coin may be older than the birthday")
}

func TestWordsThatRestoreNothing(t *testing.T) {
	t.Parallel()
	words, err := newSeed(t).Words([]byte("right"))
	require.NoError(t, err)

	_, err = wallet.RestoreSeed(words, []byte("wrong"))
	require.ErrorIs(t, err, wallet.ErrWrongPassphrase)
	_, err = wallet.RestoreSeed(words[:23], []byte("right"))
	require.ErrorIs(t, err, wallet.ErrInvalidWords)

	swapped := append([]string(nil), words...)
	for i := range swapped { // two that differ
		if swapped[i] != swapped[i+1] {
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
			break
		}
	}
	_, err = wallet.RestoreSeed(swapped, []byte("right"))
	require.ErrorIs(t, err, wallet.ErrInvalidWords)
	misspelt := append([]string{"stormcell"}, words[1:]...)
	_, err = wallet.RestoreSeed(misspelt, []byte("right"))
	require.ErrorIs(t, err, wallet.ErrInvalidWords)
	require.ErrorContains(t, err, "stormcell")
}

func TestSeedIsNotPrinted(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.Equal(t, "a seed", fmt.Sprintf(verb, seed))
	}
}

func TestSeedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "seed")
	right, wrong := []byte("right"), []byte("wrong")
	_, err := wallet.LoadSeed(path, right)
	require.ErrorIs(t, err, wallet.ErrNoSeed)

	seed := newSeed(t)
	require.ErrorIs(t, wallet.SaveSeed(path, seed, nil), wallet.ErrEmptyPassphrase)
	require.NoError(t, wallet.SaveSeed(path, seed, right))
	require.ErrorIs(t, wallet.SaveSeed(path, newSeed(t), right), wallet.ErrSeedExists)
	_, err = wallet.LoadSeed(path, wrong)
	require.ErrorIs(t, err, wallet.ErrWrongPassphrase)
	loaded, err := wallet.LoadSeed(path, right)
	require.NoError(t, err)
	requireSameSeed(t, seed, loaded)

	require.ErrorIs(t, wallet.ChangePassphrase(path, wrong, []byte("new")), wallet.ErrWrongPassphrase)
	require.NoError(t, wallet.ChangePassphrase(path, right, []byte("new")))
	_, err = wallet.LoadSeed(path, right)
	require.ErrorIs(t, err, wallet.ErrWrongPassphrase)
	loaded, err = wallet.LoadSeed(path, []byte("new"))
	require.NoError(t, err)
	requireSameSeed(t, seed, loaded)

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1, "no temporary file is left")
}

func TestDamagedSeedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "seed")
	passphrase := []byte("right")
	require.NoError(t, wallet.SaveSeed(path, newSeed(t), passphrase))
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.SplitAfter(string(good), "\n")
	for name, text := range map[string]string{
		"empty":           "",
		"another version": "stormcell seed 2\n" + lines[1] + lines[2],
		"cut":             string(good[:len(good)-10]),
		"longer":          string(good) + "\n",
		"no hexadecimal":  lines[0] + "xyz\n" + lines[2],
		"changed words":   lines[0] + lines[1] + "00" + lines[2][2:],
		"huge scrypt":     lines[0] + lines[1][:128] + strings.Repeat("ff", 24) + "\n" + lines[2],
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := wallet.LoadSeed(path, passphrase)
		require.ErrorIs(t, err, wallet.ErrDamagedSeed, name)
	}
}

func newSeed(t *testing.T) wallet.Seed {
	t.Helper()
	seed, err := wallet.NewSeed(born)
	require.NoError(t, err)
	return seed
}

func requireSameSeed(t *testing.T, want, got wallet.Seed) {
	t.Helper()
	wantMaster, err := want.Master(backend.Regtest)
	require.NoError(t, err)
	gotMaster, err := got.Master(backend.Regtest)
	require.NoError(t, err)
	require.Equal(t, wantMaster.String(), gotMaster.String())
	require.Equal(t, want.Birthday(), got.Birthday())
}
