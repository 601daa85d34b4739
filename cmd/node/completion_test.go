package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// completionIn presses the tab key in each shell: what it says for the line 'stormcell --network=regtest clo'.
var completionIn = map[string]string{
	"bash": `source <(stormcell completion bash)
		_init_completion() { words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${words[cword]}; }
		COMP_WORDS=(stormcell --network=regtest clo) COMP_CWORD=2 COMP_TYPE=9
		__start_stormcell 2>/dev/null
		printf '%s\n' "${COMPREPLY[@]}"`,
	"fish": `stormcell completion fish | source; complete -C 'stormcell --network=regtest clo'`,
	"zsh": `compdef() { }; _describe() { print -rl -- $completions }
		source <(stormcell completion zsh)
		words=(stormcell --network=regtest clo) CURRENT=3
		_stormcell`,
}

func TestCompletionInShells(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	program, err := filepath.Abs(os.Args[0])
	require.NoError(t, err)
	require.NoError(t, os.Symlink(program, filepath.Join(bin, "stormcell")))
	for shell, script := range completionIn {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skipf("there is no %s here", shell)
			}
			cmd := exec.Command(path, "-c", script)
			cmd.Env = []string{beStormcell + "=1", "HOME=" + bin, "PATH=" + bin + ":" + os.Getenv("PATH")}
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			var found []string
			for line := range strings.Lines(string(out)) {
				found = append(found, strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\n:", r) })[0])
			}
			require.Equal(t, []string{"close", "closed"}, found, string(out))
		})
	}
}
