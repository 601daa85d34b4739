package rpc

import (
	"context"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	invoices "stormcell/actors/invoice"
	"stormcell/chain/backend"
	pb "stormcell/messages/invoice"
	"stormcell/messages/lnrpc"
	"stormcell/messages/lnrpc/invoicesrpc"
	"stormcell/peer/bolt11"
	"stormcell/peer/wire"
)

// fakeInvoices has invoices, and notes what is asked for.
type fakeInvoices struct {
	all     []invoices.Info
	err     error
	added   []invoices.Request
	hashes  []*[32]byte
	query   invoices.Query
	since   invoices.Since
	settled [][32]byte
}

func (f *fakeInvoices) Add(_ context.Context, want invoices.Request, hash *[32]byte) (invoices.Info, error) {
	f.added, f.hashes = append(f.added, want), append(f.hashes, hash)
	return invoices.Info{
		Invoice:  &pb.Invoice{PaymentHash: []byte{1}, PaymentRequest: "lnbcrt", PaymentSecret: []byte{2}},
		AddIndex: 12,
	}, f.err
}

func (f *fakeInvoices) Lookup(context.Context, [32]byte) (invoices.Info, error) {
	if f.err != nil {
		return invoices.Info{}, f.err
	}
	return f.all[0], nil
}

func (f *fakeInvoices) List(_ context.Context, q invoices.Query) ([]invoices.Info, error) {
	f.query = q
	var out []invoices.Info
	for _, i := range f.all {
		if q.Wanted == nil || q.Wanted(i.Invoice) {
			out = append(out, i)
		}
	}
	if q.Reverse {
		slices.Reverse(out)
	}
	return out, f.err
}

func (f *fakeInvoices) Settle(_ context.Context, preimage [32]byte) error {
	f.settled = append(f.settled, preimage)
	return f.err
}

func (f *fakeInvoices) Cancel(context.Context, [32]byte) error { return f.err }

func (f *fakeInvoices) Subscribe(_ context.Context, _ [32]byte, tell func(invoices.Info) error) error {
	for _, i := range f.all {
		if err := tell(i); err != nil {
			return err
		}
	}
	return f.err
}

func (f *fakeInvoices) SubscribeAll(_ context.Context, since invoices.Since, tell func(invoices.Event) error) error {
	f.since = since
	for _, i := range f.all {
		if err := tell(invoices.Event{Info: i}); err != nil {
			return err
		}
	}
	return f.err
}

// anInvoice is one that was paid in two parts, the second of which came too late.
func anInvoice(t *testing.T) invoices.Info {
	t.Helper()
	hint := bolt11.HopHint{
		NodeID: keyOf(2).PubKey(), ChannelID: 42, FeeBaseMSat: 1, FeeProportionalMillionths: 2, CLTVExpiryDelta: 3,
	}
	fallback, err := (&fakeWallet{}).NewAddress(t.Context(), 0)
	require.NoError(t, err)
	text, err := bolt11.Encode(&bolt11.Invoice{
		Network: backend.Regtest.Params(), Amount: 5_000_500, Timestamp: time.Unix(1_700_000_000, 0), PaymentHash: [32]byte{1},
		PaymentSecret: [32]byte{2}, Description: "coffee", Expiry: time.Hour, FinalCLTVDelta: 80, Fallback: fallback,
		Hints: [][]bolt11.HopHint{{hint}}, Features: invoices.Features(),
	}, func(signed []byte) ([]byte, error) {
		return ecdsa.SignCompact(keyOf(1), chainhash.HashB(signed), true), nil
	})
	require.NoError(t, err)
	hash, secret, preimage := [32]byte{1}, [32]byte{2}, [32]byte{3}
	return invoices.Info{AddIndex: 7, SettleIndex: 9, Invoice: &pb.Invoice{
		PaymentHash: hash[:], Preimage: preimage[:], PaymentSecret: secret[:], PaymentRequest: text, AmountMsat: 5_000_500,
		CreatedNs: 1_700_000_000e9, ExpiryS: 3600, FinalCltvDelta: 80, Description: "coffee", Private: true,
		Status: pb.Status_SETTLED, PaidMsat: 5_000_999, ClosedNs: 1_700_000_100e9,
		Htlcs: []*pb.HTLC{
			{
				Id: 3, AmountMsat: 5_000_999, Expiry: 700, TotalMsat: 5_000_500, State: pb.HTLCState_CLAIMED, AcceptedHeight: 600,
				AcceptedNs: 1_700_000_050e9, ResolvedNs: 1_700_000_100e9, Records: []*pb.CustomRecord{{Type: 65536, Value: []byte("hi")}},
			},
			{Id: 4, AmountMsat: 1, State: pb.HTLCState_FAILED},
		},
	}}
}

func TestAnInvoiceAsLndDescribesIt(t *testing.T) {
	t.Parallel()
	l := newLightning(t, Node{Invoices: &fakeInvoices{all: []invoices.Info{anInvoice(t)}}})
	hash := [32]byte{1}
	i, err := l.LookupInvoice(t.Context(), &lnrpc.PaymentHash{RHashStr: hex.EncodeToString(hash[:])})
	require.NoError(t, err)
	require.Equal(t, "coffee", i.Memo)
	require.Equal(t, hash[:], i.RHash)
	require.Equal(t, [2]int64{5000, 5_000_500}, [2]int64{i.Value, i.ValueMsat})
	require.Equal(t, [2]int64{5000, 5_000_999}, [2]int64{i.AmtPaidSat, i.AmtPaidMsat})
	require.Equal(t, lnrpc.Invoice_SETTLED, i.State)
	require.True(t, i.Settled)
	require.Equal(t, [3]int64{1_700_000_000, 1_700_000_100, 3600}, [3]int64{i.CreationDate, i.SettleDate, i.Expiry})
	require.Equal(t, [2]uint64{7, 9}, [2]uint64{i.AddIndex, i.SettleIndex})
	require.Equal(t, witnessAddress, i.FallbackAddr)
	require.True(t, i.Private)
	node := nodeOf(2)
	require.Equal(t, []*lnrpc.RouteHint{{HopHints: []*lnrpc.HopHint{{
		NodeId: hex.EncodeToString(node[:]), ChanId: 42, FeeBaseMsat: 1, FeeProportionalMillionths: 2, CltvExpiryDelta: 3,
	}}}}, i.RouteHints)
	require.True(t, i.Features[14].IsRequired)
	require.Equal(t, []*lnrpc.InvoiceHTLC{
		{
			HtlcIndex: 3, AmtMsat: 5_000_999, AcceptHeight: 600, AcceptTime: 1_700_000_050, ResolveTime: 1_700_000_100,
			ExpiryHeight: 700, State: lnrpc.InvoiceHTLCState_SETTLED, MppTotalAmtMsat: 5_000_500,
			CustomRecords: map[uint64][]byte{65536: []byte("hi")},
		},
		{HtlcIndex: 4, AmtMsat: 1, State: lnrpc.InvoiceHTLCState_CANCELED},
	}, i.Htlcs)

	read, err := l.DecodePayReq(t.Context(), &lnrpc.PayReqString{PayReq: i.PaymentRequest})
	require.NoError(t, err)
	self := nodeOf(1)
	require.Equal(t, hex.EncodeToString(self[:]), read.Destination)
	require.Equal(t, [2]int64{5000, 5_000_500}, [2]int64{read.NumSatoshis, read.NumMsat})
	require.Equal(t, [3]int64{1_700_000_000, 3600, 80}, [3]int64{read.Timestamp, read.Expiry, read.CltvExpiry})
	require.Equal(t, "coffee", read.Description)
	require.Equal(t, i.RouteHints, read.RouteHints)
	require.Equal(t, witnessAddress, read.FallbackAddr)
	_, err = l.DecodePayReq(t.Context(), &lnrpc.PayReqString{PayReq: strings.Replace(i.PaymentRequest, "lnbcrt", "lnbc", 1)})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

func TestAddInvoice(t *testing.T) {
	t.Parallel()
	node := &fakeInvoices{}
	l := newLightning(t, Node{Invoices: node})
	hold := &holdInvoices{server: l.server}
	preimage, hash := [32]byte{5}, [32]byte{6}
	answer, err := l.AddInvoice(t.Context(), &lnrpc.Invoice{
		Memo: "coffee", RPreimage: preimage[:], ValueMsat: 1500, Expiry: 60, CltvExpiry: 40, FallbackAddr: witnessAddress,
	})
	require.NoError(t, err)
	require.Equal(t, &lnrpc.AddInvoiceResponse{
		RHash: []byte{1}, PaymentRequest: "lnbcrt", AddIndex: 12, PaymentAddr: []byte{2},
	}, answer)
	_, err = hold.AddHoldInvoice(t.Context(), &invoicesrpc.AddHoldInvoiceRequest{
		Hash: hash[:], Value: 7, DescriptionHash: hash[:],
	})
	require.NoError(t, err)
	require.Equal(t, &preimage, node.added[0].Preimage)
	require.Equal(t, invoices.Request{Amount: 7000, DescriptionHash: &hash}, node.added[1])
	require.Equal(t, []*[32]byte{nil, &hash}, node.hashes)
	require.Equal(t, time.Minute, node.added[0].Expiry)
	require.Equal(t, uint32(40), node.added[0].FinalCLTVDelta)
	require.Equal(t, witnessAddress, node.added[0].Fallback.EncodeAddress())

	key := hex.EncodeToString(keyOf(2).PubKey().SerializeCompressed())
	for want, r := range map[string]*lnrpc.Invoice{
		"memo too large: 640":        {Memo: strings.Repeat("x", 640)},
		"mutually exclusive":         {Value: 1, ValueMsat: 1},
		"cannot be negative":         {Value: -1},
		"is more than there":         {ValueMsat: math.MaxInt64},
		"expiry: -1":                 {Expiry: -1},
		"expiry: 9223372036854775":   {Expiry: math.MaxInt64},
		"CLTV delta of 184467440":    {CltvExpiry: math.MaxUint64},
		"r_preimage must be exactly": {RPreimage: []byte{1}},
		"description_hash must be":   {DescriptionHash: []byte{1}},
		"is no address on regtest":   {FallbackAddr: "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"},
		"cannot be asked for":        {IsKeysend: true},
		"a route hint has 1 to 20":   {RouteHints: []*lnrpc.RouteHint{{}}},
		"21 route hints":             {RouteHints: make([]*lnrpc.RouteHint, 21)},
		"66 hexadecimal digits":      {RouteHints: []*lnrpc.RouteHint{{HopHints: []*lnrpc.HopHint{{NodeId: "02"}}}}},
		"cltv_expiry_delta of 70000": {RouteHints: []*lnrpc.RouteHint{{HopHints: []*lnrpc.HopHint{{NodeId: key, CltvExpiryDelta: 70000}}}}},
	} {
		_, err := l.AddInvoice(t.Context(), r)
		require.ErrorContains(t, err, want)
	}
	amp := &lnrpc.Invoice{}
	amp.ProtoReflect().SetUnknown([]byte{27<<3&0x7f | 0x80, 27 << 3 >> 7, 1})
	_, err = l.AddInvoice(t.Context(), amp)
	require.Equal(t, codes.Unimplemented, status.Code(err))
	_, err = hold.AddHoldInvoice(t.Context(), &invoicesrpc.AddHoldInvoiceRequest{})
	require.ErrorContains(t, err, "hash must be exactly 32 bytes, is instead 0")
	require.Len(t, node.added, 2)
}

// TestHintsToPrivateChannels: they lead over the channels that can bring the amount, under the peer's names for them.
func TestHintsToPrivateChannels(t *testing.T) {
	t.Parallel()
	way := func(peer byte, remote wire.MilliSatoshi, edit func(*channel.Info)) channel.Info {
		c := channel.Info{
			Peer: nodeOf(peer), Private: true, Active: true, Remote: remote, LocalTerms: channel.Terms{Reserve: 1},
			Scid: lnwire.NewShortChanIDFromInt(uint64(peer)), PeerAlias: lnwire.NewShortChanIDFromInt(100 + uint64(peer)),
			Forwarding: &channel.Forwarding{CLTVDelta: 80, FeeBase: 1_000, FeePerMillion: 7},
		}
		edit(&c)
		return c
	}
	as := func(*channel.Info) {}
	channels := &fakeChannels{all: []channel.Info{
		way(2, 5_000, as), way(3, 9_000, func(c *channel.Info) { c.PeerAlias = wire.ShortChannelID{} }), way(4, 1_000, as), way(5, 6_000, as),
		way(6, 90_000, func(c *channel.Info) { c.Private = false }), way(7, 90_000, func(c *channel.Info) { c.Active = false }),
		way(8, 90_000, func(c *channel.Info) { c.Forwarding = nil }), way(9, 90_000, func(c *channel.Info) { c.Forwarding.Disabled = true }),
		way(10, 1_200, as), way(11, 1_100, as),
	}}
	node := &fakeInvoices{}
	l := newLightning(t, Node{Invoices: node, Channels: channels})
	hints := func(r *lnrpc.Invoice) (ids []uint64) {
		_, err := l.AddInvoice(t.Context(), r)
		require.NoError(t, err)
		for _, hint := range node.added[len(node.added)-1].Hints {
			require.Len(t, hint, 1)
			ids = append(ids, hint[0].ChannelID)
		}
		return ids
	}
	require.Empty(t, hints(&lnrpc.Invoice{ValueMsat: 1}))
	require.Equal(t, []uint64{3}, hints(&lnrpc.Invoice{ValueMsat: 4_000, Private: true}), "twice the amount, beside the reserve")
	require.Equal(t, []uint64{3, 105}, hints(&lnrpc.Invoice{ValueMsat: 4_001, Private: true}))
	require.Equal(t, []uint64{3, 105, 102, 110}, hints(&lnrpc.Invoice{Private: true}), "no more than fit well")
	key := hex.EncodeToString(keyOf(12).PubKey().SerializeCompressed())
	given := []*lnrpc.RouteHint{{HopHints: []*lnrpc.HopHint{{NodeId: key, ChanId: 77}}}}
	require.Equal(t, []uint64{77, 3}, hints(&lnrpc.Invoice{ValueMsat: 1, Private: true, RouteHints: given}))
	hint := node.added[len(node.added)-1].Hints[1][0]
	require.Equal(t, bolt11.HopHint{
		NodeID: keyOf(3).PubKey(), ChannelID: 3, FeeBaseMSat: 1_000, FeeProportionalMillionths: 7, CLTVExpiryDelta: 80,
	}, hint)
	_, err := (&holdInvoices{server: l.server}).AddHoldInvoice(t.Context(), &invoicesrpc.AddHoldInvoiceRequest{
		Hash: make([]byte, 32), ValueMsat: 1, Private: true,
	})
	require.NoError(t, err)
	require.Len(t, node.added[len(node.added)-1].Hints, 1)
	channels.err = errors.New("broken")
	_, err = l.AddInvoice(t.Context(), &lnrpc.Invoice{Private: true})
	require.ErrorContains(t, err, "broken")
}

func TestListInvoices(t *testing.T) {
	t.Parallel()
	of := func(index uint64, s pb.Status) invoices.Info {
		hash := [32]byte{byte(index)}
		return invoices.Info{AddIndex: index, Invoice: &pb.Invoice{PaymentHash: hash[:], Status: s, CreatedNs: int64(index) * 1e9}}
	}
	node := &fakeInvoices{all: []invoices.Info{
		of(51, pb.Status_OPEN), of(60, pb.Status_SETTLED), of(61, pb.Status_HELD), of(70, pb.Status_CANCELED),
	}}
	l := newLightning(t, Node{Invoices: node})
	for name, c := range map[string]struct {
		r    *lnrpc.ListInvoiceRequest
		want []uint64
	}{
		"all":      {&lnrpc.ListInvoiceRequest{}, []uint64{51, 60, 61, 70}},
		"reversed": {&lnrpc.ListInvoiceRequest{Reversed: true, IndexOffset: 99}, []uint64{51, 60, 61, 70}},
		"pending":  {&lnrpc.ListInvoiceRequest{PendingOnly: true}, []uint64{51, 61}},
		"since":    {&lnrpc.ListInvoiceRequest{CreationDateStart: 60}, []uint64{60, 61, 70}},
		"between":  {&lnrpc.ListInvoiceRequest{CreationDateStart: 52, CreationDateEnd: 61}, []uint64{60, 61}},
	} {
		answer, err := l.ListInvoices(t.Context(), c.r)
		require.NoError(t, err)
		var got []uint64
		for _, i := range answer.Invoices {
			got = append(got, i.AddIndex)
		}
		require.Equal(t, c.want, got, name)
		require.Equal(t, c.want[0], answer.FirstIndexOffset, name)
		require.Equal(t, c.want[len(c.want)-1], answer.LastIndexOffset, name)
		require.Equal(t, [2]any{c.r.IndexOffset, 100}, [2]any{node.query.After, node.query.Limit}, name)
	}
	_, err := l.ListInvoices(t.Context(), &lnrpc.ListInvoiceRequest{NumMaxInvoices: math.MaxUint64})
	require.NoError(t, err)
	require.Equal(t, largestPage, node.query.Limit)
	_, err = l.ListInvoices(t.Context(), &lnrpc.ListInvoiceRequest{CreationDateStart: 2, CreationDateEnd: 1})
	require.ErrorContains(t, err, "must be before")
}

func TestSubscriptionsToInvoices(t *testing.T) {
	t.Parallel()
	in := func(s pb.Status) invoices.Info { return invoices.Info{Invoice: &pb.Invoice{Status: s}} }
	node := &fakeInvoices{all: []invoices.Info{in(pb.Status_OPEN), in(pb.Status_HELD), in(pb.Status_SETTLED), in(pb.Status_SETTLED)}}
	l := newLightning(t, Node{Invoices: node})
	hold := &holdInvoices{server: l.server}
	out := &sink[lnrpc.Invoice]{ctx: t.Context()}
	require.NoError(t, hold.SubscribeSingleInvoice(&invoicesrpc.SubscribeSingleInvoiceRequest{RHash: make([]byte, 32)}, out))
	require.Len(t, out.sent, 3, "it ends with the invoice")
	require.Equal(t, lnrpc.Invoice_ACCEPTED, out.sent[1].State)

	node.err = context.Canceled
	out = &sink[lnrpc.Invoice]{ctx: t.Context()}
	err := l.SubscribeInvoices(&lnrpc.InvoiceSubscription{AddIndex: 3, SettleIndex: 4}, out)
	require.Equal(t, codes.Canceled, status.Code(err))
	require.Equal(t, invoices.Since{Added: 3, Settled: 4}, node.since)
	require.Len(t, out.sent, 4)
}

// TestInvoiceRefusals are in lnd's words.
func TestInvoiceRefusals(t *testing.T) {
	t.Parallel()
	node := &fakeInvoices{}
	l := newLightning(t, Node{Invoices: node})
	hold := &holdInvoices{server: l.server}
	zeros := make([]byte, 32)
	for _, c := range []struct {
		err     error
		code    codes.Code
		want    string
		settles bool
	}{
		{invoices.ErrNotFound, codes.NotFound, "unable to locate invoice", false},
		{invoices.ErrSettled, codes.Unknown, "invoice already settled", true},
		{invoices.ErrCanceled, codes.Unknown, "invoice already canceled", false},
		{invoices.ErrNotHeld, codes.Unknown, "invoice still open", false},
		{invoices.ErrExists, codes.Unknown, "invoice with payment hash already exists", false},
		{invoices.ErrBadRequest, codes.InvalidArgument, "makes no sense", false},
		{errors.New("broken"), codes.Unknown, "broken", false},
	} {
		node.err = c.err
		_, err := hold.CancelInvoice(t.Context(), &invoicesrpc.CancelInvoiceMsg{PaymentHash: zeros})
		require.ErrorContains(t, err, c.want)
		require.Equal(t, c.code, status.Code(err))
		_, err = hold.SettleInvoice(t.Context(), &invoicesrpc.SettleInvoiceMsg{Preimage: zeros})
		require.Equal(t, c.settles, err == nil, c.want)
	}
	_, err := hold.SettleInvoice(t.Context(), &invoicesrpc.SettleInvoiceMsg{})
	require.ErrorContains(t, err, "preimage must be exactly 32 bytes")
	_, err = hold.CancelInvoice(t.Context(), &invoicesrpc.CancelInvoiceMsg{PaymentHash: zeros[1:]})
	require.ErrorContains(t, err, "payment_hash must be exactly 32 bytes")
	_, err = l.LookupInvoice(t.Context(), &lnrpc.PaymentHash{})
	require.ErrorContains(t, err, "payment hash must be exactly 32 bytes")
	_, err = l.LookupInvoice(t.Context(), &lnrpc.PaymentHash{RHashStr: "zz"})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

// TestChannelsThatInvoicesWerePaidOver: each is asked for once in a call, and known when it is gone too.
func TestChannelsThatInvoicesWerePaidOver(t *testing.T) {
	t.Parallel()
	over := func(channels ...string) invoices.Info {
		i := invoices.Info{Invoice: &pb.Invoice{Status: pb.Status_SETTLED}}
		for _, c := range channels {
			i.Htlcs = append(i.Htlcs, &pb.HTLC{Channel: c})
		}
		return i
	}
	id := lnwire.NewShortChanIDFromInt
	channels := &fakeChannels{
		all:    []channel.Info{{Address: "channel/1", Scid: id(101)}, {Address: "channel/2"}},
		closed: []channel.ClosedInfo{{Address: "channel/3", Scid: id(103)}, {Address: "channel/4", Scid: id(104)}},
	}
	node := &fakeInvoices{all: []invoices.Info{
		over("channel/1", "channel/3", "channel/1"), over("channel/4", "channel/5", "channel/2"), over("channel/5", "channel/2", "channel/1"),
	}}
	l := newLightning(t, Node{Invoices: node, Channels: channels})
	idsOf := func(described ...*lnrpc.Invoice) (ids [][]uint64) {
		for _, i := range described {
			var of []uint64
			for _, h := range i.Htlcs {
				of = append(of, h.ChanId)
			}
			ids = append(ids, of)
		}
		return ids
	}
	want := [][]uint64{{101, 103, 101}, {104, 0, 0}, {0, 0, 101}}

	found, err := l.LookupInvoice(t.Context(), &lnrpc.PaymentHash{RHash: make([]byte, 32)})
	require.NoError(t, err)
	require.Equal(t, want[:1], idsOf(found))
	channels.asked = nil
	listed, err := l.ListInvoices(t.Context(), &lnrpc.ListInvoiceRequest{})
	require.NoError(t, err)
	require.Equal(t, want, idsOf(listed.Invoices...))
	require.Equal(t, []durable.Address{"channel/1", "channel/3", "channel/5", "channel/2", "channel/2"}, channels.asked,
		"one that has no id yet may get one")
	node.err = context.Canceled
	out := &sink[lnrpc.Invoice]{ctx: t.Context()}
	require.Error(t, l.SubscribeInvoices(&lnrpc.InvoiceSubscription{}, out))
	node.err = nil
	require.Equal(t, want, idsOf(out.sent...))
	out = &sink[lnrpc.Invoice]{ctx: t.Context()}
	require.NoError(t, (&holdInvoices{server: l.server}).SubscribeSingleInvoice(
		&invoicesrpc.SubscribeSingleInvoiceRequest{RHash: make([]byte, 32)}, out))
	require.Equal(t, want[:1], idsOf(out.sent...))

	channels.err = errors.New("broken")
	_, err = l.ListInvoices(t.Context(), &lnrpc.ListInvoiceRequest{})
	require.ErrorContains(t, err, "broken")
}
