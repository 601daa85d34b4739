package interop_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

// TestLncliCreates makes a wallet with lncli at a terminal, and unlocks it after a restart.
func TestLncliCreates(t *testing.T) {
	t.Parallel()
	const passphrase = "correct horse"
	l := node.LaunchStormcell(t, "--chain=neutrino", "--neutrino.connect=127.0.0.1:1")
	state := func() any {
		printed, complaint := l.Lncli("state")
		if complaint != "" {
			return complaint
		}
		return parsed(t, printed)["state"]
	}
	within(t, "the daemon asks for a wallet", func() bool { return state() == "NON_EXISTING" })
	_, complaint := l.Lncli("getinfo")
	require.Contains(t, complaint, "wallet not created, create one to enable full RPC access")
	screen := l.LncliAtTerminal([]node.Line{
		{Prompt: "Input wallet password", Answer: passphrase}, {Prompt: "Confirm password", Answer: passphrase},
		{Prompt: "(Enter y/x/n)", Answer: "n"}, {Prompt: "without a cipher seed passphrase", Answer: ""},
	}, "create")
	require.Contains(t, screen, "END LND CIPHER SEED")
	require.Contains(t, screen, "lnd successfully initialized")
	within(t, "the node serves", func() bool { return state() == "SERVER_ACTIVE" })
	before, complaint := l.Lncli("getinfo")
	require.Empty(t, complaint)

	l.Stop()
	l.Relaunch()
	within(t, "the daemon asks for the passphrase", func() bool { return state() == "LOCKED" })
	_, complaint = l.Lncli("getinfo")
	require.Contains(t, complaint, "please unlock using 'lncli unlock'", "lncli knows our words")
	screen = l.LncliAtTerminal([]node.Line{{Prompt: "Input wallet password", Answer: passphrase}}, "unlock")
	require.Contains(t, screen, "lnd successfully unlocked")
	within(t, "the node serves", func() bool { return state() == "SERVER_ACTIVE" })
	after, complaint := l.Lncli("getinfo")
	require.Empty(t, complaint)
	require.Equal(t, parsed(t, before)["identity_pubkey"], parsed(t, after)["identity_pubkey"])
}
