package levels

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/actors/node"
)

func TestSet(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]struct{ peer, channels, daemon, wrong string }{
		"info":                  {"info", "info", "info", ""},
		"OFF":                   {"off", "off", "off", ""},
		"PEER=debug,CHAN=trace": {"debug", "trace", "error", ""},
		"warn, peer=critical":   {"critical", "warn", "warn", ""},
		"loud":                  {wrong: `"loud" is none of trace, debug, info, warn, error, critical, off`},
		"":                      {wrong: `"" is none of`},
		"PEER=":                 {wrong: `"" is none of`},
		"PEER=debug,info":       {wrong: "must stand first"},
		"info,BEER=debug":       {wrong: `no subsystem "BEER": there are ACTR, CHAN`},
		"info,PEER=debug=trace": {wrong: `"debug=trace" is none of`},
	} {
		l, err := New("error")
		require.NoError(t, err)
		err = l.Set(spec)
		if want.wrong != "" {
			require.ErrorContains(t, err, want.wrong, spec)
			want.peer, want.channels, want.daemon = "error", "error", "error" // as they were
		} else {
			require.NoError(t, err, spec)
		}
		require.Equal(t, []string{want.peer, want.channels, want.daemon},
			[]string{l.Of(node.LogPeers), l.Of(node.LogChannels), l.Of(Daemon)}, spec)
	}
}

func TestSubsystems(t *testing.T) {
	t.Parallel()
	l, err := New("info")
	require.NoError(t, err)
	require.Empty(t, l.Of("BEER"))
	var names []string
	for _, s := range Subsystems() {
		require.NotEmpty(t, s.About)
		names = append(names, s.Name)
	}
	slices.Sort(names)
	require.Equal(t, names, l.Names())
}

// TestHandler: each subsystem is heard from its own level on, also by loggers that were made before the level changed.
func TestHandler(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l, err := New("info")
	require.NoError(t, err)
	log := slog.New(l.Handler(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: Trace, ReplaceAttr: Rename})))
	peers := log.With(node.SubsystemKey, node.LogPeers).With("peer", "CHAN").WithGroup("g")
	stranger := log.With(node.SubsystemKey, "BEER")
	said := func(log *slog.Logger, level slog.Level) string {
		out.Reset()
		log.Log(context.Background(), level, "hello", "level", level)
		return out.String()
	}

	require.Empty(t, said(peers, slog.LevelDebug))
	require.NoError(t, l.Set("CHAN=debug"))
	require.Empty(t, said(peers, slog.LevelDebug), "only the attribute with the right key counts")
	require.NoError(t, l.Set("PEER=trace"))
	require.Contains(t, said(peers, Trace), "level=TRACE msg=hello subsystem=PEER peer=CHAN g.level=DEBUG-4")
	require.Empty(t, said(log, slog.LevelDebug), "the daemon's own")
	require.Empty(t, said(stranger, slog.LevelDebug))
	require.NoError(t, l.Set("off"))
	for _, log := range []*slog.Logger{log, peers, stranger} {
		require.Empty(t, said(log, slog.LevelError))
	}
	require.NoError(t, l.Set("critical"))
	require.True(t, strings.Contains(said(log, Critical), "level=CRITICAL"))
}
