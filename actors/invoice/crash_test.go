package invoice

import (
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/invoice"
)

// The rows of receiving, each with a restart wherever the process can die: what was committed is what is left.

const half = theAmount / 2

func hold(r *Request) { r.Hold = true }

// TestR1: some parts are in when the process dies. They accumulate again, and time out together.
func TestR1(t *testing.T) {
	t.Parallel()
	t.Run("the rest comes", func(t *testing.T) {
		t.Parallel()
		h := newHost(t)
		h.add(nil)
		h.receive(h.pay("channel/1", 0, half))
		h.nothingSent()
		h.restart()
		require.Contains(t, h.timers, timer)
		require.Contains(t, h.released, Holding{On: true})
		h.receive(h.pay("channel/2", 0, half))
		h.claimed("channel/1 0", "channel/2 0")
		require.Empty(t, h.timers)
		require.Equal(t, Holding{On: false}, h.released[len(h.released)-2])
	})
	t.Run("the rest does not come", func(t *testing.T) {
		t.Parallel()
		h := newHost(t)
		h.add(nil)
		h.receive(h.pay("channel/1", 0, 1_000))
		require.Equal(t, 2*time.Minute, h.timers[timer].After)
		h.now = h.now.Add(time.Minute)
		h.receive(h.pay("channel/1", 1, 1_000))
		h.restart()
		require.Equal(t, time.Minute, h.timers[timer].After, "since the first part, whatever came between")
		require.NoError(t, h.ask(tooLong{}))
		h.nothingSent()
		h.now = h.now.Add(time.Hour)
		h.restart()
		require.Zero(t, h.timers[timer].After)
		require.NoError(t, h.ask(h.timers[timer].Body))
		h.failed(lnwire.CodeMPPTimeout, "channel/1 0", "channel/1 1")
		require.Equal(t, pb.Status_OPEN, h.status())

		h.receive(h.pay("channel/1", 2, theAmount))
		h.claimed("channel/1 2")
	})
}

// TestR2: the set is complete and not claimed. It can be claimed after the restart, until the deadline.
func TestR2(t *testing.T) {
	t.Parallel()
	held := func(t *testing.T) *host {
		h := newHost(t)
		h.add(hold)
		h.receive(h.pay("channel/1", 0, half))
		h.receive(h.pay("channel/2", 0, half))
		require.Equal(t, pb.Status_HELD, h.status())
		require.Empty(t, h.timers, "a held set waits for its owner")
		h.restart()
		require.Empty(t, h.timers)
		require.Contains(t, h.released, Holding{On: true})
		h.nothingSent()
		return h
	}
	t.Run("claimed", func(t *testing.T) {
		t.Parallel()
		h := held(t)
		require.ErrorIs(t, h.ask(Settle{[32]byte{8}}), ErrWrongPreimage)
		require.NoError(t, h.ask(Settle{thePreimage}))
		h.claimed("channel/1 0", "channel/2 0")
		require.ErrorIs(t, h.ask(Settle{thePreimage}), ErrSettled)
		require.ErrorIs(t, h.ask(Cancel{}), ErrSettled)
		h.nothingSent()
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		h := held(t)
		require.NoError(t, h.ask(Cancel{}))
		h.failed(lnwire.CodeIncorrectOrUnknownPaymentDetails, "channel/1 0", "channel/2 0")
		require.NoError(t, h.ask(Cancel{}), "once more does no harm")
		require.ErrorIs(t, h.ask(Settle{thePreimage}), ErrCanceled)
		h.nothingSent()
		require.Equal(t, pb.Status_CANCELED, h.status())
	})
	t.Run("given back at the deadline", func(t *testing.T) {
		t.Parallel()
		h := held(t)
		margin := h.core.Policy.ClaimMargin
		require.NoError(t, h.ask(Height{soon - margin - 1}))
		require.Equal(t, pb.Status_HELD, h.status())
		h.nothingSent()
		require.NoError(t, h.ask(Height{soon - margin}))
		h.failed(lnwire.CodeIncorrectOrUnknownPaymentDetails, "channel/1 0", "channel/2 0")
		require.Equal(t, pb.Status_CANCELED, h.status())
	})
	t.Run("too late to claim", func(t *testing.T) {
		t.Parallel()
		h := held(t)
		h.height = soon - h.core.Policy.ClaimMargin
		require.ErrorIs(t, h.ask(Settle{thePreimage}), ErrCanceled)
		h.failed(lnwire.CodeIncorrectOrUnknownPaymentDetails, "channel/1 0", "channel/2 0")
	})
	t.Run("nobody knows whether it is too late", func(t *testing.T) {
		t.Parallel()
		h := held(t)
		h.height = 0
		require.ErrorIs(t, h.ask(Settle{thePreimage}), ErrNoChain)
		h.nothingSent()
		require.Equal(t, pb.Status_HELD, h.status())
	})
}

// The chain becomes known while a part is judged, which has less time left than was asked for.
func TestChainIsKnownInTheMiddleOfAStep(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.add(nil)
	looks := 0
	h.core.Height = func() uint32 {
		if looks++; looks == 1 {
			return 0
		}
		return theHeight
	}
	late := func(p *part) { p.expiry, p.payload.Expiry = theHeight+79, theHeight+79 }
	h.receive(h.pay("channel/1", 0, theAmount, late))
	h.nothingSent()
	require.NoError(t, h.ask(Height{theHeight}))
	h.failed(lnwire.CodeIncorrectOrUnknownPaymentDetails, "channel/1 0")
}

// While the chain is not known parts are taken, and nothing is claimed. They are judged when it is.
func TestPaidBeforeTheChainIsKnown(t *testing.T) {
	t.Parallel()
	paid := func(t *testing.T, edits ...func(*part)) *host {
		h := newHost(t)
		h.add(nil)
		h.height = 0
		h.receive(h.pay("channel/1", 0, half, edits...))
		h.receive(h.pay("channel/2", 0, half))
		h.restart()
		h.nothingSent()
		require.Equal(t, pb.Status_OPEN, h.status())
		require.Contains(t, h.released, Holding{On: true})
		return h
	}
	known := func(h *host) {
		h.height = theHeight
		require.NoError(h.t, h.ask(Height{theHeight}))
	}
	t.Run("claimed", func(t *testing.T) {
		t.Parallel()
		h := paid(t)
		known(h)
		h.claimed("channel/1 0", "channel/2 0")
	})
	t.Run("came too late", func(t *testing.T) {
		t.Parallel()
		h := paid(t, func(p *part) { p.expiry, p.payload.Expiry = theHeight+79, 0 })
		known(h)
		h.failed(lnwire.CodeIncorrectOrUnknownPaymentDetails, "channel/1 0", "channel/2 0")
	})
	t.Run("judged once", func(t *testing.T) {
		t.Parallel()
		h := newHost(t)
		h.add(nil)
		h.height = 0
		h.receive(h.pay("channel/1", 0, half, func(p *part) { p.expiry, p.payload.Expiry = theHeight+80, 0 }))
		known(h)
		require.NoError(t, h.ask(Height{theHeight + 1}))
		h.nothingSent()
		h.receive(h.pay("channel/2", 0, half))
		h.claimed("channel/1 0", "channel/2 0")
	})
	t.Run("never known", func(t *testing.T) {
		t.Parallel()
		h := paid(t)
		h.now = h.now.Add(2 * time.Minute)
		require.NoError(t, h.ask(h.timers[timer].Body))
		h.failed(lnwire.CodeMPPTimeout, "channel/1 0", "channel/2 0")
	})
}

// TestR3: the claim is one commit for all channels and all monitors, so that none of them can be alone with the preimage.
func TestR3(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.add(nil)
	for n := range uint64(4) {
		h.receive(h.pay(durable.Address("channel/"+string(rune('1'+n))), n, theAmount/4))
		if n < 3 {
			h.nothingSent()
		}
		h.restart()
	}
	h.claimed("channel/1 0", "channel/2 1", "channel/3 2", "channel/4 3")
	for _, htlc := range h.state.stored.GetHtlcs() {
		require.Equal(t, pb.HTLCState_CLAIMED, htlc.GetState())
	}
}

// TestR4: a channel of the set is gone. Its monitor has the preimage all the same, by itself.
func TestR4(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.add(nil)
	h.receive(h.pay("channel/1", 0, half))
	h.receive(h.pay("channel/2", 0, half))
	var monitors []durable.Address
	for _, e := range h.takeSent() {
		if _, is := e.Body.(*channelpb.MonitorUpdate); is {
			monitors = append(monitors, e.To)
		}
	}
	require.ElementsMatch(t, []durable.Address{"monitor/1", "monitor/2"}, monitors)
}

// TestR5: two parts on one channel.
func TestR5(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.add(nil)
	h.receive(h.pay("channel/1", 0, half))
	h.receive(h.pay("channel/1", 1, half))
	updates := 0
	for _, e := range h.sent {
		if _, is := e.Body.(*channelpb.MonitorUpdate); is {
			updates++
		}
	}
	require.Equal(t, 1, updates, "one for both")
	h.claimed("channel/1 0", "channel/1 1")
}

// TestR6: what was claimed stays claimed through any number of restarts, and is claimed again when asked again.
func TestR6(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.add(nil)
	first, second := h.pay("channel/1", 0, half), h.pay("channel/2", 0, half)
	h.receive(first)
	h.receive(first)
	h.nothingSent()
	h.receive(second)
	h.claimed("channel/1 0", "channel/2 0")
	for range 2 {
		h.restart()
		h.nothingSent()
		require.Equal(t, pb.Status_SETTLED, h.status())
		h.receive(first)
		h.claimed("channel/1 0")
		h.receive(second)
		h.claimed("channel/2 0")
	}
	require.NoError(t, h.ask(tooLong{}))
	require.NoError(t, h.ask(Height{soon}))
	h.nothingSent()
	require.Equal(t, uint64(theAmount), h.state.stored.GetPaidMsat())

	h.receive(h.pay("channel/3", 0, half))
	h.failed(lnwire.CodeIncorrectOrUnknownPaymentDetails, "channel/3 0")
	require.Equal(t, pb.Status_SETTLED, h.status())
}

// TestR8: a part of the set was failed before the claim. Then nothing is claimed, and the preimage goes nowhere.
func TestR8(t *testing.T) {
	t.Parallel()
	t.Run("a part runs out of time", func(t *testing.T) {
		t.Parallel()
		h := newHost(t)
		h.add(func(r *Request) { hold(r); r.FinalCLTVDelta = 22 })
		h.receive(h.pay("channel/1", 0, half, func(p *part) { p.expiry, p.payload.Expiry = theHeight+22, theHeight+22 }))
		h.receive(h.pay("channel/2", 0, half))
		h.restart()
		require.NoError(t, h.ask(Height{theHeight + 2}))
		h.failed(lnwire.CodeIncorrectOrUnknownPaymentDetails, "channel/1 0", "channel/2 0")
		require.ErrorIs(t, h.ask(Settle{thePreimage}), ErrCanceled)
		h.nothingSent()
	})
	t.Run("while the rest is awaited", func(t *testing.T) {
		t.Parallel()
		h := newHost(t)
		h.add(func(r *Request) { r.FinalCLTVDelta = 22 })
		h.receive(h.pay("channel/1", 0, half, func(p *part) { p.expiry, p.payload.Expiry = theHeight+22, theHeight+22 }))
		h.height = theHeight + 2
		h.receive(h.pay("channel/2", 0, half))
		h.failed(lnwire.CodeIncorrectOrUnknownPaymentDetails, "channel/1 0", "channel/2 0")
		require.Equal(t, pb.Status_OPEN, h.status())
	})
	t.Run("before the rest came", func(t *testing.T) {
		t.Parallel()
		h := newHost(t)
		h.add(func(r *Request) { r.FinalCLTVDelta = 22 })
		h.receive(h.pay("channel/1", 0, half, func(p *part) { p.expiry, p.payload.Expiry = theHeight+22, theHeight+22 }))
		require.NoError(t, h.ask(Height{theHeight + 2}))
		h.failed(lnwire.CodeMPPTimeout, "channel/1 0")
		h.receive(h.pay("channel/2", 0, half))
		h.nothingSent()
	})
	t.Run("the parts do not agree", func(t *testing.T) {
		t.Parallel()
		h := newHost(t)
		h.add(nil)
		h.receive(h.pay("channel/1", 0, half))
		h.receive(h.pay("channel/2", 0, half, func(p *part) { p.payload.Payment.Total = theAmount + 1 }))
		h.failed(lnwire.CodeIncorrectOrUnknownPaymentDetails, "channel/1 0", "channel/2 0")
		require.Empty(t, h.timers)
		h.receive(h.pay("channel/1", 1, theAmount))
		h.claimed("channel/1 1")
	})
	t.Run("a part comes too many", func(t *testing.T) {
		t.Parallel()
		h := newHost(t)
		h.add(hold)
		h.receive(h.pay("channel/1", 0, theAmount))
		h.receive(h.pay("channel/1", 1, half))
		h.failed(lnwire.CodeIncorrectOrUnknownPaymentDetails, "channel/1 1")
		require.NoError(t, h.ask(Settle{thePreimage}))
		h.claimed("channel/1 0")
	})
	t.Run("cancelled while the rest is awaited", func(t *testing.T) {
		t.Parallel()
		h := newHost(t)
		h.add(nil)
		h.receive(h.pay("channel/1", 0, half))
		require.NoError(t, h.ask(Cancel{}))
		h.failed(lnwire.CodeIncorrectOrUnknownPaymentDetails, "channel/1 0")
		h.receive(h.pay("channel/2", 0, half))
		h.failed(lnwire.CodeIncorrectOrUnknownPaymentDetails, "channel/2 0")
	})
}

func TestSettleNeedsAPayment(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.add(hold)
	require.ErrorIs(t, h.ask(Settle{thePreimage}), ErrNotHeld)
	h.receive(h.pay("channel/1", 0, half))
	require.ErrorIs(t, h.ask(Settle{thePreimage}), ErrNotHeld)
	h.nothingSent()
}

// The nodes on the way may add to an HTLC. The set is complete only when all that the payer sent is there.
func TestWhatOthersAddDoesNotCount(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.add(nil)
	h.receive(h.pay("channel/1", 0, half, func(p *part) { p.amount = theAmount }))
	h.nothingSent()
	h.receive(h.pay("channel/2", 0, half))
	h.claimed("channel/1 0", "channel/2 0")
	require.Equal(t, uint64(theAmount+half), h.state.stored.GetPaidMsat())
}
