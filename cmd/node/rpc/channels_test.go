package rpc

import (
	"encoding/hex"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/channel"
	pb "stormcell/messages/channel"
	"stormcell/messages/lnrpc"
)

// aChannel is one that we opened, with an HTLC each way and one that is dust.
func aChannel() channel.Info {
	return channel.Info{
		Peer: nodeOf(2), Opener: true, Phase: pb.Phase_NORMAL, Connected: true, Active: true,
		Outpoint: btcwire.OutPoint{Hash: chainhash.Hash{1, 2, 3}, Index: 1},
		Scid:     lnwire.NewShortChanIDFromInt(110<<40 | 1<<16), Alias: lnwire.NewShortChanIDFromInt(16_000_000 << 40),
		PeerAlias: lnwire.NewShortChanIDFromInt(16_000_001 << 40),
		Capacity:  1_000_000, Push: 100_000_999, Local: 840_000_500, Remote: 100_000_499, CommitFee: 3167, CommitWeight: 1468,
		FeeRate: 2000, Sent: 9999, Received: 1001, Updates: 7,
		HTLCs: []channel.HTLCInfo{
			{ID: 4, Amount: 30_000_001, PaymentHash: [32]byte{4}, Expiry: 500},
			{ID: 5, Amount: 100_000, PaymentHash: [32]byte{5}, Expiry: 501}, // dust
			{Incoming: true, ID: 0, Amount: 29_899_999, PaymentHash: [32]byte{6}, Expiry: 502},
		},
		LocalTerms: channel.Terms{
			DustLimit: 354, MaxHTLCValueInFlight: 11, Reserve: 12, HTLCMinimum: 13, MaxAcceptedHTLCs: 14, ToSelfDelay: 15,
		},
		RemoteTerms: channel.Terms{
			DustLimit: 573, MaxHTLCValueInFlight: 21, Reserve: 22, HTLCMinimum: 23, MaxAcceptedHTLCs: 24, ToSelfDelay: 25,
		},
	}
}

func inPhase(phase pb.Phase, change func(*channel.Info)) channel.Info {
	c := aChannel()
	c.Phase, c.Active = phase, phase == pb.Phase_NORMAL
	c.Outpoint.Index = uint32(phase)
	if change != nil {
		change(&c)
	}
	return c
}

func TestListChannelsDescribesAsLndDoes(t *testing.T) {
	t.Parallel()
	l := newLightning(t, Node{Channels: &fakeChannels{all: []channel.Info{aChannel()}}})
	answer, err := l.ListChannels(t.Context(), &lnrpc.ListChannelsRequest{})
	require.NoError(t, err)
	require.Len(t, answer.Channels, 1)
	c := answer.Channels[0]

	require.True(t, c.Active)
	require.True(t, c.Initiator)
	peer := nodeOf(2)
	require.Equal(t, hex.EncodeToString(peer[:]), c.RemotePubkey)
	require.Equal(t, aChannel().Outpoint.String(), c.ChannelPoint)
	require.Equal(t, uint64(110<<40|1<<16), c.ChanId)
	// BOLT 3: (1124 + 2*172) * 2000 / 1000 = 2936 for the fee, and two anchors of 330.
	require.Equal(t, int64(840_000-2936-660), c.LocalBalance)
	require.Equal(t, int64(100_000), c.RemoteBalance)
	require.Equal(t, int64(3167), c.CommitFee)
	require.Equal(t, int64(1468), c.CommitWeight)
	require.Equal(t, int64(2000), c.FeePerKw)
	require.Equal(t, int64(30_000+100+29_899), c.UnsettledBalance)
	require.Equal(t, int64(9), c.TotalSatoshisSent)
	require.Equal(t, int64(1), c.TotalSatoshisReceived)
	require.Equal(t, uint64(7), c.NumUpdates)
	require.Equal(t, uint64(100_000), c.PushAmountSat)
	require.Equal(t, lnrpc.CommitmentType_ANCHORS, c.CommitmentType)
	require.Equal(t, "ChanStatusDefault", c.ChanStatusFlags)
	require.Equal(t, []uint64{16_000_000 << 40}, c.AliasScids)
	require.Equal(t, uint64(16_000_001<<40), c.PeerScidAlias)
	require.Empty(t, c.CloseAddress)
	require.Equal(t, &lnrpc.ChannelConstraints{
		CsvDelay: 25, ChanReserveSat: 22, DustLimitSat: 354, MaxPendingAmtMsat: 21, MinHtlcMsat: 23, MaxAcceptedHtlcs: 24,
	}, c.LocalConstraints)
	require.Equal(t, &lnrpc.ChannelConstraints{
		CsvDelay: 15, ChanReserveSat: 12, DustLimitSat: 573, MaxPendingAmtMsat: 11, MinHtlcMsat: 13, MaxAcceptedHtlcs: 14,
	}, c.RemoteConstraints)
	require.Len(t, c.PendingHtlcs, 3)
	hash := [32]byte{6}
	require.Equal(t, &lnrpc.HTLC{
		Incoming: true, Amount: 29_899, HashLock: hash[:], ExpirationHeight: 502, HtlcIndex: 0,
	}, c.PendingHtlcs[2])
}

func TestStatusFlags(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]channel.Info{
		"ChanStatusDefault":           {Phase: pb.Phase_NORMAL},
		"ChanStatusRestored":          {Phase: pb.Phase_NORMAL, Doubted: true},
		"ChanStatusLocalDataLoss":     {Phase: pb.Phase_CLOSING, Behind: true, Doubted: true},
		"ChanStatusCommitBroadcasted": {Phase: pb.Phase_CLOSING},
	} {
		require.Equal(t, want, statusFlags(&c))
	}
}

// TestBalancesWhereThePeerPays: the fee and the anchors come from the opener, as far as it has anything.
func TestBalancesWhereThePeerPays(t *testing.T) {
	t.Parallel()
	c := channel.Info{Local: 50_000, Remote: 2_000_000, FeeRate: 1000}
	local, remote := balances(&c)
	require.Equal(t, lnwire.MilliSatoshi(50_000), local)
	require.Equal(t, lnwire.MilliSatoshi(2_000_000-1_124_000-660_000), remote)
	c.Remote = 1000
	_, remote = balances(&c)
	require.Zero(t, remote)
}

func TestChannelsAreInOneList(t *testing.T) {
	t.Parallel()
	confirmed := func(c *channel.Info) { c.ClosedBy = chainhash.Hash{9} }
	published := func(c *channel.Info) { c.ClosingTxs = []chainhash.Hash{{7}, {8}} }
	node := &fakeChannels{all: []channel.Info{
		inPhase(pb.Phase_WAIT_ACCEPT, nil), inPhase(pb.Phase_WAIT_FUNDING, nil), inPhase(pb.Phase_WAIT_FUNDING_SIGNED, nil),
		inPhase(pb.Phase_WAIT_FUNDING_CREATED, nil),
		inPhase(pb.Phase_WAIT_CONFIRMED, func(c *channel.Info) {
			c.Confirmations, c.ConfirmedAt, c.ConfirmationsWanted, c.ForgetIn = 1, 700, 3, 2000
		}),
		inPhase(pb.Phase_WAIT_READY, nil), inPhase(pb.Phase_NORMAL, nil), inPhase(pb.Phase_SHUTTING_DOWN, nil),
		inPhase(pb.Phase_AGREED, published), inPhase(pb.Phase_CLOSING, published),
		inPhase(pb.Phase_CLOSING, func(c *channel.Info) { confirmed(c); c.Outpoint.Index = 99 }),
	}}
	l := newLightning(t, Node{Channels: node})
	listed, err := l.ListChannels(t.Context(), &lnrpc.ListChannelsRequest{})
	require.NoError(t, err)
	points := func(phases ...pb.Phase) (out []string) {
		for _, phase := range phases {
			c := inPhase(phase, nil)
			out = append(out, c.Outpoint.String())
		}
		return out
	}
	var got []string
	for _, c := range listed.Channels {
		got = append(got, c.ChannelPoint)
	}
	require.Equal(t, points(pb.Phase_WAIT_READY, pb.Phase_NORMAL, pb.Phase_SHUTTING_DOWN), got)

	pending, err := l.PendingChannels(t.Context(), &lnrpc.PendingChannelsRequest{})
	require.NoError(t, err)
	require.Len(t, pending.PendingOpenChannels, 1)
	opening := pending.PendingOpenChannels[0]
	require.Equal(t, points(pb.Phase_WAIT_CONFIRMED)[0], opening.Channel.ChannelPoint)
	require.Equal(t, uint32(2), opening.ConfirmationsUntilActive)
	require.Equal(t, int32(2000), opening.FundingExpiryBlocks)
	require.Equal(t, uint32(700), opening.ConfirmationHeight)
	require.Equal(t, lnrpc.Initiator_INITIATOR_LOCAL, opening.Channel.Initiator)
	require.Equal(t, int64(22), opening.Channel.LocalChanReserveSat)
	require.Len(t, pending.WaitingCloseChannels, 2)
	for _, closing := range pending.WaitingCloseChannels {
		require.Equal(t, chainhash.Hash{8}.String(), closing.ClosingTxid)
		require.Equal(t, closing.Channel.LocalBalance, closing.LimboBalance)
	}
	require.Equal(t, "ChanStatusCoopBroadcasted", pending.WaitingCloseChannels[0].Channel.ChanStatusFlags)
	require.Equal(t, "ChanStatusCommitBroadcasted", pending.WaitingCloseChannels[1].Channel.ChanStatusFlags)
	require.Len(t, pending.PendingForceClosingChannels, 1)
	require.Equal(t, chainhash.Hash{9}.String(), pending.PendingForceClosingChannels[0].ClosingTxid)
	require.Equal(t, 3*opening.Channel.LocalBalance, pending.TotalLimboBalance)

	balance, err := l.ChannelBalance(t.Context(), &lnrpc.ChannelBalanceRequest{})
	require.NoError(t, err)
	one := uint64(840_000_500 - 2_936_000 - 660_000)
	require.Equal(t, &lnrpc.ChannelBalanceResponse{
		Balance: int64(3 * one / 1000), PendingOpenBalance: int64(one / 1000),
		LocalBalance:             &lnrpc.Amount{Sat: 3 * one / 1000, Msat: 3 * one},
		RemoteBalance:            &lnrpc.Amount{Sat: 300_001, Msat: 300_001_497},
		UnsettledLocalBalance:    &lnrpc.Amount{Sat: 89_699, Msat: 89_699_997},
		UnsettledRemoteBalance:   &lnrpc.Amount{Sat: 90_300, Msat: 90_300_003},
		PendingOpenLocalBalance:  &lnrpc.Amount{Sat: one / 1000, Msat: one},
		PendingOpenRemoteBalance: &lnrpc.Amount{Sat: 100_000, Msat: 100_000_499},
	}, balance)
}

func TestListChannelsFilters(t *testing.T) {
	t.Parallel()
	away := aChannel()
	away.Active, away.Private, away.Peer = false, true, nodeOf(3)
	l := newLightning(t, Node{Channels: &fakeChannels{all: []channel.Info{aChannel(), away}}})
	here, there := nodeOf(2), nodeOf(3)
	for name, c := range map[string]struct {
		r    *lnrpc.ListChannelsRequest
		want [][33]byte
	}{
		"all":      {&lnrpc.ListChannelsRequest{}, [][33]byte{here, there}},
		"active":   {&lnrpc.ListChannelsRequest{ActiveOnly: true}, [][33]byte{here}},
		"inactive": {&lnrpc.ListChannelsRequest{InactiveOnly: true}, [][33]byte{there}},
		"public":   {&lnrpc.ListChannelsRequest{PublicOnly: true}, [][33]byte{here}},
		"private":  {&lnrpc.ListChannelsRequest{PrivateOnly: true}, [][33]byte{there}},
		"peer":     {&lnrpc.ListChannelsRequest{Peer: there[:]}, [][33]byte{there}},
		"nobody":   {&lnrpc.ListChannelsRequest{Peer: there[:], ActiveOnly: true}, nil},
	} {
		answer, err := l.ListChannels(t.Context(), c.r)
		require.NoError(t, err, name)
		var got [][33]byte
		for _, listed := range answer.Channels {
			key, err := hex.DecodeString(listed.RemotePubkey)
			require.NoError(t, err)
			got = append(got, [33]byte(key))
		}
		require.Equal(t, c.want, got, name)
	}
	for _, r := range []*lnrpc.ListChannelsRequest{
		{ActiveOnly: true, InactiveOnly: true}, {PublicOnly: true, PrivateOnly: true}, {Peer: []byte{2}}, {Peer: make([]byte, 33)},
	} {
		_, err := l.ListChannels(t.Context(), r)
		require.Equal(t, codes.InvalidArgument, status.Code(err), r)
	}
}

func TestCloseAddressIsShownWhereItBinds(t *testing.T) {
	t.Parallel()
	c := aChannel()
	c.Committed, c.CloseScript = true, append([]byte{txscript.OP_0, txscript.OP_DATA_20}, make([]byte, 20)...)
	odd := aChannel()
	odd.Committed, odd.CloseScript = true, []byte{txscript.OP_RETURN}
	l := newLightning(t, Node{Channels: &fakeChannels{all: []channel.Info{c, odd}}})
	answer, err := l.ListChannels(t.Context(), &lnrpc.ListChannelsRequest{})
	require.NoError(t, err)
	require.Equal(t, "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202", answer.Channels[0].CloseAddress)
	require.Empty(t, answer.Channels[1].CloseAddress)
}

func TestClosedChannels(t *testing.T) {
	t.Parallel()
	of := func(kind channel.CloseKind, height uint32) channel.ClosedInfo {
		return channel.ClosedInfo{
			Peer: nodeOf(2), Capacity: 1_000_000, Kind: kind, ClosingTx: chainhash.Hash{byte(kind)}, Height: height, Settled: 1999,
		}
	}
	l := newLightning(t, Node{Channels: &fakeChannels{closed: []channel.ClosedInfo{
		of(channel.ClosedTogether, 300), of(channel.ClosedByUs, 200), of(channel.ClosedByPeer, 400), of(channel.NeverFunded, 100),
	}}})
	kinds := func(r *lnrpc.ClosedChannelsRequest) (out []lnrpc.ChannelCloseSummary_ClosureType) {
		answer, err := l.ClosedChannels(t.Context(), r)
		require.NoError(t, err)
		for _, c := range answer.Channels {
			out = append(out, c.CloseType)
			require.Equal(t, int64(1), c.SettledBalance)
			require.Equal(t, lnrpc.Initiator_INITIATOR_REMOTE, c.OpenInitiator)
		}
		return out
	}
	const (
		together = lnrpc.ChannelCloseSummary_COOPERATIVE_CLOSE
		local    = lnrpc.ChannelCloseSummary_LOCAL_FORCE_CLOSE
		remote   = lnrpc.ChannelCloseSummary_REMOTE_FORCE_CLOSE
		canceled = lnrpc.ChannelCloseSummary_FUNDING_CANCELED
	)
	type kind = lnrpc.ChannelCloseSummary_ClosureType
	require.Equal(t, []kind{canceled, local, together, remote}, kinds(&lnrpc.ClosedChannelsRequest{}))
	require.Equal(t, []kind{together}, kinds(&lnrpc.ClosedChannelsRequest{Cooperative: true}))
	require.Equal(t, []kind{local, remote}, kinds(&lnrpc.ClosedChannelsRequest{LocalForce: true, RemoteForce: true}))
	require.Equal(t, []kind{canceled}, kinds(&lnrpc.ClosedChannelsRequest{FundingCanceled: true}))
	require.Empty(t, kinds(&lnrpc.ClosedChannelsRequest{Breach: true}))
}

func TestGetChanInfo(t *testing.T) {
	t.Parallel()
	at := aChannel()
	beginning := inPhase(pb.Phase_WAIT_CONFIRMED, func(c *channel.Info) { c.Scid = lnwire.ShortChannelID{} })
	l := newLightning(t, Node{Channels: &fakeChannels{all: []channel.Info{beginning, at}}})
	self, peer := nodeOf(1), nodeOf(2)
	keys := []string{hex.EncodeToString(self[:]), hex.EncodeToString(peer[:])}
	slices.Sort(keys)
	for _, r := range []*lnrpc.ChanInfoRequest{{ChanId: at.Scid.ToUint64()}, {ChanPoint: at.Outpoint.String()}} {
		edge, err := l.GetChanInfo(t.Context(), r)
		require.NoError(t, err)
		require.True(t, proto.Equal(&lnrpc.ChannelEdge{
			ChannelId: at.Scid.ToUint64(), ChanPoint: at.Outpoint.String(), Node1Pub: keys[0], Node2Pub: keys[1], Capacity: 1_000_000,
		}, edge), edge)
	}
	for r, want := range map[*lnrpc.ChanInfoRequest]codes.Code{
		{}:                                       codes.InvalidArgument,
		{ChanPoint: "ab:c"}:                      codes.InvalidArgument,
		{ChanId: 1}:                              codes.NotFound,
		{ChanPoint: beginning.Outpoint.String()}: codes.NotFound,
	} {
		_, err := l.GetChanInfo(t.Context(), r)
		require.Equal(t, want, status.Code(err), r)
	}
}
