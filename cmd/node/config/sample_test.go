package config

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
)

// sample is the sample of a configuration file, and the service that systemd runs.
const (
	sample  = "../../../docs/stormcell.toml"
	service = "../../../docs/stormcell.service"
)

func daemonFlags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("start", pflag.ContinueOnError)
	CommonFlags(fs)
	DaemonFlags(fs)
	return fs
}

// loadFrom loads a configuration file.
func loadFrom(t *testing.T, text string) Daemon {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, FileName), []byte(text), 0o600))
	fs := daemonFlags()
	require.NoError(t, fs.Parse([]string{"--network=signet", "--datadir=" + dir}))
	d, err := LoadDaemon(fs)
	require.NoError(t, err)
	return sameDir(d)
}

// sameDir takes out what differs between two data directories.
func sameDir(d Daemon) Daemon {
	d.Chain.Light.Dir = strings.TrimPrefix(d.Chain.Light.Dir, d.Dir)
	d.Dir = ""
	return d
}

// setting is a line of the sample that sets something, behind a #.
var setting = regexp.MustCompile(`(?m)^#([a-z][a-z-]* = .*)$`)

// TestSample: the sample has every setting, each with its default and some words about it.
func TestSample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(sample)
	require.NoError(t, err)
	defaults := loadFrom(t, "")
	require.Equal(t, defaults, loadFrom(t, string(text)), "the sample as it is")
	all := setting.ReplaceAllString(string(text), "$1")
	require.Equal(t, defaults, loadFrom(t, all), "the sample with all that it says")

	sections, flat := map[string]any{}, map[string]string{}
	_, err = toml.Decode(all, &sections)
	require.NoError(t, err)
	flatten("", sections, flat)
	everything := daemonFlags()
	ClientFlags(everything)
	everything.VisitAll(func(f *pflag.Flag) {
		if f.Name == "network" || f.Name == "datadir" || !slices.Contains(settings(), f.Name) {
			require.NotContains(t, flat, f.Name, "it cannot be set in the file")
			return
		}
		require.Contains(t, flat, f.Name, "document it in docs/stormcell.toml")
		require.Equal(t, strings.Trim(f.DefValue, "[]"), flat[f.Name], "the default of %s", f.Name)
		delete(flat, f.Name)
	})
	require.Empty(t, flat, "there are no such settings")

	for line := range strings.Lines(string(text)) {
		require.LessOrEqual(t, len(line), 80+len("\n"), line)
	}
}

// TestSampleIsChecked: the test above would see a setting that is missing, and one that differs.
func TestSampleIsChecked(t *testing.T) {
	t.Parallel()
	require.NotEqual(t, loadFrom(t, ""), loadFrom(t, "rpclisten = \"127.0.0.1:10010\""))
	require.NotEqual(t, loadFrom(t, ""), loadFrom(t, "[neutrino]\nconnect = [\"127.0.0.1\"]"))
}

// TestService: what the service sets is there to be set, and systemd waits longer for the daemon's end than that takes.
func TestService(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(service)
	require.NoError(t, err)
	variables := regexp.MustCompile(`(?m)^#?Environment=`+envPrefix+`([A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, variables)
	for _, v := range variables {
		require.NotNil(t, daemonFlags().Lookup(strings.ToLower(v[1])), v[0])
		if v[1] == "NETWORK" {
			_, err := backend.ParseNetwork(v[2])
			require.NoError(t, err)
		}
	}
	require.Regexp(t, `(?m)^Type=notify$`, string(text))
	require.Regexp(t, `(?m)^TimeoutStopSec=[1-9][0-9]s$`, string(text))
	require.Regexp(t, `(?m)^ExecStart=/\S+/stormcell start$`, string(text))
}
