package channel_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/actors/channel"
)

// TestLiveWatch: who watches sees each step that a channel stays at for a while, and hears nothing more after it has enough.
func TestLiveWatch(t *testing.T) {
	t.Parallel()
	w, a, b := opened(t)
	seen := make(chan string)
	steps := func(want ...string) {
		t.Helper()
		for _, step := range want {
			for step != <-seen { // steps between may be seen or not
			}
		}
	}
	ended := make(chan error, 1)
	go func() {
		last := ""
		ended <- a.channels.Watch(t.Context(), func() (bool, error) {
			now, err := stepOf(a)
			if now != last {
				seen <- now
			}
			last = now
			return now == "gone", err
		})
	}()
	steps("active")
	b.stop()
	steps("inactive")
	b = b.place.start()
	steps("active")
	at := a.only().Outpoint
	require.NoError(t, a.channels.Close(t.Context(), at, channel.CloseRequest{FeeRate: 500}))
	txid, err := a.channels.AwaitClosing(t.Context(), at)
	require.NoError(t, err)
	w.published(txid)
	w.mine(6)
	steps("gone")
	require.NoError(t, <-ended)

	enough := errors.New("enough")
	require.ErrorIs(t, a.channels.Watch(t.Context(), func() (bool, error) { return false, enough }), enough)
	b.stop()
	a.stop()
}

// stepOf is where the one channel of a node stands.
func stepOf(n *node) (string, error) {
	all, err := n.channels.List(n.t.Context())
	switch {
	case err != nil:
		return "", err
	case len(all) == 0:
		return "gone", nil
	case all[0].Active:
		return "active", nil
	}
	return "inactive", nil
}
