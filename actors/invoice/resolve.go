package invoice

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/invoice"
	"stormcell/peer/onion"
)

// settle claims a held invoice with the preimage that was kept back.
func (t *turn) settle(preimage [32]byte) {
	switch {
	case sha256.Sum256(preimage[:]) != hashOf(t.env.Self()):
		t.refuse(ErrWrongPreimage)
	case t.i.GetStatus() == pb.Status_SETTLED:
		t.refuse(ErrSettled)
	case t.i.GetStatus() == pb.Status_CANCELED, lapsed(t.i, t.env.Now()):
		t.refuse(ErrCanceled)
	case t.i.GetStatus() != pb.Status_HELD:
		t.refuse(ErrNotHeld)
	case t.Height() == 0:
		t.refuse(ErrNoChain)
	case t.runsOut(t.Height()):
		t.giveBack()
		t.refuse(ErrCanceled)
	default:
		t.change().Preimage = bytes.Clone(preimage[:])
		t.claim()
		t.reply(nil)
	}
}

// cancel gives back what was paid.
func (t *turn) cancel() {
	switch t.i.GetStatus() {
	case pb.Status_SETTLED:
		t.refuse(ErrSettled)
		return
	case pb.Status_OPEN, pb.Status_HELD:
		t.giveBack()
	}
	t.reply(nil)
}

// giveBack cancels the invoice.
func (t *turn) giveBack() {
	i := t.change()
	i.Status, i.ClosedNs = pb.Status_CANCELED, t.now()
	t.failSet(nil)
}

// newHeight gives a set back whose time runs out before it is claimed, and judges what came while the chain was not known.
func (t *turn) newHeight(height uint32) {
	switch {
	case t.runsOut(height) && t.i.GetStatus() == pb.Status_HELD:
		t.giveBack()
	case t.runsOut(height):
		t.failSet(&lnwire.FailMPPTimeout{})
	case t.cameTooLate(height):
		t.failSet(nil)
	case t.waits(t.i):
		t.inTime(height)
		t.complete(height)
	}
}

// inTime notes that what came while the chain was not known came in time.
func (t *turn) inTime(height uint32) {
	for n, h := range t.i.GetHtlcs() {
		if h.GetState() == pb.HTLCState_ACCEPTED && h.GetAcceptedHeight() == 0 {
			t.change().Htlcs[n].AcceptedHeight = height
		}
	}
}

// cameTooLate tells whether an HTLC that came while the chain was not known had less time left than was asked for. The blocks
// since then count against it: nobody knows when they were found.
func (t *turn) cameTooLate(height uint32) bool {
	for _, h := range t.i.GetHtlcs() {
		if h.GetState() == pb.HTLCState_ACCEPTED && h.GetAcceptedHeight() == 0 && t.waits(t.i) &&
			uint64(h.GetExpiry()) < uint64(height)+uint64(t.i.GetFinalCltvDelta()) {
			return true
		}
	}
	return false
}

// runsOut tells whether an HTLC of the set is so close to its expiry that it must not be claimed any more.
func (t *turn) runsOut(height uint32) bool {
	for _, h := range t.i.GetHtlcs() {
		if h.GetState() == pb.HTLCState_ACCEPTED && uint64(h.GetExpiry()) <= uint64(height)+uint64(t.Policy.ClaimMargin) {
			return true
		}
	}
	return false
}

// waitedTooLong fails a set whose rest did not come. When the clock was set back, there is more to wait.
func (t *turn) waitedTooLong() {
	switch {
	case !t.waits(t.i):
	case t.env.Now().Before(t.deadline(t.i)):
		t.release(t.timeout(t.i, t.env))
	default:
		t.failSet(&lnwire.FailMPPTimeout{})
	}
}

// claim settles the invoice: all HTLCs of the set are claimed in this commit, off the chain and on it.
func (t *turn) claim() {
	i := t.change()
	i.Status, i.ClosedNs = pb.Status_SETTLED, t.now()
	var set []*pb.HTLC
	for _, h := range i.Htlcs {
		if h.State == pb.HTLCState_ACCEPTED {
			h.State, h.Secret, h.ResolvedNs = pb.HTLCState_CLAIMED, nil, t.now()
			i.PaidMsat += h.AmountMsat
			set = append(set, h)
		}
	}
	t.sendClaims(set)
}

// sendClaims tells channels and their monitors the preimage.
func (t *turn) sendClaims(set []*pb.HTLC) {
	var channels []durable.Address
	updates := map[durable.Address]*channelpb.MonitorUpdate{}
	for _, h := range set {
		at := durable.Address(h.GetChannel())
		if updates[at] == nil {
			channels, updates[at] = append(channels, at), &channelpb.MonitorUpdate{}
		}
		updates[at].Preimages = append(updates[at].Preimages, &channelpb.Preimage{
			By: channelpb.Side_REMOTE, Id: h.GetId(), Preimage: t.i.GetPreimage(),
		})
		t.send(at, &channelpb.FulfillHTLC{Id: h.GetId(), Preimage: t.i.GetPreimage()})
	}
	for _, at := range channels {
		t.send(channel.MonitorOf(at), updates[at])
	}
}

// failSet fails every HTLC that is held; nil stands for the failure of what is not welcome.
func (t *turn) failSet(failure lnwire.FailureMessage) {
	for _, h := range t.change().Htlcs {
		if h.State != pb.HTLCState_ACCEPTED {
			continue
		}
		said := failure
		if said == nil {
			said = t.wrongDetails(h.AmountMsat)
		}
		t.sendFailure(h.Channel, h.Id, onion.Secret(h.Secret), said)
		failed(h, t.now())
	}
}

// failed marks an HTLC as failed, and keeps no more of it than is shown.
func failed(h *pb.HTLC, now int64) {
	h.State, h.ResolvedNs, h.Secret, h.Records = pb.HTLCState_FAILED, now, nil, nil
}

// keepFailed remembers an HTLC that was failed at once.
func (t *turn) keepFailed(part *pb.HTLC) {
	failed(part, t.now())
	i := t.change()
	i.Htlcs = append(i.Htlcs, part)
}

func (t *turn) sendFailure(to string, id uint64, secret onion.Secret, failure lnwire.FailureMessage) {
	reason, err := onion.Fail(secret, failure)
	if err != nil {
		panic(fmt.Errorf("invoice: %w", err))
	}
	t.send(durable.Address(to), &channelpb.FailHTLC{Id: id, Reason: reason})
}

func (t *turn) sendMalformed(in *channelpb.IncomingHTLC, m *onion.Malformed) {
	t.send(t.m.From, &channelpb.FailMalformedHTLC{Id: in.GetId(), Malformed: &channelpb.Malformed{
		OnionHash: m.OnionHash[:], Code: uint32(m.Code),
	}})
}
