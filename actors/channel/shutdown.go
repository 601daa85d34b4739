package channel

import (
	"bytes"
	"slices"

	"stormcell/actors/durable"
	"stormcell/chain/bolt3"
	"stormcell/chain/fees"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// Close asks to close the channel together with the peer.
type Close struct {
	Script  []byte // where our funds go; empty for the script that was set at opening
	FeeRate fees.SatPerKW
}

// isShutting tells whether the channel is on its way to a cooperative close.
func isShutting(phase pb.Phase) bool {
	return phase == pb.Phase_SHUTTING_DOWN || phase == pb.Phase_AGREED
}

// close begins a cooperative close. Until the peer plays along nothing is lost: ForceClose works as before.
func (t *turn) close(body Close) error {
	if t.c == nil || t.phase >= pb.Phase_CLOSING || t.phase == pb.Phase_ABANDONED {
		return notOpen(t.phase)
	}
	if len(t.shutdown.GetLocalScript()) > 0 {
		return refuse(pb.RefusalCode_BAD_REQUEST, "the channel is closing already")
	}
	script := body.Script
	if committed := t.setup.GetLocalShutdown(); len(committed) > 0 {
		if len(script) > 0 && !bytes.Equal(script, committed) {
			return refuse(pb.RefusalCode_BAD_REQUEST, "this channel was opened to close to script %x alone", committed)
		}
		script = committed
	}
	if len(script) == 0 {
		script = t.setup.GetCloseScript()
	}
	features := t.shutdownFeatures()
	if t.link == 0 {
		features.AnySegwit = true // nearly every peer has it, and this one cannot be asked now
	}
	if err := bolt3.CheckShutdownScript(script, features); err != nil {
		return refuse(pb.RefusalCode_BAD_REQUEST, "close: %v", err)
	}
	t.event(&pb.ShutdownWanted{Script: script, SatPerKw: uint32(body.FeeRate.Clamp())})
	t.release(durable.Reply{To: t.m.Asker})
	t.wantSign()
	return nil
}

// shutdownReceived answers the peer's wish to close (BOLT 2, "Closing Initiation: `shutdown`").
func (t *turn) shutdownReceived(m *wire.Shutdown) error {
	if err := t.checkPeerScript(m.Script); err != nil {
		return err
	}
	if slices.ContainsFunc(t.c.HTLCs[Remote], func(h *HTLC) bool { return h.Add == Proposed }) {
		return violation("shutdown with an HTLC that is not signed: %w", ErrUnexpected)
	}
	if !bytes.Equal(m.Script, t.shutdown.GetRemoteScript()) {
		t.event(&pb.ShutdownReceived{Script: m.Script})
	}
	t.stage(&pb.ShutdownSaid{By: pb.Side_REMOTE})
	if len(t.shutdown.GetLocalScript()) == 0 {
		t.answerShutdown()
	}
	t.wantSign()
	return nil
}

// answerShutdown closes to the script that was set at opening. Without one the user has to say where to.
func (t *turn) answerShutdown() {
	script := t.setup.GetLocalShutdown()
	if len(script) == 0 {
		script = t.setup.GetCloseScript()
	}
	if len(script) > 0 {
		t.event(&pb.ShutdownWanted{Script: script, SatPerKw: uint32(t.c.feeRate(everything).Clamp())})
	}
}

// checkPeerScript holds a script of the peer against what is allowed, and what it committed to at opening.
func (t *turn) checkPeerScript(script []byte) error {
	if err := bolt3.CheckShutdownScript(script, t.shutdownFeatures()); err != nil {
		return violation("peer's closing script: %w", err)
	}
	if committed := t.setup.GetRemoteShutdown(); len(committed) > 0 && !bytes.Equal(committed, script) {
		return violation("peer's closing script is not the one it committed to: %w", ErrUnexpected)
	}
	return nil
}

// goOnClosing takes a cooperative close as far as it goes now. It is called when all updates of ours are signed.
func (t *turn) goOnClosing() error {
	if !t.synced || !isShutting(t.phase) || len(t.shutdown.GetLocalScript()) == 0 {
		return nil
	}
	if !t.said[Local] {
		t.write(&wire.Shutdown{ChanID: t.c.ChannelID, Script: t.shutdown.GetLocalScript()})
		t.stage(&pb.ShutdownSaid{By: pb.Side_LOCAL})
	}
	if !t.said[Remote] || !t.c.clean() || t.offer != nil {
		return nil
	}
	if t.features.Offers(wire.SimpleClose) {
		return t.offerSimple()
	}
	if t.c.Opener {
		return t.offerLegacy()
	}
	return nil
}

// mayNegotiate tells whether closing messages are in order.
func (t *turn) mayNegotiate(m wire.Message) error {
	if !isShutting(t.phase) || !t.said[Local] || !t.said[Remote] || !t.c.clean() {
		return violation("%s before the channel is empty: %w", wire.Name(m.MsgType()), ErrUnexpected)
	}
	return nil
}

// payout is what a side takes out.
func (t *turn) payout(s Side) bolt3.Payout {
	script := t.shutdown.GetLocalScript()
	if s == Remote {
		script = t.shutdown.GetRemoteScript()
	}
	return bolt3.Payout{Balance: t.c.Active[0].Balance[s], PkScript: script}
}
