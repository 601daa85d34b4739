package channel

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	btcwire "github.com/btcsuite/btcd/wire"

	"stormcell/actors/durable"
	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
)

// fail closes the channel by a commitment: ours, which is published once this is durable, unless we are behind. What is on
// the commitments is the monitor's from now on; what never was on one is refused.
func (t *turn) fail(why *pb.Closing) {
	if t.phase >= pb.Phase_CLOSING {
		return
	}
	if t.isDoubted() && !why.GetBehind() {
		t.withhold(why.GetReason())
		return
	}
	t.event(&pb.Failed{Closing: why})
	t.release(Failing{Reason: why.GetReason()})
	t.refuseAllWaiting(refuse(pb.RefusalCode_NOT_OPEN, "the channel is closing"))
	t.stage(&pb.Unlinked{})
	if why.GetBehind() {
		t.monitor(&pb.MonitorUpdate{Behind: true})
	} else {
		t.monitor(&pb.MonitorUpdate{Vouched: forGood})
		t.publishLatest()
	}
}

// letGo hears no more of a peer with whom the closing is agreed. It may have forgotten the channel once that transaction was
// published, and be surprised by our channel_reestablish; a commitment would only compete.
func (t *turn) letGo() { t.stage(&pb.Unlinked{}) }

// forceClose closes at the wish of the user.
func (t *turn) forceClose() error {
	if t.c == nil || t.phase >= pb.Phase_CLOSING || t.phase == pb.Phase_ABANDONED {
		return notOpen(t.phase)
	}
	if t.isDoubted() {
		return refuse(pb.RefusalCode_DOUBTED, "this node's data may be an old copy, and then its commitment would lose all that is "+
			"in the channel: it can be published once the peer has connected and shown that it knows of no newer one")
	}
	why := &pb.Closing{Reason: "closed by the user"}
	t.write(t.wireError(errors.New(why.GetReason())))
	t.fail(why)
	t.release(durable.Reply{To: t.m.Asker})
	return nil
}

// publish publishes once more what closes the channel.
func (t *turn) publish() {
	if !t.closing.GetBehind() && !t.closing.GetUnproven() {
		t.publishLatest()
	}
}

// publishLatest publishes our latest commitment: the last that the peer signed and that we have not revoked.
func (t *turn) publishLatest() {
	for _, a := range t.c.Active {
		tx, err := t.c.latest(a, t.Signer)
		if err != nil {
			t.release(durable.SetTimer{Key: retry, After: t.Policy.OfflinePatience, Body: publishNow{}})
			return
		}
		t.release(Publish{Tx: tx})
	}
}

// latest is our latest commitment on a funding, ready to be published.
func (c *Commitments) latest(a *Commitment, signer keys.Signer) (*btcwire.MsgTx, error) {
	commitment, err := c.localCommitment(a, c.LocalNumber, localLatest, signer)
	if err != nil {
		return nil, err
	}
	own, err := signer.Sign([]keys.SignRequest{commitment.SignRequest(a.FundingKey)})
	if err != nil {
		return nil, fmt.Errorf("sign our commitment %d: %w", c.LocalNumber, err)
	}
	return commitment.Signed(own[0], a.Signature), nil
}

// fundingSpend keeps the channel from offering HTLCs over a funding that somebody spends, unless that is undone.
func (t *turn) fundingSpend(body FundingSpend) error {
	if body.TxID == nil {
		t.stage(&pb.SpendSeen{})
		return nil
	}
	t.stage(&pb.SpendSeen{Txid: body.TxID[:]})
	if len(t.waiting) == 0 {
		return nil
	}
	why := refuse(pb.RefusalCode_NOT_OPEN, "transaction %s closes the channel", body.TxID)
	t.refuseAllWaiting(why)
	t.hangup(why) // takes back what is proposed
	return nil
}

// fundingSpent ends a channel whose funding was spent. What the transaction is, and what is to be done about it, is for the
// monitor, which watches for itself.
func (t *turn) fundingSpent(body FundingSpent) error {
	if t.c == nil || t.phase == pb.Phase_CLOSED || t.phase == pb.Phase_ABANDONED {
		return nil
	}
	if !t.c.isCommitment(body.Tx) {
		t.event(&pb.Closed{})
		t.monitor(&pb.MonitorUpdate{Finished: true})
		t.out.Done = true
		return nil
	}
	if t.phase == pb.Phase_CLOSING {
		return nil
	}
	t.event(&pb.Failed{Closing: &pb.Closing{
		Reason: fmt.Sprintf("transaction %s spent the funding", body.Tx.TxHash()), Unproven: t.isDoubted(),
	}})
	t.refuseAllWaiting(refuse(pb.RefusalCode_NOT_OPEN, "the channel is closed"))
	t.stage(&pb.Unlinked{})
	return nil
}

// isCommitment tells a commitment from a closing transaction: nothing else that spends the funding was ever signed. The peer
// may publish a closing transaction that we signed, and we never hear that it agreed.
func (c *Commitments) isCommitment(tx *btcwire.MsgTx) bool {
	return slices.ContainsFunc(c.Active, func(a *Commitment) bool {
		_, is := a.Funding.CommitmentNumber(tx)
		return is
	})
}

// resumeClosing publishes once more what both sides signed.
func (t *turn) resumeClosing() {
	for _, raw := range t.shutdown.GetTxs() {
		if tx, err := readTx(raw); err == nil { // we wrote it ourselves
			t.release(Publish{Tx: tx})
		}
	}
}

func readTx(raw []byte) (*btcwire.MsgTx, error) {
	tx := btcwire.NewMsgTx(2)
	if err := tx.Deserialize(bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("transaction: %w", err)
	}
	return tx, nil
}

// heightSeen notes how many blocks there are, and closes the channel when the peer lets a deadline pass (BOLT 2,
// "`cltv_expiry_delta` Selection").
func (t *turn) heightSeen(height uint32) error {
	if height == 0 {
		return nil
	}
	t.stage(&pb.HeightSeen{Height: height})
	if t.c == nil || t.forget(height) || t.phase >= pb.Phase_CLOSING {
		return nil
	}
	if why := t.c.overdue(height, &t.Policy); why != "" && t.withheld == "" {
		t.write(t.wireError(errors.New(why)))
		t.fail(&pb.Closing{Reason: why})
		return nil
	}
	if t.height == 0 && t.synced {
		t.proposeWaiting(height)
		t.wantSign()
	} else {
		t.refuseExpired(height)
	}
	return nil
}

// overdue says which HTLC can no longer be left to the peer.
func (c *Commitments) overdue(height uint32, p *Policy) string {
	for _, h := range c.HTLCs[Local] {
		if h.Add > Proposed && height >= h.Expiry+p.TimeoutGrace {
			return fmt.Sprintf("our HTLC %d expired at %d and is still there at %d", h.ID, h.Expiry, height)
		}
	}
	for _, h := range c.HTLCs[Remote] {
		if h.Removal != nil && h.Removal.Preimage != nil && height+p.FulfillDeadline >= h.Expiry {
			return fmt.Sprintf("the peer does not let go of HTLC %d, which we claimed and which expires at %d", h.ID, h.Expiry)
		}
	}
	return ""
}
