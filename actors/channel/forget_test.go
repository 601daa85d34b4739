package channel

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "stormcell/messages/channel"
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
