package ctl

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	invoices "stormcell/actors/invoice"
	"stormcell/actors/peerbook"
	pb "stormcell/messages/channel"
	invoicepb "stormcell/messages/invoice"
	paymentpb "stormcell/messages/payment"
)

// completes gives what the tab key completes the last argument to, and whether files are among it. Shells leave out what does
// not begin with what was typed.
func completes(t *testing.T, args ...string) (values []string, files bool) {
	t.Helper()
	out := said(t, append([]string{cobra.ShellCompRequestCmd}, args...)...)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	typed := args[len(args)-1]
	if _, value, isFlag := strings.Cut(typed, "="); isFlag {
		typed = value
	}
	directive := lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		if value, _, _ := strings.Cut(line, "\t"); strings.HasPrefix(value, typed) {
			values = append(values, value)
		}
	}
	require.Regexp(t, `^:\d+$`, directive)
	return values, directive == ":0"
}

func TestCompletesCommandsAndFlags(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"clo":                 "close closed",
		"debug ":              "halted retry drop",
		"pay --max":           "--max-fee --max-part --max-parts",
		"--network=":          "regtest simnet signet testnet3 testnet4 mainnet",
		"start --network sig": "signet",
		"start --chain=b":     "btcd bitcoind",
		"start --logformat=":  "text json",
		"newaddress --type=":  "p2wkh p2tr",
		"completion ":         "bash fish zsh",
		"help deb":            "debug",
		"help debug h":        "halted",
		"balance ":            "",
		"send bc1q ":          "",
		"pay --amount=":       "",
	} {
		values, files := completes(t, strings.Split(typed, " ")...)
		require.Equal(t, strings.Fields(want), append([]string{}, values...), typed)
		require.False(t, files, typed)
	}
	for _, typed := range []string{"create --words-out=", "unlock --passphrase-file=", "getinfo --macaroon=", "bakemacaroon --save-to="} {
		_, files := completes(t, strings.Split(typed, " ")...)
		require.True(t, files, typed)
	}
}

// TestCompletesWhatTheDaemonKnows, and nothing when there is none.
func TestCompletesWhatTheDaemonKnows(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.channels = []channel.Info{widest(pb.Phase_NORMAL)}
	f.connected = []peerbook.Connect{{Key: nodeOf(2)}}
	f.payments.all = []*paymentpb.Payment{paymentOf()}
	f.actors.halted = []durable.Halt{{Actor: "channel/1"}}
	f.invoices.all = []invoices.Info{invoice(1, invoicepb.Status_OPEN, 1_500, 0, "tea")}
	for typed, want := range map[string]string{
		"close":         shortID(widest(0).Scid.ToUint64()),
		"disconnect":    someKey(),
		"openchannel":   someKey(),
		"payments":      "5",
		"track":         "5",
		"invoices":      "1",
		"cancel":        strings.Repeat("01", 32),
		"debug retry":   "channel/1",
		"close 1x1x1":   "",
		"openchannel x": "",
	} {
		at := append(strings.Fields(typed), "--network=regtest", "--datadir="+f.dir, "--rpcserver="+f.server, "")
		values, files := completes(t, at...)
		require.Equal(t, strings.Fields(want), append([]string{}, values...), typed)
		require.False(t, files, typed)
		values, files = completes(t, append(strings.Fields(typed), "--datadir="+filepath.Join(f.dir, "none"), "")...)
		require.Empty(t, values, typed)
		require.False(t, files, typed)
	}
}
