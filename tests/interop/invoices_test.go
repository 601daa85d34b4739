package interop_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/record"
	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

const (
	asked      lnwire.MilliSatoshi = 2_345_678
	incorrect                      = lnrpc.PaymentFailureReason_FAILURE_REASON_INCORRECT_PAYMENT_DETAILS
	longest                        = 3600 // s until invoices expire
	finalDelta int32               = 80
	parallel                       = 3 // channels
)

// TestInvoices: either node pays what the other asks for, in the ways there are, and is refused where it should be.
func TestInvoices(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	at := p.open(p.ours, p.other)
	for _, from := range []*node.Lightning{p.ours, p.other} {
		to := p.peerOf(from)
		p.burst(at, from, to, 1)
		p.keysend(at, from, to)
		p.hold(at, from, to, true)
		p.hold(at, from, to, false)
		p.payNobody(from, to)
		p.payTooLate(at, from, to)
		p.payTooLittle(at, from, to)
		p.payMore(at, from, to)
		p.payTooMuch(at, from, to)
		p.payAny(at, from, to)
	}
}

// TestParts: either node pays what no channel carries alone over three of them.
func TestParts(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for range parallel {
		p.open(p.ours, p.other)
	}
	const oursCarry, lndsCarry = 15_000_000_000, 20_000_000_000 // msat
	p.payInParts(p.ours, p.other, oursCarry)
	p.payInParts(p.other, p.ours, lndsCarry)
}

func (p *pair) payInParts(from, to *node.Lightning, amount lnwire.MilliSatoshi) {
	p.t.Helper()
	invoice, err := to.Invoice(amount)
	require.NoError(p.t, err)
	payment, err := from.Pay(&routerrpc.SendPaymentRequest{PaymentRequest: invoice.PaymentRequest, MaxParts: 16})
	require.NoError(p.t, err)
	require.Equal(p.t, lnrpc.Payment_SUCCEEDED, payment.Status, "%s: %v", from, payment)
	var sum lnwire.MilliSatoshi
	over := map[uint64]bool{}
	for _, part := range payment.Htlcs {
		if part.Status == lnrpc.HTLCAttempt_SUCCEEDED {
			sum += lnwire.MilliSatoshi(part.Route.TotalAmtMsat)
			over[part.Route.Hops[0].ChanId] = true
		}
	}
	require.Equal(p.t, amount, sum)
	require.Len(p.t, over, parallel)
	p.requireInvoice(to, invoice.RHash, lnrpc.Invoice_SETTLED)
}

// moved is what a node's balance in the channel sank by while f ran.
func (p *pair) moved(at wire.OutPoint, from *node.Lightning, f func()) lnwire.MilliSatoshi {
	p.t.Helper()
	balance := func() lnwire.MilliSatoshi {
		ours, others := p.settle(at)
		if from == p.ours {
			return ours
		}
		return others
	}
	before := balance()
	f()
	return before - balance()
}

// keysend pays without an invoice.
func (p *pair) keysend(at wire.OutPoint, from, to *node.Lightning) {
	p.t.Helper()
	preimage := random32()
	hash := sha256.Sum256(preimage)
	paid := p.moved(at, from, func() {
		request := p.request(from, to, hash[:], nil, asked)
		request.DestCustomRecords = map[uint64][]byte{record.KeySendType: preimage}
		payment, err := from.Pay(request)
		require.NoError(p.t, err)
		require.Equal(p.t, lnrpc.Payment_SUCCEEDED, payment.Status, "%s: %v", from, payment)
	})
	require.Equal(p.t, asked, paid)
	p.requireInvoice(to, hash[:], lnrpc.Invoice_SETTLED)
}

// hold pays an invoice that its payee settles or cancels when the HTLC is there.
func (p *pair) hold(at wire.OutPoint, from, to *node.Lightning, settles bool) {
	p.t.Helper()
	preimage := random32()
	hash := sha256.Sum256(preimage)
	invoice, err := to.Hold.AddHoldInvoice(to.Context(), &invoicesrpc.AddHoldInvoiceRequest{
		Hash: hash[:], ValueMsat: int64(asked), Expiry: longest,
	})
	require.NoError(p.t, err)
	paid := p.moved(at, from, func() {
		paying := make(chan struct{})
		var payment *lnrpc.Payment
		var err error
		go func() {
			defer close(paying)
			payment, err = from.Pay(&routerrpc.SendPaymentRequest{PaymentRequest: invoice.PaymentRequest})
		}()
		p.requireInvoice(to, hash[:], lnrpc.Invoice_ACCEPTED)
		var told error
		if settles {
			_, told = to.Hold.SettleInvoice(to.Context(), &invoicesrpc.SettleInvoiceMsg{Preimage: preimage})
		} else {
			_, told = to.Hold.CancelInvoice(to.Context(), &invoicesrpc.CancelInvoiceMsg{PaymentHash: hash[:]})
		}
		<-paying
		require.NoError(p.t, told)
		require.NoError(p.t, err)
		if settles {
			require.Equal(p.t, lnrpc.Payment_SUCCEEDED, payment.Status, "%s: %v", from, payment)
			require.Equal(p.t, hex.EncodeToString(preimage), payment.PaymentPreimage)
		} else {
			require.Equal(p.t, lnrpc.Payment_FAILED, payment.Status)
			require.Equal(p.t, incorrect, payment.FailureReason, "%s: %v", from, payment)
		}
	})
	if settles {
		require.Equal(p.t, asked, paid)
		p.requireInvoice(to, hash[:], lnrpc.Invoice_SETTLED)
	} else {
		require.Zero(p.t, paid)
		p.requireInvoice(to, hash[:], lnrpc.Invoice_CANCELED)
	}
}

// payTooLate pays an invoice that has expired.
func (p *pair) payTooLate(at wire.OutPoint, from, to *node.Lightning) {
	p.t.Helper()
	const lasts = 1 // s
	invoice, err := to.AddInvoice(to.Context(), &lnrpc.Invoice{ValueMsat: int64(asked), Expiry: lasts})
	require.NoError(p.t, err)
	expired := time.Now().Add((lasts + 1) * time.Second)
	require.Eventually(p.t, func() bool { return time.Now().After(expired) }, patience, 100*time.Millisecond)
	p.requireInvoice(to, invoice.RHash, lnrpc.Invoice_CANCELED)
	p.payInVain(at, from, p.request(from, to, invoice.RHash, invoice.PaymentAddr, asked))
}

// payTooLittle pays less than an invoice asks for.
func (p *pair) payTooLittle(at wire.OutPoint, from, to *node.Lightning) {
	p.t.Helper()
	invoice, err := to.Invoice(asked)
	require.NoError(p.t, err)
	p.payInVain(at, from, p.request(from, to, invoice.RHash, invoice.PaymentAddr, asked/2))
	p.requireInvoice(to, invoice.RHash, lnrpc.Invoice_OPEN)
}

// payMore pays up to twice what an invoice asks for, which payers may to hide the amount (BOLT 4, "Failure Messages").
func (p *pair) payMore(at wire.OutPoint, from, to *node.Lightning) {
	p.t.Helper()
	invoice, err := to.Invoice(asked)
	require.NoError(p.t, err)
	p.payFreely(at, from, to, p.request(from, to, invoice.RHash, invoice.PaymentAddr, 2*asked), 2*asked)
}

// payTooMuch pays more than that, which lnd takes all the same.
func (p *pair) payTooMuch(at wire.OutPoint, from, to *node.Lightning) {
	p.t.Helper()
	invoice, err := to.Invoice(asked)
	require.NoError(p.t, err)
	request := p.request(from, to, invoice.RHash, invoice.PaymentAddr, 2*asked+1)
	if to.IsLnd() {
		p.payFreely(at, from, to, request, 2*asked+1)
		return
	}
	p.payInVain(at, from, request)
	p.requireInvoice(to, invoice.RHash, lnrpc.Invoice_OPEN)
}

// payAny pays an invoice that leaves the amount to the payer.
func (p *pair) payAny(at wire.OutPoint, from, to *node.Lightning) {
	p.t.Helper()
	invoice, err := to.Invoice(0)
	require.NoError(p.t, err)
	p.payFreely(at, from, to, &routerrpc.SendPaymentRequest{PaymentRequest: invoice.PaymentRequest, AmtMsat: int64(asked)}, asked)
}

// payFreely pays an amount that is not the one of the invoice, and sees it arrive.
func (p *pair) payFreely(
	at wire.OutPoint, from, to *node.Lightning, request *routerrpc.SendPaymentRequest, amount lnwire.MilliSatoshi,
) {
	p.t.Helper()
	var payment *lnrpc.Payment
	require.Equal(p.t, amount, p.moved(at, from, func() {
		var err error
		payment, err = from.Pay(request)
		require.NoError(p.t, err)
		require.Equal(p.t, lnrpc.Payment_SUCCEEDED, payment.Status, "%s: %v", from, payment)
	}))
	hash, err := hex.DecodeString(payment.PaymentHash)
	require.NoError(p.t, err)
	p.requireInvoice(to, hash, lnrpc.Invoice_SETTLED)
	invoice, err := to.LookupInvoice(to.Context(), &lnrpc.PaymentHash{RHash: hash})
	require.NoError(p.t, err)
	require.Equal(p.t, int64(amount), invoice.AmtPaidMsat)
	require.Equal(p.t, int64(amount), payment.ValueMsat)
}

// payInVain pays what the payee refuses.
func (p *pair) payInVain(at wire.OutPoint, from *node.Lightning, request *routerrpc.SendPaymentRequest) {
	p.t.Helper()
	require.Zero(p.t, p.moved(at, from, func() {
		payment, err := from.Pay(request)
		require.NoError(p.t, err)
		p.requireRefused(from, payment)
	}))
}

// requireRefused requires that the payee has said, and the payer has understood, that it does not know of such a payment.
func (p *pair) requireRefused(from *node.Lightning, payment *lnrpc.Payment) {
	p.t.Helper()
	require.Equal(p.t, lnrpc.Payment_FAILED, payment.Status, "%s: %v", from, payment)
	require.Equal(p.t, incorrect, payment.FailureReason, "%s: %v", from, payment)
	require.Len(p.t, payment.Htlcs, 1)
	said := payment.Htlcs[0].GetFailure()
	require.Equal(p.t, lnrpc.Failure_INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS, said.GetCode(), "%s: %v", from, payment)
	require.Equal(p.t, uint32(1), said.GetFailureSourceIndex())
	if !from.IsLnd() { // which does not show it
		require.Equal(p.t, uint64(payment.ValueMsat), said.GetHtlcMsat(), "%s: %v", from, payment)
	}
	info, err := from.GetInfo(from.Context(), &lnrpc.GetInfoRequest{})
	require.NoError(p.t, err)
	require.Equal(p.t, info.BlockHeight, said.GetHeight())
}

// request is for a payment of which no invoice says how it is to be made. Without a payment secret it has none.
func (p *pair) request(from, to *node.Lightning, hash, secret []byte, amount lnwire.MilliSatoshi) *routerrpc.SendPaymentRequest {
	p.t.Helper()
	key, err := hex.DecodeString(to.Key)
	require.NoError(p.t, err)
	r := &routerrpc.SendPaymentRequest{
		Dest: key, AmtMsat: int64(amount), PaymentHash: hash, PaymentAddr: secret, FinalCltvDelta: finalDelta,
	}
	if from.IsLnd() { // which knows nodes by their announcements, and there are none
		r.DestFeatures = []lnrpc.FeatureBit{lnrpc.FeatureBit_TLV_ONION_REQ}
		if secret != nil {
			r.DestFeatures = append(r.DestFeatures, lnrpc.FeatureBit_PAYMENT_ADDR_REQ)
		}
	}
	return r
}

// requireInvoice waits until an invoice has come so far.
func (p *pair) requireInvoice(at *node.Lightning, hash []byte, state lnrpc.Invoice_InvoiceState) {
	p.t.Helper()
	var got lnrpc.Invoice_InvoiceState
	require.Eventually(p.t, func() bool {
		invoice, err := at.LookupInvoice(at.Context(), &lnrpc.PaymentHash{RHash: hash})
		got = invoice.GetState()
		return err == nil && got == state
	}, patience, 20*time.Millisecond, "the invoice at %s does not become %v: it is %v", at, state, got)
}
