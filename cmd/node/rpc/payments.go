package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/actors/payment"
	"stormcell/messages/lnrpc"
	pb "stormcell/messages/payment"
)

// ListPayments implements lnrpc.LightningServer. It lists no more than largestPage at once, and usualPage when nothing is said.
func (l *lightning) ListPayments(
	ctx context.Context, r *lnrpc.ListPaymentsRequest,
) (*lnrpc.ListPaymentsResponse, error) {
	if r.CreationDateStart != 0 && r.CreationDateEnd != 0 && r.CreationDateStart >= r.CreationDateEnd {
		return nil, status.Errorf(codes.InvalidArgument, "start date(%d) must be before end date(%d)",
			r.CreationDateStart, r.CreationDateEnd)
	}
	limit := usualPage
	if r.MaxPayments != 0 {
		limit = int(min(r.MaxPayments, largestPage))
	}
	page, err := l.node().Payments.List(ctx, payment.Selection{
		After: r.IndexOffset, Reverse: r.Reversed, Limit: limit, Wanted: wantedPayments(r),
	})
	if err != nil {
		return nil, paymentRefused(err)
	}
	if r.Reversed {
		slices.Reverse(page)
	}
	out := &lnrpc.ListPaymentsResponse{}
	for _, p := range page {
		out.Payments = append(out.Payments, describePayment(p))
	}
	if n := len(page); n > 0 {
		out.FirstIndexOffset, out.LastIndexOffset = page[0].Number, page[n-1].Number
	}
	if r.CountTotalPayments {
		out.TotalNumPayments, err = l.node().Payments.Count(ctx, nil)
	}
	if err != nil {
		return nil, paymentRefused(err)
	}
	return out, nil
}

// wantedPayments chooses what a request asks for.
func wantedPayments(r *lnrpc.ListPaymentsRequest) func(*pb.Listed) bool {
	return func(p *pb.Listed) bool {
		created := uint64(p.CreatedNs / nanoseconds)
		return (r.IncludeIncomplete || p.Status == pb.Status_SUCCEEDED) && created >= r.CreationDateStart &&
			(r.CreationDateEnd == 0 || created <= r.CreationDateEnd)
	}
}

// DeletePayment implements lnrpc.LightningServer.
func (l *lightning) DeletePayment(
	ctx context.Context, r *lnrpc.DeletePaymentRequest,
) (*lnrpc.DeletePaymentResponse, error) {
	hash, err := parseHash("payment_hash", r.PaymentHash)
	if err != nil {
		return nil, err
	}
	if err := l.node().Payments.Delete(ctx, hash, r.FailedHtlcsOnly); err != nil {
		return nil, paymentRefused(err)
	}
	what := "payment"
	if r.FailedHtlcsOnly {
		what = "failed attempts of payment"
	}
	return &lnrpc.DeletePaymentResponse{Status: fmt.Sprintf("%s %x deleted", what, hash)}, nil
}

// DeleteAllPayments implements lnrpc.LightningServer. What is in flight stays.
func (l *lightning) DeleteAllPayments(
	ctx context.Context, r *lnrpc.DeleteAllPaymentsRequest,
) (*lnrpc.DeleteAllPaymentsResponse, error) {
	switch only := r.FailedPaymentsOnly || r.FailedHtlcsOnly; {
	case !only && !r.AllPayments:
		return nil, status.Error(codes.InvalidArgument,
			"at least one of the options `all_payments`, `failed_payments_only`, or `failed_htlcs_only` must be set to true")
	case only && r.AllPayments:
		return nil, status.Error(codes.InvalidArgument, "`all_payments` cannot be set to true while either "+
			"`failed_payments_only` or `failed_htlcs_only` is also set to true")
	}
	n, err := l.node().Payments.DeleteAll(ctx, r.FailedPaymentsOnly, r.FailedHtlcsOnly)
	if err != nil {
		return nil, paymentRefused(err)
	}
	return &lnrpc.DeleteAllPaymentsResponse{
		Status: fmt.Sprintf("%d payments deleted, failed_htlcs_only=%t", n, r.FailedHtlcsOnly),
	}, nil
}

// paymentRefused is a payment's refusal, with lnd's code where clients may look for it.
func paymentRefused(err error) error {
	switch {
	case errors.Is(err, payment.ErrInFlight):
		return status.Error(codes.AlreadyExists, payment.ErrInFlight.Error())
	case errors.Is(err, payment.ErrPaid):
		return status.Error(codes.AlreadyExists, payment.ErrPaid.Error())
	case errors.Is(err, payment.ErrNotFound):
		return status.Error(codes.NotFound, payment.ErrNotFound.Error())
	case errors.Is(err, payment.ErrTooManyAttempts):
		return status.Error(codes.FailedPrecondition, payment.ErrTooManyAttempts.Error())
	case errors.Is(err, payment.ErrNoChain):
		return status.Error(codes.Unavailable, payment.ErrNoChain.Error())
	case errors.Is(err, payment.ErrTooSlow):
		return status.Error(codes.ResourceExhausted, payment.ErrTooSlow.Error())
	case errors.Is(err, payment.ErrBadRequest):
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return refused(err)
}
