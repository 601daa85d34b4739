package playground

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommandsFitATerminal(t *testing.T) {
	t.Parallel()
	alice := &daemon{process: process{name: "alice"}}
	key := strings.Repeat("02", 33)
	require.Equal(t, "alice$ stormcell connect --perm 0202020202...@127.0.0.1:9735",
		typed(alice, []string{"connect", "--perm", key + "@127.0.0.1:9735"}))
	require.Equal(t, `alice$ stormcell create --passphrase-file=.stormcell/playground/passphrase \
      --words-out=.stormcell/playground/alice/words`, typed(alice, []string{
		"create", "--passphrase-file=.stormcell/playground/passphrase", "--words-out=.stormcell/playground/alice/words",
	}))
	words := make([]string, 40)
	for i := range words {
		words[i] = strings.Repeat("x", i%17+1)
	}
	text := typed(alice, words)
	for line := range strings.Lines(text) {
		require.LessOrEqual(t, len(strings.TrimSuffix(line, "\n")), 80)
	}
	require.Equal(t, append([]string{"alice$", "stormcell"}, words...), strings.Fields(strings.ReplaceAll(text, "\\\n", "")))
}
