package channel

import (
	"fmt"

	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// received takes a wire message of the connection that is there; what an older one still brings does not count.
func (t *turn) received(body Received) error {
	if body.Link != t.link || t.link == 0 || t.phase >= pb.Phase_CLOSING || t.phase == pb.Phase_ABANDONED {
		return nil
	}
	if m, ok := body.Message.(*wire.ChannelUpdate); ok {
		return t.forwardingReceived(m)
	}
	if isOpening(t.phase) {
		return t.receivedInOpening(body.Message)
	}
	switch m := body.Message.(type) {
	case *wire.Error:
		t.errorReceived(m)
		return nil
	case *wire.Warning:
		return nil // the connection logs it
	case *wire.AnnouncementSignatures:
		return nil // the channel is not announced: that takes both sides
	case *wire.ChannelReestablish:
		if t.synced {
			return violation("channel_reestablish again: %w", ErrUnexpected)
		}
		return t.reestablished(m)
	}
	// lnd may say channel_ready before its channel_reestablish, and does no harm.
	if _, ready := body.Message.(*wire.ChannelReady); !t.synced && !ready {
		return violation("%s before channel_reestablish: %w", wire.Name(body.Message.MsgType()), ErrUnexpected)
	}
	return t.operate(body.Message)
}

// anyTrouble is the `error` that lnd sends for any trouble of its own. It goes on with the channel after a reconnection,
// and so do other nodes that hear it.
const anyTrouble = "internal error"

// errorReceived closes the channel at the peer's word, unless that is not what it means.
func (t *turn) errorReceived(m *wire.Error) {
	switch {
	case t.phase == pb.Phase_AGREED:
		t.letGo()
	case string(m.Data) == anyTrouble:
		t.hangup(fmt.Errorf("the peer has trouble: %s", anyTrouble))
	case t.said[Local] && t.features.Offers(wire.SimpleClose):
		// lnd says so of any trouble with closing, such as that it does not find the channel in its graph yet. It keeps the
		// channel, and waits for another shutdown.
		t.hangup(fmt.Errorf("the peer cannot close the channel together now: %.200q", string(m.Data)))
	default:
		t.fail(&pb.Closing{Reason: fmt.Sprintf("the peer failed the channel: %.200q", string(m.Data))})
	}
}

// operate takes a message of normal operation.
func (t *turn) operate(m wire.Message) error {
	signatures, signed := m.(*wire.CommitSig)
	if t.batchSize > 0 && !signed {
		return violation("%s within a batch of commitment_signed: %w", wire.Name(m.MsgType()), ErrUnexpected)
	}
	switch m := m.(type) {
	case *wire.ChannelReady:
		return t.readyReceived(m)
	case *wire.Shutdown:
		return t.shutdownReceived(m)
	case *wire.ClosingSigned:
		return t.closingSignedReceived(m)
	case *wire.ClosingComplete:
		return t.closingCompleteReceived(m)
	case *wire.ClosingSig:
		return t.closingSigReceived(m)
	}
	if !t.isReady() {
		return violation("%s before channel_ready: %w", wire.Name(m.MsgType()), ErrUnexpected)
	}
	if signed {
		return t.signaturesReceived(signatures)
	}
	switch m := m.(type) {
	case *wire.StartBatch:
		return t.batchStarted(m)
	case *wire.UpdateAddHTLC, *wire.UpdateFulfillHTLC, *wire.UpdateFailHTLC, *wire.UpdateFailMalformedHTLC, *wire.UpdateFee:
		return t.updateReceived(m)
	case *wire.RevokeAndAck:
		return t.revocationReceived(m)
	default:
		return violation("%s: %w", wire.Name(m.MsgType()), ErrUnexpected)
	}
}

// receivedInOpening takes a message of an opening: each phase waits for one.
func (t *turn) receivedInOpening(m wire.Message) error {
	switch m := m.(type) {
	case *wire.Error:
		t.abandon(fmt.Sprintf("the peer refused the channel: %.200q", string(m.Data)))
		return nil
	case *wire.Warning:
		return nil
	case *wire.AcceptChannel:
		if t.phase == pb.Phase_WAIT_ACCEPT {
			return t.acceptReceived(m)
		}
	case *wire.FundingSigned:
		if t.phase == pb.Phase_WAIT_FUNDING_SIGNED {
			return t.fundingSigned(m)
		}
	case *wire.FundingCreated:
		if t.phase == pb.Phase_WAIT_FUNDING_CREATED {
			return t.fundingCreated(m)
		}
	}
	return violation("%s in phase %s: %w", wire.Name(m.MsgType()), t.phase, ErrUnexpected)
}
