package channel

import (
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/actors/durable"
	"stormcell/chain/bolt3"
	"stormcell/chain/fees"
	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// open offers a channel to the peer: the opener's first step.
func (t *turn) open(body Open) error {
	if t.phase != pb.Phase_NOWHERE {
		return refuse(pb.RefusalCode_BAD_REQUEST, "there is a channel at this address already")
	}
	if body.ScidAlias && body.Announce {
		return refuse(pb.RefusalCode_BAD_REQUEST, "a channel that is announced cannot have an alias for its short id")
	}
	terms := t.Policy.ourTerms(body.Capacity)
	if err := t.Policy.checkAmounts(body.Capacity, body.Push, body.FeeRate, terms.Reserve, body.Features); err != nil {
		return refuse(pb.RefusalCode_BAD_REQUEST, "%v", err)
	}
	contract, fundingKey, err := t.contract(body.Peer, true, body.KeyIndex, terms)
	if err != nil {
		return err
	}
	setup := &pb.Setup{
		TemporaryId: body.TemporaryID[:], Contract: contract, CapacitySat: uint64(body.Capacity), PushMsat: uint64(body.Push),
		SatPerKw: uint32(body.FeeRate), FundingSatPerKw: uint32(body.FundingFeeRate), Announce: body.Announce,
		ChannelType: channelType(body.ScidAlias), LocalShutdown: body.ShutdownScript, LocalFundingKey: fundingKey,
		Funder: string(body.Funder), CloseScript: body.CloseScript, Vouched: t.Doubt,
	}
	message, err := t.openChannel(setup, terms)
	if err != nil {
		return err
	}
	message.ChainHash = body.Chain
	t.peer, t.via = body.Peer, body.Link
	t.event(&pb.SetupChanged{Phase: pb.Phase_WAIT_ACCEPT, Setup: setup})
	t.stage(&pb.Linked{Link: body.Link, Features: body.Features.Bytes()}, &asked{asker: t.m.Asker})
	t.write(message)
	t.setOpeningPatience()
	return nil
}

// openChannel is the setup as it goes over the wire.
func (t *turn) openChannel(s *pb.Setup, terms Terms) (*wire.OpenChannel, error) {
	first, err := t.Signer.CommitmentPoint(s.GetContract().GetKeyIndex(), 0)
	if err != nil {
		return nil, fmt.Errorf("first commitment point: %w", err)
	}
	basepoints := must(func(r *reader) keys.Basepoints { return r.basepoints(s.GetContract().GetLocalBasepoints()) })
	m := &wire.OpenChannel{
		PendingChannelID: [32]byte(s.GetTemporaryId()), FundingAmount: btcutil.Amount(s.GetCapacitySat()),
		PushAmount: wire.MilliSatoshi(s.GetPushMsat()), FeePerKiloWeight: s.GetSatPerKw(),
		DustLimit: terms.DustLimit, MaxValueInFlight: terms.MaxHTLCValueInFlight, ChannelReserve: terms.Reserve,
		HtlcMinimum: terms.HTLCMinimum, MaxAcceptedHTLCs: terms.MaxAcceptedHTLCs, CsvDelay: terms.ToSelfDelay,
		FundingKey: mustKey(s.GetLocalFundingKey()), RevocationPoint: basepoints.Revocation, PaymentPoint: basepoints.Payment,
		DelayedPaymentPoint: basepoints.DelayedPayment, HtlcPoint: basepoints.HTLC, FirstCommitmentPoint: first,
		UpfrontShutdownScript: s.GetLocalShutdown(), ChannelType: wireType(s.GetChannelType()),
	}
	if s.GetAnnounce() {
		m.ChannelFlags = lnwire.FFAnnounceChannel
	}
	return m, nil
}

// acceptReceived takes the peer's part, and asks for a funding transaction (BOLT 2, "The `accept_channel` Message").
func (t *turn) acceptReceived(m *wire.AcceptChannel) error {
	own := termsOf(t.setup.GetContract().GetLocal())
	peer := proposalOfAccept(m)
	capacity := btcutil.Amount(t.setup.GetCapacitySat())
	if err := t.Policy.checkProposal(&peer, &own, capacity, t.shutdownFeatures()); err != nil {
		return violation("accept_channel: %w", err)
	}
	if m.MinAcceptDepth > deepest {
		return violation("accept_channel: %w: minimum_depth %d", ErrTerms, m.MinAcceptDepth)
	}
	if string(peer.channelType) != string(t.setup.GetChannelType()) {
		return violation("accept_channel: %w: another channel_type than we asked for", ErrTerms)
	}
	rate, push := fees.SatPerKW(t.setup.GetSatPerKw()), wire.MilliSatoshi(t.setup.GetPushMsat())
	if err := t.Policy.checkAmounts(capacity, push, rate, peer.terms.Reserve, t.features); err != nil {
		return violation("accept_channel: %w", err)
	}
	setup := accepted(t.setup, &peer)
	setup.MinimumDepth = m.MinAcceptDepth
	t.event(&pb.SetupChanged{Phase: pb.Phase_WAIT_FUNDING, Setup: setup})
	t.send(durable.Address(setup.GetFunder()), &pb.FundingWanted{
		AmountSat: setup.GetCapacitySat(), PkScript: fundingOutput(setup).PkScript,
		SatPerKw: setup.GetFundingSatPerKw(),
	})
	return nil
}

// shutdownFeatures are what the connection has negotiated about scripts.
func (t *turn) shutdownFeatures() bolt3.ShutdownFeatures {
	return bolt3.ShutdownFeatures{
		AnySegwit: t.features.Offers(wire.ShutdownAnySegwit), SimpleClose: t.features.Offers(wire.SimpleClose),
	}
}
