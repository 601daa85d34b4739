package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/messages/lnrpc"
	"stormcell/messages/lnrpc/routerrpc"
)

// TestPaymentsWithoutChannels: what cannot be paid is refused or fails, and is said in lnd's way.
func TestPaymentsWithoutChannels(t *testing.T) {
	t.Parallel()
	alice, bob := newHome(t), newHome(t)
	alice.create(t, alice.start(t))
	bob.create(t, bob.start(t))
	made, err := lnrpc.NewLightningClient(bob.dial(t)).AddInvoice(bob.admin(t), &lnrpc.Invoice{Value: 1000})
	require.NoError(t, err)

	ctx, api, router := alice.admin(t), lnrpc.NewLightningClient(alice.dial(t)), routerrpc.NewRouterClient(alice.dial(t))
	unknown, err := router.TrackPaymentV2(ctx, &routerrpc.TrackPaymentRequest{PaymentHash: made.RHash})
	require.NoError(t, err)
	_, err = unknown.Recv()
	require.Equal(t, codes.NotFound, status.Code(err))
	require.ErrorContains(t, err, "payment isn't initiated")
	wrong, err := router.SendPaymentV2(ctx, &routerrpc.SendPaymentRequest{PaymentRequest: made.PaymentRequest, Amt: 5})
	require.NoError(t, err)
	_, err = wrong.Recv()
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	_, err = api.DeletePayment(ctx, &lnrpc.DeletePaymentRequest{PaymentHash: made.RHash})
	require.Equal(t, codes.NotFound, status.Code(err))
	listed, err := api.ListPayments(ctx, &lnrpc.ListPaymentsRequest{IncludeIncomplete: true, CountTotalPayments: true})
	require.NoError(t, err)
	require.Empty(t, listed.Payments)
	require.Zero(t, listed.TotalNumPayments)
}
