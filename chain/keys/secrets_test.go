package keys_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/lightningnetwork/lnd/shachain"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/chain/keys"
)

func secretOf(t require.TestingT, text string) keys.Secret {
	raw, err := hex.DecodeString(text)
	require.NoError(t, err)
	require.Len(t, raw, 32)
	return keys.Secret(raw)
}

func atIndex(t require.TestingT, seed [32]byte, number uint64) keys.Secret {
	secret, err := shachain.NewRevocationProducer(seed).AtIndex(number)
	require.NoError(t, err)
	return keys.Secret(*secret)
}

// BOLT 3, Appendix D, "Generation Tests".
func TestSecretGenerationVectors(t *testing.T) {
	t.Parallel()
	const zeros = "0000000000000000000000000000000000000000000000000000000000000000"
	const ones = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
	for _, vector := range []struct {
		name, seed string
		index      uint64
		want       string
	}{
		{"0 final node", zeros, 281474976710655, "02a40c85b6f28da08dfdbe0926c53fab2de6d28c10301f8f7c4073d5e42e3148"},
		{"FF final node", ones, 281474976710655, "7cc854b54e3e0dcdb010d7a3fee464a9687be6e8db3be6854c475621e007a5dc"},
		{"FF alternate bits 1", ones, 0xaaaaaaaaaaa, "56f4008fb007ca9acf0e15b054d5c9fd12ee06cea347914ddbaed70d1c13a528"},
		{"FF alternate bits 2", ones, 0x555555555555, "9015daaeb06dba4ccc05b91b2f73bd54405f2be9f217fbacd3c5ac2e62327d31"},
		{"01 last nontrivial node", "0101010101010101010101010101010101010101010101010101010101010101", 1,
			"915c75942a26bb3a433a8ce2cb0427c29ec6c1775cfc78328b57f6ba7bfeaa9c"},
	} {
		number := keys.MaxCommitments - 1 - vector.index
		require.Equal(t, secretOf(t, vector.want), atIndex(t, secretOf(t, vector.seed), number), vector.name)
	}
}

// BOLT 3, Appendix D, "Storage Tests".
func TestSecretStorageVectors(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/secret-storage.json")
	require.NoError(t, err)
	var vectors []struct {
		Name  string
		Steps []struct {
			Index    uint64
			Secret   string
			Accepted bool
		}
	}
	require.NoError(t, json.Unmarshal(raw, &vectors))
	require.Len(t, vectors, 9)
	for _, vector := range vectors {
		t.Run(vector.Name, func(t *testing.T) {
			t.Parallel()
			store := keys.NewRevealedSecrets()
			for _, step := range vector.Steps {
				number := keys.MaxCommitments - 1 - step.Index
				before := store.Bytes()
				checked := store.Check(number, secretOf(t, step.Secret))
				require.Equal(t, before, store.Bytes(), "Check changes nothing")
				added := store.Add(number, secretOf(t, step.Secret))
				require.Equal(t, checked, added)
				if step.Accepted {
					require.NoError(t, added)
					continue
				}
				require.ErrorIs(t, added, keys.ErrSecretNotDerivable)
				require.Equal(t, before, store.Bytes(), "a refusal changes nothing")
			}
		})
	}
}

func TestRevealedSecretsTakesOnlyTheNext(t *testing.T) {
	t.Parallel()
	store := keys.NewRevealedSecrets()
	require.ErrorIs(t, store.Add(1, atIndex(t, [32]byte{1}, 1)), keys.ErrSecretNotNext)
	require.NoError(t, store.Add(0, atIndex(t, [32]byte{1}, 0)))
	require.ErrorIs(t, store.Add(0, atIndex(t, [32]byte{1}, 0)), keys.ErrSecretNotNext)
	_, err := store.Secret(1)
	require.ErrorIs(t, err, keys.ErrSecretUnknown)
}

func TestRevealedSecretsKeepsEverySecretThroughItsEncoding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		seed := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed"))
		count := rapid.Uint64Range(0, 300).Draw(t, "count")
		reload := rapid.Uint64Range(0, 300).Draw(t, "reload")
		store := keys.NewRevealedSecrets()
		for n := range count {
			if n == reload {
				again, err := keys.ParseRevealedSecrets(store.Bytes())
				require.NoError(t, err)
				store = again
			}
			require.NoError(t, store.Add(n, atIndex(t, seed, n)))
		}
		again, err := keys.ParseRevealedSecrets(store.Bytes())
		require.NoError(t, err)
		require.Equal(t, store, again)
		require.Equal(t, count, again.Count())
		require.LessOrEqual(t, len(store.Bytes()), 9+40*9)
		for n := range count {
			secret, err := again.Secret(n)
			require.NoError(t, err)
			require.Equal(t, atIndex(t, seed, n), secret)
		}
	})
}

func FuzzParseRevealedSecrets(f *testing.F) {
	store := keys.NewRevealedSecrets()
	f.Add(store.Bytes())
	for n := range uint64(20) {
		require.NoError(f, store.Add(n, atIndex(f, [32]byte{7}, n)))
		f.Add(store.Bytes())
	}
	f.Add([]byte{200})
	f.Add(append([]byte{49}, make([]byte, 49*40+8)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		store, err := keys.ParseRevealedSecrets(data)
		if err != nil {
			return
		}
		require.Equal(t, data, store.Bytes(), "only what Bytes writes is accepted")
		next := store.Count()
		_ = store.Check(next, keys.Secret{})
		if next > 0 {
			_, err = store.Secret(next - 1)
			require.NoError(t, err)
			_, err = store.Secret(0)
			require.NoError(t, err)
		}
	})
}
