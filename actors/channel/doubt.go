package channel

import (
	"math"

	pb "stormcell/messages/channel"
)

// An old copy of a node's data knows commitments that were revoked since it was made, and the peer takes everything from who
// publishes one of those. Nothing in the copy tells that it is old. So where the node's data is doubted (it was restored, it lies
// elsewhere than it did, it has lost commits) no commitment of ours is published, whatever the peer says and whatever deadline
// passes, until the peer has shown by `channel_reestablish` that it knows of nothing newer.
//
// Doubts have numbers, and each channel stores the last one that does not concern it; so a restart in between changes nothing.

// forGood vouches against all doubts to come: a commitment that was published will never be revoked.
const forGood = math.MaxUint64

// isDoubted tells whether our latest commitment may be one that we have revoked. What a channel publishes to close stays its
// latest, in all copies that are made from then on.
func (t *turn) isDoubted() bool {
	if t.phase == pb.Phase_CLOSING {
		return t.closing.GetBehind() || t.closing.GetUnproven()
	}
	return t.setup.GetVouched() < t.Doubt
}

// vouch ends the doubt about the channel: the peer has shown that it knows of nothing newer.
func (t *turn) vouch() {
	if !t.isDoubted() {
		return
	}
	t.event(&pb.Vouched{Doubt: t.Doubt})
	t.monitor(&pb.MonitorUpdate{Vouched: t.Doubt})
	t.release(Proved{})
}

// withhold does not publish our commitment, and says so.
func (t *turn) withhold(reason string) {
	if t.withheld != reason {
		t.stage(&pb.Withheld{Reason: reason})
		t.release(Withheld{Reason: reason})
	}
}
