package rpc

import (
	"context"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	pb "stormcell/messages/channel"
	"stormcell/messages/lnrpc"
)

func TestOpenChannel(t *testing.T) {
	t.Parallel()
	at := aChannel().Outpoint
	peer := nodeOf(2)
	node := &fakeChannels{open: channel.Opened{Outpoint: at}}
	phases := []pb.Phase{pb.Phase_WAIT_CONFIRMED, pb.Phase_WAIT_READY, pb.Phase_NORMAL}
	node.listed = func() {
		c := aChannel()
		c.Phase, phases = phases[0], phases[1:]
		node.all = []channel.Info{c}
	}
	node.next = func() bool { return len(phases) > 0 }
	l := newLightning(t, Node{Channels: node})
	out := &sink[lnrpc.OpenStatusUpdate]{ctx: t.Context()}
	want := &lnrpc.OpenChannelRequest{
		NodePubkey: peer[:], LocalFundingAmount: 1_000_000, PushSat: 5, SatPerVbyte: 3, Private: true, ScidAlias: true, MinConfs: 1,
		MinHtlcMsat: 1, CloseAddress: "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202",
	}
	// What nobody asks for may be on the wire, if it is a number of 0.
	unasked := protowire.AppendVarint(protowire.AppendTag(nil, 12, protowire.VarintType), 0)
	unasked = protowire.AppendFixed64(protowire.AppendTag(unasked, 99, protowire.Fixed64Type), 0)
	want.ProtoReflect().SetUnknown(unasked)
	require.NoError(t, l.OpenChannel(want, out))
	require.Equal(t, []channel.OpenRequest{{
		Peer: peer, Capacity: 1_000_000, Push: 5000, FundingFeeRate: 750, Private: true, ScidAlias: true,
		ShutdownScript: append([]byte{txscript.OP_0, txscript.OP_DATA_20}, make([]byte, 20)...),
	}}, node.opened)
	require.Len(t, out.sent, 2)
	require.Equal(t, at.Hash[:], out.sent[0].GetChanPending().Txid)
	require.Equal(t, at.Index, out.sent[0].GetChanPending().OutputIndex)
	opened, err := parseChannelPoint(out.sent[1].GetChanOpen().ChannelPoint)
	require.NoError(t, err)
	require.Equal(t, at, opened)

	sync, err := l.OpenChannelSync(t.Context(), &lnrpc.OpenChannelRequest{
		NodePubkeyString: hex.EncodeToString(peer[:]), LocalFundingAmount: 20_000, TargetConf: 3,
	})
	require.NoError(t, err)
	require.Equal(t, at.Hash[:], sync.GetFundingTxidBytes())
	require.Equal(t, channel.OpenRequest{Peer: peer, Capacity: 20_000, ConfTarget: 3}, node.opened[1])
}

// TestOpenChannelThatEnds: who waits for a channel hears that it goes, and may stop waiting.
func TestOpenChannelThatEnds(t *testing.T) {
	t.Parallel()
	peer := nodeOf(2)
	request := &lnrpc.OpenChannelRequest{NodePubkey: peer[:], LocalFundingAmount: 1_000_000}
	closing := aChannel()
	closing.Phase = pb.Phase_CLOSING
	for name, c := range map[string]struct {
		all  []channel.Info
		want codes.Code
	}{
		"closed by force": {[]channel.Info{closing}, codes.Aborted},
		"forgotten":       {nil, codes.NotFound},
	} {
		l := newLightning(t, Node{Channels: &fakeChannels{all: c.all, open: channel.Opened{Outpoint: aChannel().Outpoint}}})
		err := l.OpenChannel(request, &sink[lnrpc.OpenStatusUpdate]{ctx: t.Context()})
		require.Equal(t, c.want, status.Code(err), name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := inPhase(pb.Phase_WAIT_CONFIRMED, func(c *channel.Info) { c.Outpoint = aChannel().Outpoint })
	l := newLightning(t, Node{Channels: &fakeChannels{
		all: []channel.Info{waiting}, listed: cancel, open: channel.Opened{Outpoint: waiting.Outpoint},
	}})
	require.Equal(t, codes.Canceled, status.Code(l.OpenChannel(request, &sink[lnrpc.OpenStatusUpdate]{ctx: ctx})))
}

func TestOpenChannelRefusals(t *testing.T) {
	t.Parallel()
	peer, self := nodeOf(2), nodeOf(1)
	node := &fakeChannels{}
	l := newLightning(t, Node{Channels: node})
	for want, change := range map[string]func(*lnrpc.OpenChannelRequest){
		"must be non-zero":           func(r *lnrpc.OpenChannelRequest) { r.LocalFundingAmount = 0 },
		"-1 sat are not an amount":   func(r *lnrpc.OpenChannelRequest) { r.LocalFundingAmount = -1 },
		"2100000000000001 sat are":   func(r *lnrpc.OpenChannelRequest) { r.LocalFundingAmount = btcutil.MaxSatoshi + 1 },
		"push_sat: -1":               func(r *lnrpc.OpenChannelRequest) { r.PushSat = -1 },
		"must be below the local":    func(r *lnrpc.OpenChannelRequest) { r.PushSat = r.LocalFundingAmount },
		"NodePubkey is not set":      func(r *lnrpc.OpenChannelRequest) { r.NodePubkey = nil },
		"has 33 bytes, not 5":        func(r *lnrpc.OpenChannelRequest) { r.NodePubkey = r.NodePubkey[:5] },
		"node key":                   func(r *lnrpc.OpenChannelRequest) { r.NodePubkey = make([]byte, 33) },
		"66 hexadecimal":             func(r *lnrpc.OpenChannelRequest) { r.NodePubkey, r.NodePubkeyString = nil, "zz" },
		"channel to self":            func(r *lnrpc.OpenChannelRequest) { r.NodePubkey = self[:] },
		"but not both":               func(r *lnrpc.OpenChannelRequest) { r.SatPerVbyte, r.TargetConf = 1, 1 },
		"above the highest fee rate": func(r *lnrpc.OpenChannelRequest) { r.SatPerVbyte = 1 << 62 },
		"between 1 and 1008":         func(r *lnrpc.OpenChannelRequest) { r.TargetConf = -3 },
		"of 1 msat and more":         func(r *lnrpc.OpenChannelRequest) { r.MinHtlcMsat = 2 },
		"min_confs":                  func(r *lnrpc.OpenChannelRequest) { r.MinConfs = 6 },
		"of commitment type 5":       func(r *lnrpc.OpenChannelRequest) { r.CommitmentType = 5 },
		"private channels only":      func(r *lnrpc.OpenChannelRequest) { r.ScidAlias = true },
		`"here" is no address`:       func(r *lnrpc.OpenChannelRequest) { r.CloseAddress = "here" },
		"on regtest":                 func(r *lnrpc.OpenChannelRequest) { r.CloseAddress = "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2" },
		"field 26 of lnrpc.OpenChannelRequest": func(r *lnrpc.OpenChannelRequest) {
			r.ProtoReflect().SetUnknown([]byte{26<<3&0x7f | 0x80, 26 << 3 >> 7, 1}) // fund_max
		},
		"field 27 of lnrpc.OpenChannelRequest": func(r *lnrpc.OpenChannelRequest) {
			none := protowire.AppendVarint(protowire.AppendTag(nil, 12, protowire.VarintType), 0)
			r.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(none, 27, protowire.BytesType), "memo"))
		},
	} {
		r := &lnrpc.OpenChannelRequest{NodePubkey: peer[:], LocalFundingAmount: 100_000}
		change(r)
		_, err := l.OpenChannelSync(t.Context(), r)
		require.ErrorContains(t, err, want)
		require.Contains(t, []codes.Code{codes.InvalidArgument, codes.Unimplemented}, status.Code(err), want)
		err = l.OpenChannel(r, &sink[lnrpc.OpenStatusUpdate]{ctx: t.Context()})
		require.ErrorContains(t, err, want)
	}
	require.Empty(t, node.opened)
	for want, err := range map[string]error{
		hex.EncodeToString(peer[:]) + " is not online": channel.ErrPeerNotConnected,
		"too small": &channel.Refusal{Text: "too small"}, "not opened: no": &channel.OpenError{Reason: "no"},
	} {
		node.err = err
		_, got := l.OpenChannelSync(t.Context(), &lnrpc.OpenChannelRequest{NodePubkey: peer[:], LocalFundingAmount: 100_000})
		require.ErrorContains(t, got, want)
		require.Equal(t, codes.Unknown, status.Code(got))
	}
	node.err = durable.ErrStopping
	_, err := l.ListChannels(t.Context(), &lnrpc.ListChannelsRequest{})
	require.Equal(t, codes.Unavailable, status.Code(err))
}

func TestCloseChannel(t *testing.T) {
	t.Parallel()
	c := aChannel()
	node := &fakeChannels{all: []channel.Info{c}, tx: chainhash.Hash{7}}
	l := newLightning(t, Node{Channels: node})
	closing := func(change func(*lnrpc.CloseChannelRequest)) ([]*lnrpc.CloseStatusUpdate, error) {
		r := &lnrpc.CloseChannelRequest{ChannelPoint: channelPoint(c.Outpoint)}
		change(r)
		out := &sink[lnrpc.CloseStatusUpdate]{ctx: t.Context()}
		err := l.CloseChannel(r, out)
		return out.sent, err
	}
	sent, err := closing(func(r *lnrpc.CloseChannelRequest) {
		r.NoWait, r.SatPerVbyte, r.DeliveryAddress = true, 1, "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202"
	})
	require.NoError(t, err)
	require.Len(t, sent, 3)
	require.Equal(t, int32(3), sent[0].GetCloseInstant().NumPendingHtlcs)
	require.Equal(t, node.tx[:], sent[1].GetClosePending().Txid)
	require.Equal(t, node.tx[:], sent[2].GetChanClose().ClosingTxid)
	require.True(t, sent[2].GetChanClose().Success)
	sent, err = closing(func(r *lnrpc.CloseChannelRequest) {
		r.Force = true
		r.ChannelPoint.FundingTxid = &lnrpc.ChannelPoint_FundingTxidStr{FundingTxidStr: c.Outpoint.Hash.String()}
	})
	require.NoError(t, err)
	require.Len(t, sent, 2)
	require.Equal(t, []channel.CloseRequest{
		{FeeRate: 253, Script: append([]byte{txscript.OP_0, txscript.OP_DATA_20}, make([]byte, 20)...)}, {Force: true},
	}, node.ended)

	for want, change := range map[string]func(*lnrpc.CloseChannelRequest){
		"with active htlcs (number of active htlcs: 3)": func(*lnrpc.CloseChannelRequest) {},
		"must specify channel point":                    func(r *lnrpc.CloseChannelRequest) { r.ChannelPoint = nil },
		"has no funding transaction":                    func(r *lnrpc.CloseChannelRequest) { r.ChannelPoint.FundingTxid = nil },
		"channel not found":                             func(r *lnrpc.CloseChannelRequest) { r.ChannelPoint.OutputIndex++ },
		"invalid hash length": func(r *lnrpc.CloseChannelRequest) {
			r.ChannelPoint.FundingTxid = &lnrpc.ChannelPoint_FundingTxidBytes{FundingTxidBytes: []byte{1}}
		},
		"64 hexadecimal digits, not 2": func(r *lnrpc.CloseChannelRequest) {
			r.ChannelPoint.FundingTxid = &lnrpc.ChannelPoint_FundingTxidStr{FundingTxidStr: "00"}
		},
		"uses a pre-defined fee":    func(r *lnrpc.CloseChannelRequest) { r.Force, r.SatPerVbyte = true, 2 },
		"no address can be chosen":  func(r *lnrpc.CloseChannelRequest) { r.Force, r.DeliveryAddress = true, "x" },
		"above the highest":         func(r *lnrpc.CloseChannelRequest) { r.SatPerVbyte = 1001 },
		`"x" is no address`:         func(r *lnrpc.CloseChannelRequest) { r.DeliveryAddress = "x" },
		"field 7 of lnrpc.CloseCha": func(r *lnrpc.CloseChannelRequest) { r.ProtoReflect().SetUnknown([]byte{7 << 3, 1}) },
	} {
		_, err := closing(change)
		require.ErrorContains(t, err, want)
	}
	require.Len(t, node.ended, 2)
	node.all[0].Connected, node.all[0].Active = false, false
	_, err = closing(func(*lnrpc.CloseChannelRequest) {})
	require.ErrorContains(t, err, "while peer is offline")
	require.Len(t, node.ended, 2)
	noWait := func(r *lnrpc.CloseChannelRequest) { r.NoWait = true }
	sent, err = closing(noWait)
	require.NoError(t, err, "it closes when the peer is back")
	require.NotNil(t, sent[0].GetCloseInstant())
	require.NotNil(t, sent[1].GetClosePending())
	require.Len(t, node.ended, 3)
	node.closeErr = errors.New("not now")
	sent, err = closing(noWait)
	require.ErrorContains(t, err, "not now")
	require.Empty(t, sent, "nothing is said to have begun")
	node.all[0].Phase = pb.Phase_SHUTTING_DOWN
	_, err = closing(func(*lnrpc.CloseChannelRequest) {})
	require.ErrorContains(t, err, "while peer is offline")
	node.err = errors.New("broken")
	_, err = closing(func(*lnrpc.CloseChannelRequest) {})
	require.ErrorContains(t, err, "broken")
}
