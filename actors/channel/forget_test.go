package channel

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "stormcell/messages/channel"
	"stormcell/messages/registry"
	"stormcell/peer/wire"
)

// TestAFundingIsLookedForBeforeItIsForgotten: a node that was away for weeks hears the height before the watcher has come to
// the block that has the funding.
func TestAFundingIsLookedForBeforeItIsForgotten(t *testing.T) {
	t.Parallel()
	o := unconfirmed(t, false)
	h := o.hosts[0]
	h.restart()
	h.tell(Height{Height: 100 + 3*forgetAfter})
	h.step()
	require.Equal(t, pb.Phase_WAIT_CONFIRMED, h.state.phase)
	for n := range uint32(searchTime) {
		h.tell(Height{Height: 100 + 3*forgetAfter + n})
		h.step()
		require.Equal(t, pb.Phase_WAIT_CONFIRMED, h.state.phase)
	}
	h.tell(Height{Height: 100 + 3*forgetAfter + searchTime})
	h.step()
	require.Equal(t, pb.Phase_ABANDONED, h.state.phase)
}

// TestAReorganisedFundingIsNotForgotten: it was in the chain, and will be again.
func TestAReorganisedFundingIsNotForgotten(t *testing.T) {
	t.Parallel()
	o := unconfirmed(t, false)
	h := o.hosts[0]
	h.tell(Height{Height: 100})
	h.tell(FundingConfirmed{Tx: o.published, Height: 2100, TxIndex: 3})
	h.tell(FundingUndone{})
	h.tell(Height{Height: 100 + forgetAfter})
	for h.step() {
	}
	require.Equal(t, pb.Phase_WAIT_CONFIRMED, h.state.phase)
	h.tell(FundingConfirmed{Tx: o.published, Height: 2120, TxIndex: 1})
	h.step()
	require.Equal(t, pb.Phase_WAIT_READY, h.state.phase)
}

// TestWhatNeverWasFundedIsForgotten, though it closes meanwhile: else a peer could leave channels behind that last for ever,
// and do not even count as pending.
func TestWhatNeverWasFundedIsForgotten(t *testing.T) {
	t.Parallel()
	for name, closes := range map[string]func(*opening) any{
		"the peer fails it": func(o *opening) any { return Received{Link: o.link, Message: &wire.Error{Data: []byte("no")}} },
		"the peer closes":   func(o *opening) any { return Received{Link: o.link, Message: &wire.Shutdown{Script: scriptOf(1)}} },
		"we fail it":        func(*opening) any { return ForceClose{} },
		"we close":          func(*opening) any { return Close{Script: scriptOf(0)} },
	} {
		for _, funded := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o := unconfirmed(t, false)
				h := o.hosts[0]
				tell := func(body any) {
					h.tell(body)
					for h.step() {
					}
				}
				tell(Height{Height: 100})
				tell(closes(o))
				require.Empty(t, h.refused)
				require.NotEqual(t, pb.Phase_WAIT_CONFIRMED, h.state.phase)
				require.Equal(t, registry.Standing_PENDING, h.state.standing().GetStanding())
				phase := h.state.phase
				h.takeSent()
				if funded {
					tell(FundingConfirmed{Tx: o.published, Height: 101, TxIndex: 3})
					require.Equal(t, registry.Standing_CLOSING, h.state.standing().GetStanding())
				}
				tell(Height{Height: 100 + forgetAfter})
				if funded {
					require.Equal(t, phase, h.state.phase)
					return
				}
				require.Equal(t, pb.Phase_ABANDONED, h.state.phase)
				sent := h.takeSent()
				require.Len(t, sent, 1)
				require.True(t, sent[0].Body.(*pb.MonitorUpdate).GetFinished())
			})
		}
	}
}
