package channel

import (
	"bytes"
	"fmt"

	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/actors/durable"
	"stormcell/chain/fees"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// incoming answers `open_channel`: the responder's first step.
func (t *turn) incoming(body Incoming) error {
	if t.phase != pb.Phase_NOWHERE {
		return refuse(pb.RefusalCode_BAD_REQUEST, "there is a channel at this address already")
	}
	m := body.Message
	t.peer, t.via, t.id = body.Peer, body.Link, m.PendingChannelID
	own, peer := t.Policy.ourTerms(m.FundingAmount), proposalOfOpen(m)
	if err := t.checkOpen(&body, &peer, &own); err != nil {
		t.write(t.wireError(err))
		t.out.Refuse = err
		return nil
	}
	contract, fundingKey, err := t.contract(body.Peer, false, body.KeyIndex, own)
	if err != nil {
		return err
	}
	setup := accepted(&pb.Setup{
		TemporaryId: m.PendingChannelID[:], Contract: contract, CapacitySat: uint64(m.FundingAmount),
		PushMsat: uint64(m.PushAmount), SatPerKw: m.FeePerKiloWeight, Announce: m.ChannelFlags&lnwire.FFAnnounceChannel != 0,
		ChannelType: peer.channelType, LocalShutdown: body.ShutdownScript, LocalFundingKey: fundingKey,
		MinimumDepth: t.Policy.minimumDepth(m.FundingAmount), SinceHeight: body.Height, CloseScript: body.CloseScript,
		Vouched: t.Doubt,
	}, &peer)
	accept, err := t.acceptChannel(setup, own)
	if err != nil {
		return err
	}
	t.event(&pb.SetupChanged{Phase: pb.Phase_WAIT_FUNDING_CREATED, Setup: setup})
	t.stage(&pb.Linked{Link: body.Link, Features: body.Features.Bytes()}, &pb.HeightSeen{Height: body.Height})
	t.write(accept)
	t.setOpeningPatience()
	if t.m.Asker.Waits() {
		t.release(durable.Reply{To: t.m.Asker})
	}
	return nil
}

// checkOpen holds `open_channel` against what we accept (BOLT 2, "The `open_channel` Message").
func (t *turn) checkOpen(body *Incoming, peer *proposal, own *Terms) error {
	m := body.Message
	if m.ChainHash != body.Chain {
		return violation("open_channel: %w: another chain", ErrTerms)
	}
	if err := checkType(peer.channelType, m.ChannelFlags&lnwire.FFAnnounceChannel != 0); err != nil {
		return violation("open_channel: %w", err)
	}
	rate := fees.SatPerKW(m.FeePerKiloWeight)
	if err := t.Policy.checkAmounts(m.FundingAmount, m.PushAmount, rate, own.Reserve, body.Features); err != nil {
		return violation("open_channel: %w", err)
	}
	t.features = body.Features
	if err := t.Policy.checkProposal(peer, own, m.FundingAmount, t.shutdownFeatures()); err != nil {
		return violation("open_channel: %w", err)
	}
	return nil
}

func (t *turn) acceptChannel(s *pb.Setup, terms Terms) (*wire.AcceptChannel, error) {
	open, err := t.openChannel(s, terms)
	if err != nil {
		return nil, err
	}
	return &wire.AcceptChannel{
		PendingChannelID: open.PendingChannelID, DustLimit: open.DustLimit, MaxValueInFlight: open.MaxValueInFlight,
		ChannelReserve: open.ChannelReserve, HtlcMinimum: open.HtlcMinimum, MinAcceptDepth: s.GetMinimumDepth(),
		CsvDelay: open.CsvDelay, MaxAcceptedHTLCs: open.MaxAcceptedHTLCs, FundingKey: open.FundingKey,
		RevocationPoint: open.RevocationPoint, PaymentPoint: open.PaymentPoint, DelayedPaymentPoint: open.DelayedPaymentPoint,
		HtlcPoint: open.HtlcPoint, FirstCommitmentPoint: open.FirstCommitmentPoint,
		UpfrontShutdownScript: open.UpfrontShutdownScript, ChannelType: open.ChannelType,
	}, nil
}

// fundingCreated completes the channel from the outpoint and the opener's signature. The funding transaction itself is the
// opener's business: it is seen when it confirms.
func (t *turn) fundingCreated(m *wire.FundingCreated) error {
	if !bytes.Equal(m.PendingChannelID[:], t.setup.GetTemporaryId()) {
		return violation("funding_created for another channel: %w", ErrUnexpected)
	}
	setup := funded(t.setup, m.FundingPoint)
	setup.SinceHeight = max(t.height, setup.GetSinceHeight())
	c, err := t.commitments(setup)
	if err != nil {
		return err
	}
	if err := t.begin(setup, c, m.CommitSig); err != nil {
		return err
	}
	signature, err := t.firstSignature(c)
	if err != nil {
		return fmt.Errorf("answer funding_created: %w", err)
	}
	t.write(&wire.FundingSigned{ChanID: c.ChannelID, CommitSig: signature})
	return nil
}
