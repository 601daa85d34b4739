package seed_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/stretchr/testify/require"

	"stormcell/chain/seed"
)

var (
	born    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	entropy = [seed.EntropySize]byte{0x81, 0xb6, 0x37, 0xd8, 0x63, 0x59, 0xe6, 0x96, 0x0d, 0xe7, 0x95, 0xe4, 0x1e, 0x0b, 0x4c, 0xfd}
)

func newSeed(t *testing.T) seed.Seed {
	t.Helper()
	s, err := seed.New(&entropy, born)
	require.NoError(t, err)
	return s
}

func TestWords(t *testing.T) {
	t.Parallel()
	s := newSeed(t)
	for name, passphrase := range map[string]string{"none": "", "some": "correct horse"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			words, _, err := s.ToWords([]byte(passphrase))
			require.NoError(t, err)
			again, err := seed.FromWords(words, []byte(passphrase))
			require.NoError(t, err)
			require.Equal(t, s.Entropy, again.Entropy)
			require.Equal(t, s.Birthday, again.Birthday)

			_, err = seed.FromWords(words, []byte("another"))
			require.ErrorIs(t, err, seed.ErrWordsPassphrase)
			words[3], words[4] = words[4], words[3]
			_, err = seed.FromWords(words, []byte(passphrase))
			require.Error(t, err)
			words[5] = "bitcoins"
			_, err = seed.FromWords(words, []byte(passphrase))
			require.ErrorIs(t, err, seed.ErrWords)
			require.ErrorContains(t, err, "word 6")
			require.NotContains(t, err.Error(), "bitcoins", "words are secret")
			_, err = seed.FromWords(words[:23], []byte(passphrase))
			require.ErrorIs(t, err, seed.ErrWords)
		})
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "seed")
	s := newSeed(t)

	_, err := seed.Load(path, []byte("passphrase"))
	require.ErrorIs(t, err, seed.ErrAbsent)
	require.NoError(t, s.Store(path, []byte("passphrase")))
	require.ErrorIs(t, s.Store(path, []byte("other")), seed.ErrExists)
	_, err = seed.Load(path, []byte("wrong"))
	require.ErrorIs(t, err, seed.ErrWrongPassphrase)
	loaded, err := seed.Load(path, []byte("passphrase"))
	require.NoError(t, err)
	require.Equal(t, s.Entropy, loaded.Entropy)
	require.Equal(t, s.BirthdayTime(), loaded.BirthdayTime())

	one, err := s.Master(&chaincfg.RegressionNetParams)
	require.NoError(t, err)
	two, err := loaded.Master(&chaincfg.RegressionNetParams)
	require.NoError(t, err)
	require.Equal(t, one.String(), two.String())

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing is left beside it")
}

func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	good := filepath.Join(t.TempDir(), "seed")
	require.NoError(t, newSeed(t).Store(good, []byte("passphrase")))
	text, err := os.ReadFile(good)
	require.NoError(t, err)
	with := func(field string, change func(any) any) []byte {
		var f map[string]any
		require.NoError(t, json.Unmarshal(text, &f))
		f[field] = change(f[field])
		changed, err := json.Marshal(f)
		require.NoError(t, err)
		return changed
	}
	for name, c := range map[string]struct {
		text []byte
		want error
	}{
		"empty":     {nil, seed.ErrCorrupt},
		"cut":       {text[:len(text)/2], seed.ErrCorrupt},
		"newer":     {with("format", func(any) any { return 2 }), seed.ErrNewerFormat},
		"no kdf":    {with("scrypt", func(any) any { return nil }), seed.ErrCorrupt},
		"no secret": {with("sealed", func(any) any { return "AAAA" }), seed.ErrCorrupt},
		// The last bytes of the parameters are the cost.
		"dear": {with("scrypt", func(v any) any { return v.(string)[:86] + "/////////////////w" + v.(string)[104:] }), seed.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "seed")
			require.NoError(t, os.WriteFile(path, c.text, 0o600))
			_, err := seed.Load(path, []byte("passphrase"))
			require.ErrorIs(t, err, c.want)
		})
	}
}
