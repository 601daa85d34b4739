package interop_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/tests/interop/node"
)

// TestAbort: who leaves a payment on its way, with or without the wish to abort it, learns later how it ended. What is on its way
// goes on, and whether the payee takes it decides.
func TestAbort(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.open(p.ours, p.other)
	for _, from := range []*node.Lightning{p.ours, p.other} {
		for _, cancelable := range []bool{true, false} {
			for _, settles := range []bool{true, false} {
				p.leave(from, p.peerOf(from), cancelable, settles)
			}
		}
	}
}

// leave pays a hold invoice, and goes away once the payee holds the HTLC.
func (p *pair) leave(from, to *node.Lightning, cancelable, settles bool) {
	p.t.Helper()
	preimage := random32()
	hash := sha256.Sum256(preimage)
	invoice, err := to.Hold.AddHoldInvoice(to.Context(), &invoicesrpc.AddHoldInvoiceRequest{Hash: hash[:], ValueMsat: int64(asked)})
	require.NoError(p.t, err)
	ctx, leave := context.WithCancel(from.Context())
	updates, err := from.Router.SendPaymentV2(ctx, &routerrpc.SendPaymentRequest{
		PaymentRequest: invoice.PaymentRequest, TimeoutSeconds: 60, Cancelable: cancelable,
	})
	require.NoError(p.t, err)
	p.requireInvoice(to, hash[:], lnrpc.Invoice_ACCEPTED)
	leave()
	for err == nil {
		_, err = updates.Recv()
	}
	require.True(p.t, status.Code(err) == codes.Canceled || errors.Is(err, context.Canceled), "%v", err)

	following, err := from.Router.TrackPaymentV2(from.Context(), &routerrpc.TrackPaymentRequest{PaymentHash: hash[:]})
	require.NoError(p.t, err)
	now, err := following.Recv()
	require.NoError(p.t, err)
	require.Equal(p.t, lnrpc.Payment_IN_FLIGHT, now.Status)
	want, reason := lnrpc.Payment_SUCCEEDED, lnrpc.PaymentFailureReason_FAILURE_REASON_NONE
	if settles {
		_, err = to.Hold.SettleInvoice(to.Context(), &invoicesrpc.SettleInvoiceMsg{Preimage: preimage})
	} else {
		_, err = to.Hold.CancelInvoice(to.Context(), &invoicesrpc.CancelInvoiceMsg{PaymentHash: hash[:]})
		if want, reason = lnrpc.Payment_FAILED, incorrect; cancelable && !from.IsLnd() { // for which the last reason counts
			reason = lnrpc.PaymentFailureReason_FAILURE_REASON_CANCELED
		}
	}
	require.NoError(p.t, err)
	for now.Status == lnrpc.Payment_IN_FLIGHT {
		now, err = following.Recv()
		require.NoError(p.t, err)
	}
	require.Equal(p.t, want, now.Status, "%s, cancelable: %t, settles: %t", from, cancelable, settles)
	require.Equal(p.t, reason, now.FailureReason, "%s, cancelable: %t, settles: %t", from, cancelable, settles)
}

// TestLeftAtOnce: whoever is gone before the payment is on its way, and wanted that to abort it, has paid either nothing or all.
func TestLeftAtOnce(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	at := p.open(p.ours, p.other)
	for i := range 20 {
		invoice, err := p.other.Invoice(asked)
		require.NoError(t, err)
		ctx, leave := context.WithTimeout(p.ours.Context(), time.Duration(i)*200*time.Microsecond)
		if updates, err := p.ours.Router.SendPaymentV2(ctx, &routerrpc.SendPaymentRequest{
			PaymentRequest: invoice.PaymentRequest, TimeoutSeconds: 60, Cancelable: true,
		}); err == nil {
			for err == nil {
				_, err = updates.Recv()
			}
		}
		leave()
	}
	require.Eventually(t, func() bool {
		for _, payment := range p.ours.Payments() {
			if payment.Status == lnrpc.Payment_IN_FLIGHT {
				return false
			}
		}
		return true
	}, patience, 20*time.Millisecond, "a payment that was left is in flight for ever")
	p.settle(at)
	made := p.other.Invoices()
	for hash, payment := range p.ours.Payments() {
		require.Equal(t, payment.Status == lnrpc.Payment_SUCCEEDED, made[hash] == lnrpc.Invoice_SETTLED, "%v", payment)
	}
}
