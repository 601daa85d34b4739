package rpc

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	invoices "stormcell/actors/invoice"
	pb "stormcell/messages/invoice"
	"stormcell/messages/lnrpc"
)

// usualPage and largestPage are how many invoices and payments are listed when nothing is said, and at most.
const (
	usualPage   = 100
	largestPage = 10_000
)

// AddInvoice implements lnrpc.LightningServer.
func (l *lightning) AddInvoice(ctx context.Context, r *lnrpc.Invoice) (*lnrpc.AddInvoiceResponse, error) {
	if err := understood(r); err != nil {
		return nil, err
	}
	if len(r.RHash) > 0 || r.IsKeysend {
		return nil, status.Error(codes.Unimplemented, "r_hash and is_keysend cannot be asked for: see AddHoldInvoice")
	}
	want, err := l.server.invoiceRequest(ctx, asked{
		memo: r.Memo, value: r.Value, valueMsat: r.ValueMsat, descriptionHash: r.DescriptionHash, expiry: r.Expiry,
		fallback: r.FallbackAddr, cltvExpiry: r.CltvExpiry, hints: r.RouteHints, private: r.Private,
	})
	if err != nil {
		return nil, err
	}
	if len(r.RPreimage) > 0 {
		preimage, err := parseHash("r_preimage", r.RPreimage)
		if err != nil {
			return nil, err
		}
		want.Preimage = &preimage
	}
	added, err := l.node().Invoices.Add(ctx, want, nil)
	if err != nil {
		return nil, invoiceRefused(err)
	}
	return &lnrpc.AddInvoiceResponse{
		RHash: added.PaymentHash, PaymentRequest: added.PaymentRequest, AddIndex: added.AddIndex,
		PaymentAddr: added.PaymentSecret,
	}, nil
}

// LookupInvoice implements lnrpc.LightningServer.
func (l *lightning) LookupInvoice(ctx context.Context, r *lnrpc.PaymentHash) (*lnrpc.Invoice, error) {
	serialized := r.RHash
	if r.RHashStr != "" {
		var err error
		if serialized, err = hex.DecodeString(r.RHashStr); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "r_hash_str: %v", err)
		}
	}
	hash, err := parseHash("payment hash", serialized)
	if err != nil {
		return nil, err
	}
	found, err := l.node().Invoices.Lookup(ctx, hash)
	if err != nil {
		return nil, invoiceRefused(err)
	}
	return l.server.invoice(ctx, found, l.server.shortIDs())
}

// ListInvoices implements lnrpc.LightningServer. It lists no more than largestPage at once.
func (l *lightning) ListInvoices(ctx context.Context, r *lnrpc.ListInvoiceRequest) (*lnrpc.ListInvoiceResponse, error) {
	if r.CreationDateStart != 0 && r.CreationDateEnd != 0 && r.CreationDateStart >= r.CreationDateEnd {
		return nil, status.Errorf(codes.InvalidArgument, "start date(%d) must be before end date(%d)",
			r.CreationDateStart, r.CreationDateEnd)
	}
	q := invoices.Query{After: r.IndexOffset, Reverse: r.Reversed, Limit: usualPage, Wanted: wantedInvoices(r)}
	if r.NumMaxInvoices != 0 {
		q.Limit = int(min(r.NumMaxInvoices, largestPage))
	}
	page, err := l.node().Invoices.List(ctx, q)
	if err != nil {
		return nil, invoiceRefused(err)
	}
	if r.Reversed {
		slices.Reverse(page)
	}
	out, channels := &lnrpc.ListInvoiceResponse{}, l.server.shortIDs()
	for _, i := range page {
		described, err := l.server.invoice(ctx, i, channels)
		if err != nil {
			return nil, err
		}
		out.Invoices = append(out.Invoices, described)
	}
	if n := len(page); n > 0 {
		out.FirstIndexOffset, out.LastIndexOffset = page[0].AddIndex, page[n-1].AddIndex
	}
	return out, nil
}

// wantedInvoices chooses what a request asks for; nil is all.
func wantedInvoices(r *lnrpc.ListInvoiceRequest) func(*pb.Invoice) bool {
	if !r.PendingOnly && r.CreationDateStart == 0 && r.CreationDateEnd == 0 {
		return nil
	}
	return func(i *pb.Invoice) bool {
		created := uint64(i.CreatedNs / nanoseconds)
		pending := i.Status == pb.Status_OPEN || i.Status == pb.Status_HELD
		return (!r.PendingOnly || pending) && created >= r.CreationDateStart &&
			(r.CreationDateEnd == 0 || created <= r.CreationDateEnd)
	}
}

// SubscribeInvoices implements lnrpc.LightningServer.
func (l *lightning) SubscribeInvoices(r *lnrpc.InvoiceSubscription, out lnrpc.Lightning_SubscribeInvoicesServer) error {
	since, channels := invoices.Since{Added: r.AddIndex, Settled: r.SettleIndex}, l.server.shortIDs()
	err := l.node().Invoices.SubscribeAll(out.Context(), since, func(e invoices.Event) error {
		described, err := l.server.invoice(out.Context(), e.Info, channels)
		if err != nil {
			return err
		}
		return out.Send(described)
	})
	return invoiceRefused(err)
}

// parseHash reads 32 bytes.
func parseHash(name string, serialized []byte) ([32]byte, error) {
	if len(serialized) != 32 {
		return [32]byte{}, status.Errorf(codes.InvalidArgument, "%s must be exactly 32 bytes, is instead %d", name, len(serialized))
	}
	return [32]byte(serialized), nil
}

// invoiceRefused is an invoice's refusal, in lnd's words where clients may look for them.
func invoiceRefused(err error) error {
	switch {
	case errors.Is(err, invoices.ErrNotFound):
		return status.Error(codes.NotFound, "unable to locate invoice")
	case errors.Is(err, invoices.ErrExists):
		return status.Error(codes.Unknown, "invoice with payment hash already exists")
	case errors.Is(err, invoices.ErrSettled):
		return status.Error(codes.Unknown, "invoice already settled")
	case errors.Is(err, invoices.ErrCanceled):
		return status.Error(codes.Unknown, "invoice already canceled")
	case errors.Is(err, invoices.ErrNotHeld):
		return status.Error(codes.Unknown, "invoice still open")
	case errors.Is(err, invoices.ErrBadRequest), errors.Is(err, invoices.ErrWrongPreimage):
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return refused(err)
}
