package interop_test

import (
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

// TestHints: somebody who is no peer of ours pays us over a private channel, of which only our invoice tells.
func TestHints(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{
		"under its place in the chain": nil,
		"under an alias":               {"--protocol.option-scid-alias"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, flags...)
			at := p.other.OpenPrivatelyTo(p.ours, capacity)
			p.mine(at)
			p.awaitActive(at)
			payer := node.StartLnd(t, p.chain)
			payer.Fund(p.chain, btcutil.SatoshiPerBitcoin)
			payer.Connect(p.other)
			p.mine(payer.OpenTo(p.other, capacity, 0))
			for range 2 {
				p.payThroughHint(payer)
				p.ours.Crash() // it is told once, and remembers
				p.connect()
				p.awaitActive(at)
			}
		})
	}
}

// payThroughHint has a payer pay us through the other node.
func (p *pair) payThroughHint(payer *node.Lightning) {
	p.t.Helper()
	var invoice *lnrpc.AddInvoiceResponse
	require.Eventually(p.t, func() bool {
		var err error
		invoice, err = p.ours.AddInvoice(p.ours.Context(), &lnrpc.Invoice{ValueMsat: int64(asked), Private: true})
		require.NoError(p.t, err)
		read, err := payer.DecodePayReq(payer.Context(), &lnrpc.PayReqString{PayReq: invoice.PaymentRequest})
		require.NoError(p.t, err)
		return len(read.RouteHints) == 1 && read.RouteHints[0].HopHints[0].NodeId == p.other.Key
	}, patience, 100*time.Millisecond, "lnd does not say what it wants for forwarding")
	var payment *lnrpc.Payment
	require.Eventually(p.t, func() bool { // lnd uses the channel before it has it in its graph
		var err error
		payment, err = payer.Pay(&routerrpc.SendPaymentRequest{PaymentRequest: invoice.PaymentRequest})
		return err == nil && payment.Status == lnrpc.Payment_SUCCEEDED
	}, patience, 200*time.Millisecond, "it is not paid: %v", payment)
	require.Len(p.t, payment.Htlcs[len(payment.Htlcs)-1].Route.Hops, 2)
	require.NotZero(p.t, payment.FeeMsat)
	p.requireInvoice(p.ours, invoice.RHash, lnrpc.Invoice_SETTLED)
}
