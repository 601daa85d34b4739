package rpc

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	invoices "stormcell/actors/invoice"
	"stormcell/messages/lnrpc"
	"stormcell/messages/lnrpc/invoicesrpc"
)

// holdInvoices is lnd's Invoices.
type holdInvoices struct {
	invoicesrpc.UnimplementedInvoicesServer
	server *Server
}

func (h *holdInvoices) invoices() Invoices { return h.server.node.Load().Invoices }

// AddHoldInvoice implements invoicesrpc.InvoicesServer.
func (h *holdInvoices) AddHoldInvoice(
	ctx context.Context, r *invoicesrpc.AddHoldInvoiceRequest,
) (*invoicesrpc.AddHoldInvoiceResp, error) {
	if err := understood(r); err != nil {
		return nil, err
	}
	hash, err := parseHash("hash", r.Hash)
	if err != nil {
		return nil, err
	}
	want, err := h.server.invoiceRequest(ctx, asked{
		memo: r.Memo, value: r.Value, valueMsat: r.ValueMsat, descriptionHash: r.DescriptionHash, expiry: r.Expiry,
		fallback: r.FallbackAddr, cltvExpiry: r.CltvExpiry, hints: r.RouteHints, private: r.Private,
	})
	if err != nil {
		return nil, err
	}
	added, err := h.invoices().Add(ctx, want, &hash)
	if err != nil {
		return nil, invoiceRefused(err)
	}
	return &invoicesrpc.AddHoldInvoiceResp{
		PaymentRequest: added.PaymentRequest, AddIndex: added.AddIndex, PaymentAddr: added.PaymentSecret,
	}, nil
}

// SettleInvoice implements invoicesrpc.InvoicesServer. It is no mistake to settle again.
func (h *holdInvoices) SettleInvoice(
	ctx context.Context, r *invoicesrpc.SettleInvoiceMsg,
) (*invoicesrpc.SettleInvoiceResp, error) {
	preimage, err := parseHash("preimage", r.Preimage)
	if err != nil {
		return nil, err
	}
	if err := h.invoices().Settle(ctx, preimage); err != nil && !errors.Is(err, invoices.ErrSettled) {
		return nil, invoiceRefused(err)
	}
	return &invoicesrpc.SettleInvoiceResp{}, nil
}

// CancelInvoice implements invoicesrpc.InvoicesServer. It is no mistake to cancel again.
func (h *holdInvoices) CancelInvoice(
	ctx context.Context, r *invoicesrpc.CancelInvoiceMsg,
) (*invoicesrpc.CancelInvoiceResp, error) {
	hash, err := parseHash("payment_hash", r.PaymentHash)
	if err != nil {
		return nil, err
	}
	if err := h.invoices().Cancel(ctx, hash); err != nil {
		return nil, invoiceRefused(err)
	}
	return &invoicesrpc.CancelInvoiceResp{}, nil
}

// errFinal ends a subscription to an invoice that does not change any more.
var errFinal = errors.New("the invoice does not change any more")

// SubscribeSingleInvoice implements invoicesrpc.InvoicesServer.
func (h *holdInvoices) SubscribeSingleInvoice(
	r *invoicesrpc.SubscribeSingleInvoiceRequest, out invoicesrpc.Invoices_SubscribeSingleInvoiceServer,
) error {
	hash, err := parseHash("r_hash", r.RHash)
	if err != nil {
		return err
	}
	channels := h.server.shortIDs()
	err = h.invoices().Subscribe(out.Context(), hash, func(i invoices.Info) error {
		described, err := h.server.invoice(out.Context(), i, channels)
		if err != nil {
			return err
		}
		if err := out.Send(described); err != nil {
			return err
		}
		if described.State == lnrpc.Invoice_SETTLED || described.State == lnrpc.Invoice_CANCELED {
			return errFinal
		}
		return nil
	})
	if errors.Is(err, errFinal) {
		return nil
	}
	if err == nil {
		return status.Error(codes.Internal, "the subscription ended by itself")
	}
	return invoiceRefused(err)
}
