package invoice

import (
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// TestNoRestOfTheSetWhenTheClockIsSetBack: the waiting ends although the clock says that it was shorter.
func TestNoRestOfTheSetWhenTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.add(nil)
	h.receive(h.pay("channel/1", 1, theAmount/2))
	wait := h.timers[timer]
	h.now = h.now.Add(wait.After - 5)
	delete(h.timers, timer)
	require.NoError(t, h.ask(wait.Body))
	h.nothingSent()
	again, set := h.timers[timer]
	require.True(t, set, "it waits for what is left")
	h.now = h.now.Add(again.After)
	require.NoError(t, h.ask(again.Body))
	h.failed(lnwire.CodeMPPTimeout, "channel/1 1")
}
