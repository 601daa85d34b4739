package main

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/messages/lnrpc"
	"stormcell/messages/lnrpc/invoicesrpc"
)

// TestInvoicesSurviveKill makes invoices of both kinds, and finds them as they were in the daemon after it was killed.
func TestInvoicesSurviveKill(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.start(t)
	h.create(t, p)
	ctx, api := h.admin(t), lnrpc.NewLightningClient(h.dial(t))
	hold := invoicesrpc.NewInvoicesClient(h.dial(t))

	news, err := api.SubscribeInvoices(ctx, &lnrpc.InvoiceSubscription{AddIndex: 1})
	require.NoError(t, err)
	made, err := api.AddInvoice(ctx, &lnrpc.Invoice{Memo: "coffee", Value: 1000})
	require.NoError(t, err)
	first, err := news.Recv()
	require.NoError(t, err)
	require.Equal(t, made.RHash, first.RHash)
	require.Equal(t, lnrpc.Invoice_OPEN, first.State)

	preimage := [32]byte{7}
	hash := sha256.Sum256(preimage[:])
	held, err := hold.AddHoldInvoice(ctx, &invoicesrpc.AddHoldInvoiceRequest{Hash: hash[:], ValueMsat: 5})
	require.NoError(t, err)
	_, err = hold.AddHoldInvoice(ctx, &invoicesrpc.AddHoldInvoiceRequest{Hash: hash[:], ValueMsat: 5})
	require.ErrorContains(t, err, "invoice with payment hash already exists")
	_, err = hold.SettleInvoice(ctx, &invoicesrpc.SettleInvoiceMsg{Preimage: preimage[:]})
	require.ErrorContains(t, err, "invoice still open")
	single, err := hold.SubscribeSingleInvoice(ctx, &invoicesrpc.SubscribeSingleInvoiceRequest{RHash: hash[:]})
	require.NoError(t, err)
	now, err := single.Recv()
	require.NoError(t, err)
	require.Equal(t, lnrpc.Invoice_OPEN, now.State)
	for range 2 { // to cancel again is no mistake
		_, err = hold.CancelInvoice(ctx, &invoicesrpc.CancelInvoiceMsg{PaymentHash: hash[:]})
		require.NoError(t, err)
	}
	now, err = single.Recv()
	require.NoError(t, err)
	require.Equal(t, lnrpc.Invoice_CANCELED, now.State)
	_, err = single.Recv()
	require.Error(t, err)

	p.crash(t)
	h.start(t)
	h.unlock(t)
	ctx, api = h.admin(t), lnrpc.NewLightningClient(h.dial(t))
	listed, err := api.ListInvoices(ctx, &lnrpc.ListInvoiceRequest{})
	require.NoError(t, err)
	require.Len(t, listed.Invoices, 2)
	require.Equal(t, []string{made.PaymentRequest, held.PaymentRequest},
		[]string{listed.Invoices[0].PaymentRequest, listed.Invoices[1].PaymentRequest})
	require.Equal(t, lnrpc.Invoice_CANCELED, listed.Invoices[1].State)
	found, err := api.LookupInvoice(ctx, &lnrpc.PaymentHash{RHash: made.RHash})
	require.NoError(t, err)
	opens := sha256.Sum256(found.RPreimage)
	require.Equal(t, made.RHash, opens[:])
	_, err = api.LookupInvoice(ctx, &lnrpc.PaymentHash{RHash: preimage[:]})
	require.Equal(t, codes.NotFound, status.Code(err))
	read, err := api.DecodePayReq(ctx, &lnrpc.PayReqString{PayReq: made.PaymentRequest})
	require.NoError(t, err)
	require.Equal(t, h.info(t).IdentityPubkey, read.Destination)
	require.Equal(t, hex.EncodeToString(made.RHash), read.PaymentHash)
	require.Equal(t, int64(1_000_000), read.NumMsat)
}
