package rpc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/payment"
	"stormcell/chain/backend"
	"stormcell/messages/lnrpc"
	"stormcell/messages/lnrpc/routerrpc"
	pb "stormcell/messages/payment"
	"stormcell/peer/bolt11"
	"stormcell/peer/wire"
)

// fakePayments has payments, and notes what is asked for.
type fakePayments struct {
	all     []*pb.Payment
	err     error // of what begins and deletes
	ended   error // of what follows
	paid    []*pb.Request
	hashes  [][32]byte
	aborted int
	listed  payment.Selection
	deleted [][2]bool
}

// Pay does not wait for whoever does not.
func (f *fakePayments) Pay(ctx context.Context, hash [32]byte, want *pb.Request) (*pb.Payment, error) {
	f.paid, f.hashes = append(f.paid, want), append(f.hashes, hash)
	return nil, errors.Join(f.err, ctx.Err())
}

func (f *fakePayments) Lookup(_ context.Context, hash [32]byte) (*pb.Payment, error) {
	for _, p := range f.all {
		if [32]byte(p.Hash) == hash {
			return p, nil
		}
	}
	return nil, payment.ErrNotFound
}

func (f *fakePayments) Track(ctx context.Context, _ [32]byte, tell func(*pb.Payment) error) error {
	return f.TrackAll(ctx, tell)
}

func (f *fakePayments) TrackAll(_ context.Context, tell func(*pb.Payment) error) error {
	for _, p := range f.all {
		if err := tell(p); err != nil {
			return err
		}
	}
	return f.ended
}

func (f *fakePayments) Abort(ctx context.Context, _ [32]byte) error {
	f.aborted++
	return ctx.Err()
}

func (f *fakePayments) Delete(context.Context, [32]byte, bool) error { return f.err }

func (f *fakePayments) DeleteAll(_ context.Context, failedOnly, attemptsOnly bool) (uint64, error) {
	f.deleted = append(f.deleted, [2]bool{failedOnly, attemptsOnly})
	return 3, f.err
}

func (f *fakePayments) List(_ context.Context, sel payment.Selection) ([]*pb.Payment, error) {
	f.listed = sel
	var out []*pb.Payment
	for _, p := range f.all {
		if sel.Wanted(&pb.Listed{CreatedNs: p.CreatedNs, Status: payment.StatusOf(p)}) {
			out = append(out, p)
		}
	}
	if sel.Reverse {
		slices.Reverse(out)
	}
	return out, f.err
}

func (f *fakePayments) Count(context.Context, func(*pb.Listed) bool) (uint64, error) { return 99, nil }

// aPayment has an attempt that settled over two hops, one that failed at the payee, and one that never left.
func aPayment(t *testing.T) *pb.Payment {
	t.Helper()
	var failure bytes.Buffer
	details := lnwire.NewFailIncorrectDetails(5000, 600)
	require.NoError(t, lnwire.EncodeFailureMessage(&failure, details, 0))
	relay, payee := nodeOf(2), nodeOf(3)
	route := &pb.Route{Channel: "channel/1", AmountMsat: 10_010, Expiry: 740, Hops: []*pb.Hop{
		{Node: relay[:], Scid: 11, AmountMsat: 10_000, Expiry: 700}, {Node: payee[:], Scid: 12, AmountMsat: 10_000, Expiry: 700},
	}}
	return &pb.Payment{
		Hash: bytes.Repeat([]byte{1}, 32), Number: 5, CreatedNs: 1_700_000_000e9, Preimage: bytes.Repeat([]byte{2}, 32),
		Request: &pb.Request{AmountMsat: 10_000, Invoice: "lnbcrt", Payee: &pb.Payee{
			Node: payee[:], Secret: bytes.Repeat([]byte{4}, 32), Metadata: []byte{5},
			Records: []*pb.Record{{Type: 70_000, Value: []byte("hi")}},
		}},
		Attempts: []*pb.Attempt{
			{N: 1, Id: 21, Route: route, LaunchedNs: 1, FailedNs: 2, Failure: &pb.Failure{Hop: 2, Message: failure.Bytes()}},
			{N: 2, Id: 22, Route: route, LaunchedNs: 3, FailedNs: 4, Failure: &pb.Failure{Cause: &pb.Failure_Refused{Refused: &pb.Refusal{}}}},
			{N: 3, Id: 23, Route: route, LaunchedNs: 5, SettledNs: 6},
		},
	}
}

func TestAPaymentAsLndDescribesIt(t *testing.T) {
	t.Parallel()
	paid := aPayment(t)
	p := describePayment(paid)
	require.Equal(t, lnrpc.Payment_SUCCEEDED, p.Status)
	require.Equal(t, hex.EncodeToString(paid.Hash), p.PaymentHash)
	require.Equal(t, hex.EncodeToString(paid.Preimage), p.PaymentPreimage)
	require.Equal(t, [3]int64{10, 10, 10_000}, [3]int64{p.Value, p.ValueSat, p.ValueMsat})
	require.Equal(t, [3]int64{0, 0, 10}, [3]int64{p.Fee, p.FeeSat, p.FeeMsat})
	require.Equal(t, int64(1_700_000_000), p.CreationDate)
	require.Equal(t, uint64(5), p.PaymentIndex)
	require.Equal(t, lnrpc.PaymentFailureReason_FAILURE_REASON_NONE, p.FailureReason)
	require.Len(t, p.Htlcs, 3)
	require.Equal(t, lnrpc.HTLCAttempt_FAILED, p.Htlcs[0].Status)
	require.True(t, proto.Equal(&lnrpc.Failure{
		Code: lnrpc.Failure_INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS, HtlcMsat: 5000, Height: 600, FailureSourceIndex: 2,
	}, p.Htlcs[0].Failure))
	require.Equal(t, lnrpc.Failure_INTERNAL_FAILURE, p.Htlcs[1].Failure.Code)
	last := p.Htlcs[2]
	require.Equal(t, lnrpc.HTLCAttempt_SUCCEEDED, last.Status)
	require.Equal(t, paid.Preimage, last.Preimage)
	require.Equal(t, [3]int64{23, 5, 6}, [3]int64{int64(last.AttemptId), last.AttemptTimeNs, last.ResolveTimeNs})
	relay, payee := nodeOf(2), nodeOf(3)
	require.True(t, proto.Equal(&lnrpc.Route{
		TotalTimeLock: 740, TotalAmt: 10, TotalAmtMsat: 10_010, TotalFeesMsat: 10, FirstHopAmountMsat: 10_010,
		Hops: []*lnrpc.Hop{
			{
				ChanId: 11, ChanCapacity: 10, Expiry: 700, AmtToForward: 10, AmtToForwardMsat: 10_000, FeeMsat: 10,
				PubKey: hex.EncodeToString(relay[:]), TlvPayload: true,
			},
			{
				ChanCapacity: 10, AmtToForward: 10, TlvPayload: true,
				ChanId: 12, Expiry: 700, AmtToForwardMsat: 10_000, PubKey: hex.EncodeToString(payee[:]), Metadata: []byte{5},
				MppRecord:     &lnrpc.MPPRecord{PaymentAddr: bytes.Repeat([]byte{4}, 32), TotalAmtMsat: 10_000},
				CustomRecords: map[uint64][]byte{70_000: []byte("hi")},
			},
		},
	}, last.Route))

	failed := aPayment(t)
	failed.Preimage, failed.Attempts, failed.Failure = nil, failed.Attempts[:2], pb.FailureReason_INSUFFICIENT_BALANCE
	p = describePayment(failed)
	require.Equal(t, lnrpc.Payment_FAILED, p.Status)
	require.Equal(t, lnrpc.PaymentFailureReason_FAILURE_REASON_INSUFFICIENT_BALANCE, p.FailureReason)
	require.Zero(t, p.FeeMsat)
	for name, number := range pb.FailureReason_value {
		require.Equal(t, number, lnrpc.PaymentFailureReason_value["FAILURE_REASON_"+name])
	}
	for f, want := range map[*pb.Failure]lnrpc.Failure_FailureCode{
		{Unreadable: true}:     lnrpc.Failure_UNREADABLE_FAILURE,
		{Message: []byte{255}}: lnrpc.Failure_UNKNOWN_FAILURE,
		nil:                    lnrpc.Failure_UNKNOWN_FAILURE,
	} {
		require.Equal(t, want, describeFailure(f).Code)
	}
}

// request is an invoice of somebody's, with an amount or without.
func request(t *testing.T, amount wire.MilliSatoshi, made time.Time) string {
	t.Helper()
	return requestWith(t, amount, made, wire.Features{}.Require(wire.VarOnionOptin, wire.PaymentSecret).With(wire.BasicMPP))
}

func requestWith(t *testing.T, amount wire.MilliSatoshi, made time.Time, features wire.Features) string {
	t.Helper()
	text, err := bolt11.Encode(&bolt11.Invoice{
		Network: backend.Regtest.Params(), Amount: amount, Timestamp: made.Truncate(time.Second), PaymentHash: [32]byte{1},
		PaymentSecret: [32]byte{2}, Description: "tea", Expiry: time.Hour, FinalCLTVDelta: 40,
		Features: features,
	}, func(signed []byte) ([]byte, error) {
		return ecdsa.SignCompact(keyOf(3), chainhash.HashB(signed), true), nil
	})
	require.NoError(t, err)
	return text
}

// TestInvoiceThatTakesOnePart: who does not offer basic_mpp is sent one part (BOLT 4, "Basic Multi-Part Payments").
func TestInvoiceThatTakesOnePart(t *testing.T) {
	t.Parallel()
	node := &fakePayments{all: []*pb.Payment{aPayment(t)}}
	r := &router{server: newLightning(t, Node{Payments: node}).server}
	for _, parts := range []uint32{0, 16} {
		require.NoError(t, r.SendPaymentV2(&routerrpc.SendPaymentRequest{
			PaymentRequest: requestWith(t, 5_000, time.Now(), wire.Features{}.Require(wire.VarOnionOptin, wire.PaymentSecret)),
			MaxParts:       parts,
		}, &sink[lnrpc.Payment]{ctx: t.Context()}))
		require.Equal(t, uint32(1), node.paid[len(node.paid)-1].GetMaxParts())
	}
}

func TestSendPayment(t *testing.T) {
	t.Parallel()
	node := &fakePayments{all: []*pb.Payment{{Hash: make([]byte, 32)}, aPayment(t)}}
	l := newLightning(t, Node{Payments: node})
	r := &router{server: l.server}
	invoice := request(t, 5_000, time.Now())
	out := &sink[lnrpc.Payment]{ctx: t.Context()}
	require.NoError(t, r.SendPaymentV2(&routerrpc.SendPaymentRequest{
		PaymentRequest: invoice, FeeLimitSat: 2, MaxParts: 3, TimeoutSeconds: 9, CltvLimit: 500, OutgoingChanIds: []uint64{7},
		MaxShardSizeMsat: 8, Cancelable: true,
	}, out))
	require.Equal(t, []lnrpc.Payment_PaymentStatus{lnrpc.Payment_IN_FLIGHT, lnrpc.Payment_SUCCEEDED},
		[]lnrpc.Payment_PaymentStatus{out.sent[0].Status, out.sent[1].Status})
	payee, secret := nodeOf(3), [32]byte{2}
	require.True(t, proto.Equal(&pb.Request{
		Payee: &pb.Payee{Node: payee[:], Secret: secret[:]}, AmountMsat: 5000, FinalDelta: 40, Invoice: invoice, MaxFeeMsat: 2000,
		MaxDelta: 500, MaxParts: 3, MaxPartMsat: 8, TimeoutNs: 9e9, FirstChannels: []uint64{7},
	}, node.paid[0]), node.paid[0])
	require.Equal(t, [32]byte{1}, node.hashes[0])
	require.Zero(t, node.aborted)

	preimage := bytes.Repeat([]byte{6}, 32)
	out = &sink[lnrpc.Payment]{ctx: t.Context()}
	require.NoError(t, r.SendPaymentV2(&routerrpc.SendPaymentRequest{
		Dest: payee[:], Amt: 3, NoInflightUpdates: true, MaxParts: 16, FeeLimitSat: math.MaxInt64, AllowSelfPayment: true,
		DestCustomRecords: map[uint64][]byte{keysendRecord: preimage, 70_000: {2}, 65_536: {1}},
	}, out))
	require.Len(t, out.sent, 1)
	require.Equal(t, sha256.Sum256(preimage), node.hashes[1])
	require.True(t, proto.Equal(&pb.Request{
		Payee: &pb.Payee{
			Node: payee[:], Keysend: preimage, Records: []*pb.Record{{Type: 65_536, Value: []byte{1}}, {Type: 70_000, Value: []byte{2}}},
		},
		AmountMsat: 3000, FinalDelta: 80, MaxParts: 1, MaxFeeMsat: btcutil.MaxSatoshi * 1000,
	}, node.paid[1]), node.paid[1])

	// Who leaves a payment that can be cancelled aborts it, however early.
	ctx, leave := context.WithCancel(t.Context())
	leave()
	node.ended = context.Canceled
	err := r.SendPaymentV2(&routerrpc.SendPaymentRequest{PaymentRequest: invoice, Cancelable: true}, &sink[lnrpc.Payment]{ctx: ctx})
	require.Equal(t, codes.Canceled, status.Code(err))
	require.Equal(t, 1, node.aborted)
}

func TestSendPaymentRefusals(t *testing.T) {
	t.Parallel()
	node := &fakePayments{}
	l := newLightning(t, Node{Payments: node})
	s := &router{server: l.server}
	now := time.Now()
	invoice, open := request(t, 5_000, now), request(t, 0, now)
	payee, hash := nodeOf(3), bytes.Repeat([]byte{1}, 32)
	for want, r := range map[string]*routerrpc.SendPaymentRequest{
		"has 33 bytes, not 0":                  {},
		"amount must be specified":             {Dest: payee[:], PaymentHash: hash},
		"payment_hash must be exactly 32":      {Dest: payee[:], Amt: 1},
		"payment_addr must be exactly 32":      {Dest: payee[:], Amt: 1, PaymentHash: hash, PaymentAddr: []byte{1}},
		"final_cltv_delta: 70000":              {Dest: payee[:], Amt: 1, PaymentHash: hash, FinalCltvDelta: 70_000},
		"does not open payment_hash":           {Dest: payee[:], Amt: 1, PaymentHash: hash, DestCustomRecords: map[uint64][]byte{keysendRecord: hash}},
		"the keysend preimage must be":         {Dest: payee[:], Amt: 1, DestCustomRecords: map[uint64][]byte{keysendRecord: {1}}},
		"type 12 cannot be used":               {PaymentRequest: invoice, DestCustomRecords: map[uint64][]byte{12: {1}}},
		"type 5482373484 cannot be":            {PaymentRequest: invoice, DestCustomRecords: map[uint64][]byte{keysendRecord: hash}},
		"mutually exclusive":                   {PaymentRequest: open, Amt: 1, AmtMsat: 1},
		"amount cannot be negative":            {PaymentRequest: open, Amt: -1},
		"more than there is":                   {PaymentRequest: open, Amt: math.MaxInt64},
		"timeout_seconds: -1":                  {PaymentRequest: invoice, TimeoutSeconds: -1},
		"cltv_limit: -1":                       {PaymentRequest: invoice, CltvLimit: -1},
		"outgoing_chan_ids: 1001":              {PaymentRequest: invoice, OutgoingChanIds: make([]uint64, 1001)},
		"dest and payment_request":             {PaymentRequest: invoice, Dest: payee[:]},
		"payment_hash and payment_request":     {PaymentRequest: invoice, PaymentHash: hash},
		"payment_addr and payment_request":     {PaymentRequest: invoice, PaymentAddr: hash},
		"final_cltv_delta and payment_request": {PaymentRequest: invoice, FinalCltvDelta: 1},
		"when paying a zero amount invoice":    {PaymentRequest: open},
		"when paying a non-zero amount":        {PaymentRequest: invoice, Amt: 1},
		"invoice expired":                      {PaymentRequest: request(t, 5_000, now.Add(-2*time.Hour))},
		bolt11.ErrInvalid.Error():              {PaymentRequest: "lnbcrt1"},
	} {
		err := s.SendPaymentV2(r, &sink[lnrpc.Payment]{ctx: t.Context()})
		require.ErrorContains(t, err, want)
		require.Equal(t, codes.InvalidArgument, status.Code(err), want)
	}
	self := nodeOf(1)
	for allowed, want := range map[bool]codes.Code{false: codes.Unknown, true: codes.Unimplemented} {
		err := s.SendPaymentV2(&routerrpc.SendPaymentRequest{Dest: self[:], Amt: 1, PaymentHash: hash, AllowSelfPayment: allowed},
			&sink[lnrpc.Payment]{ctx: t.Context()})
		require.Equal(t, want, status.Code(err), "the node has no route to itself")
	}
	require.Empty(t, node.paid)
	for err, want := range map[error]codes.Code{
		payment.ErrPaid: codes.AlreadyExists, payment.ErrInFlight: codes.AlreadyExists, payment.ErrNotFound: codes.NotFound,
		payment.ErrBadRequest: codes.InvalidArgument, payment.ErrTooManyAttempts: codes.FailedPrecondition,
		payment.ErrNoChain: codes.Unavailable, payment.ErrTooSlow: codes.ResourceExhausted,
	} {
		node.err = err
		got := s.SendPaymentV2(&routerrpc.SendPaymentRequest{PaymentRequest: invoice}, &sink[lnrpc.Payment]{ctx: t.Context()})
		require.Equal(t, want, status.Code(got))
		_, got = l.DeletePayment(t.Context(), &lnrpc.DeletePaymentRequest{PaymentHash: hash})
		require.Equal(t, want, status.Code(got))
	}
}

func TestListPayments(t *testing.T) {
	t.Parallel()
	failed := aPayment(t)
	failed.Number, failed.Preimage, failed.Attempts, failed.Failure = 8, nil, nil, pb.FailureReason_TIMEOUT
	node := &fakePayments{all: []*pb.Payment{aPayment(t), failed}}
	l := newLightning(t, Node{Payments: node})
	answer, err := l.ListPayments(t.Context(), &lnrpc.ListPaymentsRequest{CountTotalPayments: true})
	require.NoError(t, err)
	require.Len(t, answer.Payments, 1)
	require.Equal(t, uint64(99), answer.TotalNumPayments)
	require.Equal(t, usualPage, node.listed.Limit, "as many as lnd lists when nothing is said")
	answer, err = l.ListPayments(t.Context(), &lnrpc.ListPaymentsRequest{
		IncludeIncomplete: true, Reversed: true, IndexOffset: 9, MaxPayments: 1 << 60,
	})
	require.NoError(t, err)
	require.Equal(t, []uint64{5, 8, 5, 8}, []uint64{
		answer.Payments[0].PaymentIndex, answer.Payments[1].PaymentIndex, answer.FirstIndexOffset, answer.LastIndexOffset,
	})
	require.Equal(t, [2]any{uint64(9), largestPage}, [2]any{node.listed.After, node.listed.Limit})
	answer, err = l.ListPayments(t.Context(), &lnrpc.ListPaymentsRequest{IncludeIncomplete: true, CreationDateStart: 1_700_000_001})
	require.NoError(t, err)
	require.Empty(t, answer.Payments)
	_, err = l.ListPayments(t.Context(), &lnrpc.ListPaymentsRequest{CreationDateStart: 2, CreationDateEnd: 2})
	require.ErrorContains(t, err, "must be before")
	deleted, err := l.DeletePayment(t.Context(), &lnrpc.DeletePaymentRequest{PaymentHash: make([]byte, 32), FailedHtlcsOnly: true})
	require.NoError(t, err)
	require.Contains(t, deleted.Status, "failed attempts of payment 0000")
}

func TestDeleteAllPayments(t *testing.T) {
	t.Parallel()
	node := &fakePayments{}
	l := newLightning(t, Node{Payments: node})
	for _, r := range []*lnrpc.DeleteAllPaymentsRequest{
		{}, {AllPayments: true, FailedPaymentsOnly: true}, {AllPayments: true, FailedHtlcsOnly: true},
	} {
		_, err := l.DeleteAllPayments(t.Context(), r)
		require.Equal(t, codes.InvalidArgument, status.Code(err))
	}
	for _, r := range []*lnrpc.DeleteAllPaymentsRequest{
		{AllPayments: true}, {FailedPaymentsOnly: true}, {FailedHtlcsOnly: true}, {FailedPaymentsOnly: true, FailedHtlcsOnly: true},
	} {
		answer, err := l.DeleteAllPayments(t.Context(), r)
		require.NoError(t, err)
		require.Contains(t, answer.Status, "3 payments deleted")
	}
	require.Equal(t, [][2]bool{{false, false}, {true, false}, {false, true}, {true, true}}, node.deleted)
}
