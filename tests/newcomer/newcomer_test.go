// Package newcomer does what README tells somebody who has just cloned the repository to do, and looks at what is said.
package newcomer

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// wanted in the environment has the test run. It runs 'make test', and so cannot be a part of that.
const wanted = "NEWCOMER"

// What one run of the playground may cost, over all processes and both cores.
const (
	firstRun  = 2 * 4 * time.Minute
	secondRun = 2 * 10 * time.Second
)

// story is what the first 'make run' tells, in this order.
var story = []string{
	"Building the node and btcd",
	"Starting btcd, with a chain of its own",
	"alice$ stormcell start", "bob$ stormcell start", "carol$ stormcell start",
	"alice$ stormcell create", "the wallet is made, and the node runs",
	"alice$ stormcell connect --perm",
	"alice$ stormcell openchannel .* 1000000sat", "the channel is open",
	"alice$ stormcell openchannel .* 700000sat", "the channel is open",
	"alice$ stormcell openchannel .* 500000sat", "the channel is open",
	"alice$ stormcell pay --max-part=400000sat",
	"part 1 .* on its way", "part 3 .* on its way", "part . .* arrived after",
	"paid 1,200,000 sat in 3 parts, fee 0 sat", "preimage [0-9a-f]{64}",
	"bob$ stormcell pay", "part 2 .* on its way",
	"Bob's process is killed with kill -9",
	"alice$ stormcell settle", "settled",
	"bob$ stormcell start", "bob$ stormcell unlock", "bob$ stormcell track",
	"paid 1,000,000 sat in 2 parts, fee 0 sat",
	"alice$ stormcell invoices", "paid +1,000,000 +1,000,000",
	"alias alice=", "alias bob=", "alias carol=", "Ctrl-C stops everything",
	"Stopping everything",
}

// again is what the second one tells.
var again = []string{
	"alice$ stormcell unlock", "the wallet is unlocked, and the node runs", "The network of the last time goes on",
	"active", "1  paid +1,200,000", "Ctrl-C stops everything", "Stopping everything",
}

func TestNewcomer(t *testing.T) {
	if os.Getenv(wanted) == "" {
		t.Skip("'make newcomer' runs it")
	}
	n := clone(t)
	commands := n.commandsOfREADME()
	require.Equal(t, []string{"make run", "make test"}, commands)
	play := strings.Fields(commands[0])

	first := n.play(play, nil)
	inOrder(t, first.said, story)
	require.Less(t, first.cpu, firstRun)
	n.leavesNothing(".stormcell", "bin")

	second := n.play(play, n.tryWhatItPrints)
	inOrder(t, second.said, again)
	for _, once := range []string{"create", "openchannel", "kill -9"} {
		require.NotContains(t, second.said, once)
	}
	require.Less(t, second.cpu, secondRun)

	tested := n.run(strings.Fields(commands[1]))
	require.Regexp(t, `(?m)^ok\s+stormcell/actors/channel\s`, tested.said)
	require.NotContains(t, tested.said, "FAIL")

	n.run([]string{"make", "clean"})
	n.leavesNothing()
}

// inOrder holds that each of the patterns is in a text, one after the other. A dollar sign stands for itself.
func inOrder(t *testing.T, text string, patterns []string) {
	t.Helper()
	rest := text
	for _, pattern := range patterns {
		at := regexp.MustCompile(strings.ReplaceAll(pattern, "$", `\$`)).FindStringIndex(rest)
		require.NotNil(t, at, "%q is missing, or not at its place, in\n%s", pattern, text)
		rest = rest[at[1]:]
	}
}

// commandsOfREADME are those of its first block that begin with make.
func (n *newcomer) commandsOfREADME() []string {
	text, err := os.ReadFile(filepath.Join(n.dir, "README.md"))
	require.NoError(n.t, err)
	_, tryIt, found := strings.Cut(string(text), "## Try it")
	require.True(n.t, found)
	block := strings.Split(tryIt, "```")[1]
	var commands []string
	for line := range strings.Lines(block) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			commands = append(commands, line)
		}
	}
	return commands
}

// tryWhatItPrints types what the playground proposes to somebody, in another terminal.
func (n *newcomer) tryWhatItPrints(said string) {
	aliases := regexp.MustCompile(`(?m)^ +alias .*$`).FindAllString(said, -1)
	require.Len(n.t, aliases, 3)
	script := "shopt -s expand_aliases\n" + strings.Join(aliases, "\n") + `
set -e
request=$(bob invoice 25000sat --memo=cake | head -1)
alice pay $request
alice payments 1
alice channels
carol balance
bob invoices
alice pay --keysend $(carol getinfo --json | sed -n 's/.*"identity_pubkey": "\(.*\)".*/\1/p') --amount=9sat
`
	typed := n.run([]string{"bash", "-c", script})
	inOrder(n.t, typed.said, []string{"paid 25,000 sat", "amount +1,200,000 sat", "active", "channels, ours", "cake", "paid 9 sat"})
}
