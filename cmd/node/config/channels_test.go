package config

import (
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"stormcell/actors/channel"
	"stormcell/actors/registry"
)

func TestChannelSettings(t *testing.T) {
	load := func(args ...string) (Daemon, error) {
		fs := pflag.NewFlagSet("start", pflag.ContinueOnError)
		CommonFlags(fs)
		DaemonFlags(fs)
		require.NoError(t, fs.Parse(append([]string{"--network=regtest", "--datadir", t.TempDir()}, args...)))
		return LoadDaemon(fs)
	}
	d, err := load()
	require.NoError(t, err)
	require.Equal(t, Channels{channel.MaxCommitFeeRate, registry.DefaultLimits()}, d.Channels)

	d, err = load("--max-commit-fee-rate-anchors=40", "--maxpendingchannels=20", "--maxpendingtotal=7")
	require.NoError(t, err)
	require.EqualValues(t, 10_000, d.Channels.MaxCommitFeeRate)
	require.Equal(t, 20, d.Channels.Pending.PerPeer)
	require.Equal(t, 7, d.Channels.Pending.All)
	require.Equal(t, registry.DefaultLimits().Waste, d.Channels.Pending.Waste)

	for _, wrong := range []string{
		"--max-commit-fee-rate-anchors=0", "--max-commit-fee-rate-anchors=4294967295", "--maxpendingchannels=-1", "--maxpendingtotal=-1",
	} {
		_, err := load(wrong)
		require.Error(t, err, wrong)
	}
}
