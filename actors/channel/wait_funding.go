package channel

import (
	btcwire "github.com/btcsuite/btcd/wire"

	"stormcell/actors/durable"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// fundingReady hands the outpoint to the peer with our signature of its first commitment. The transaction stays here.
func (t *turn) fundingReady(body *pb.FundingReady) error {
	if t.phase != pb.Phase_WAIT_FUNDING {
		t.send(t.m.From, &pb.FundingReleased{}) // it comes too late: the opening was abandoned
		return nil
	}
	want := fundingOutput(t.setup)
	tx, err := fundingTx(body.GetTx(), body.GetOutput(), want)
	if err != nil {
		t.failOpening(err)
		return nil
	}
	outpoint := btcwire.OutPoint{Hash: tx.TxHash(), Index: body.GetOutput()}
	setup := funded(t.setup, outpoint)
	setup.FundingTx = body.GetTx()
	c, err := t.commitments(setup)
	if err != nil {
		return err
	}
	signature, err := t.firstSignature(c)
	if err != nil {
		t.failOpening(err)
		return nil
	}
	t.event(&pb.SetupChanged{Phase: pb.Phase_WAIT_FUNDING_SIGNED, Setup: setup})
	t.write(&wire.FundingCreated{PendingChannelID: t.id, FundingPoint: outpoint, CommitSig: signature})
	return nil
}

// fundingRefused ends an opening for which there are no coins.
func (t *turn) fundingRefused(body *pb.FundingRefused) error {
	if t.phase == pb.Phase_WAIT_FUNDING {
		t.write(t.wireError(refuse(pb.RefusalCode_INSUFFICIENT_FUNDS, "the funding is not possible")))
		t.abandon(body.GetReason())
	}
	return nil
}

// fundingSigned completes the channel; only once that is durable the funding transaction is broadcast (BOLT 2, "The
// `funding_signed` Message").
func (t *turn) fundingSigned(m *wire.FundingSigned) error {
	c, err := t.commitments(t.setup)
	if err != nil {
		return err
	}
	if m.ChanID != c.ChannelID {
		return violation("funding_signed for another channel: %w", ErrUnexpected)
	}
	setup := funded(t.setup, c.Active[0].Funding.Outpoint)
	setup.SinceHeight = t.height
	tx, err := fundingTx(setup.GetFundingTx(), setup.GetOutpoint().GetIndex(), c.Active[0].Funding.FundingOutput())
	if err != nil {
		return err
	}
	if err := t.begin(setup, c, m.CommitSig); err != nil {
		return err
	}
	t.send(durable.Address(setup.GetFunder()), &pb.FundingUsed{})
	t.release(Publish{Tx: tx})
	if t.opening.Waits() {
		t.release(durable.Reply{To: t.opening, Body: Opened{Outpoint: c.Active[0].Funding.Outpoint}})
	}
	return nil
}
