package interop_test

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

// TestPayments: in both directions, HTLCs are settled in bursts, failed, and failed as malformed, and the fee rate changes
// and the connection breaks meanwhile.
func TestPayments(t *testing.T) {
	t.Parallel()
	byEither(t, "opened", func(t *testing.T, first func(*pair) (*node.Lightning, *node.Lightning)) {
		p := newPair(t)
		opener, accepter := first(p)
		at := p.open(opener, accepter)
		for range 5 {
			p.burst(at, p.other, p.ours, 100)
			p.burst(at, p.ours, p.other, 100)
		}
		for range 20 {
			p.payNobody(p.other, p.ours)
			p.payNobody(p.ours, p.other)
		}
		p.misdirect(at)
		p.settle(at)
		p.burstBothWays(at, func() {})
		p.burstBothWays(at, func() {
			for range 5 {
				p.disconnect()
				p.connect()
			}
		})
		if opener == p.ours {
			p.changeFee(at)
		}
	})
}

// TestFiveHundredAtOnce: more payments at once than a channel has room for, in each direction. The rest wait.
func TestFiveHundredAtOnce(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	at := p.open(p.ours, p.other)
	const many = 500
	for _, from := range []*node.Lightning{p.ours, p.other} {
		p.burst(at, from, p.peerOf(from), many)
		made := p.peerOf(from).Invoices()
		paid := from.Payments()
		for hash := range paid {
			require.Equal(t, lnrpc.Invoice_SETTLED, made[hash])
		}
		require.Len(t, paid, many)
	}
}

// amountOf gives payments of all sizes from lnd's least on, some of them without an output on a commitment.
func amountOf(i int) lnwire.MilliSatoshi { return lnwire.MilliSatoshi(1_000 + i*791_900_123%5_000_000) }

// burst pays n invoices at once, and sees the balances move by what they add up to.
func (p *pair) burst(at wire.OutPoint, from, to *node.Lightning, n int) {
	p.t.Helper()
	before, others := p.settle(at)
	if from == p.other {
		before = others
	}
	paid := p.payAll(from, to, n)
	after, others := p.settle(at)
	if from == p.other {
		after = others
	}
	require.Equal(p.t, before-paid, after, "%s has paid %v", from, paid)
}

// payAll pays n invoices at once and gives their sum.
func (p *pair) payAll(from, to *node.Lightning, n int) (sum lnwire.MilliSatoshi) {
	p.t.Helper()
	var invoices []*lnrpc.AddInvoiceResponse
	for i := range n {
		invoice, err := to.Invoice(amountOf(i))
		require.NoError(p.t, err)
		invoices = append(invoices, invoice)
		sum += amountOf(i)
	}
	began := time.Now()
	var paying sync.WaitGroup
	for _, invoice := range invoices {
		paying.Go(func() {
			payment, err := from.Pay(&routerrpc.SendPaymentRequest{PaymentRequest: invoice.PaymentRequest})
			if err != nil {
				p.t.Errorf("%s pays: %v", from, err)
			} else if payment.Status != lnrpc.Payment_SUCCEEDED {
				p.t.Errorf("%s pays: %v", from, payment)
			}
		})
	}
	paying.Wait()
	require.False(p.t, p.t.Failed())
	p.t.Logf("%d payments by %s in %v", n, from, time.Since(began).Round(time.Millisecond))
	return sum
}

// burstBothWays pays in both directions at once, while something happens that may let payments fail.
func (p *pair) burstBothWays(at wire.OutPoint, meanwhile func()) {
	p.t.Helper()
	load := p.startLoad(at, 10)
	load.await(20)
	meanwhile()
	load.await(20)
	load.stop()
}

// payNobody pays to a hash of which the receiver knows nothing.
func (p *pair) payNobody(from, to *node.Lightning) {
	p.t.Helper()
	request := p.request(from, to, random32(), random32(), 1_234_567)
	payment, err := from.Pay(request)
	require.NoError(p.t, err)
	p.requireRefused(from, payment)
}

// misdirect lets lnd send us an onion for another node: we cannot read it, and say so by update_fail_malformed_htlc.
func (p *pair) misdirect(at wire.OutPoint) {
	p.t.Helper()
	another, err := btcec.NewPrivateKey()
	require.NoError(p.t, err)
	info, err := p.other.GetInfo(p.other.Context(), &lnrpc.GetInfoRequest{})
	require.NoError(p.t, err)
	const amount = 2_000_000 // msat
	attempt, err := p.other.Router.SendToRouteV2(p.other.Context(), &routerrpc.SendToRouteRequest{
		PaymentHash: random32(),
		Route: &lnrpc.Route{
			TotalTimeLock: info.BlockHeight + 100, TotalAmtMsat: amount,
			Hops: []*lnrpc.Hop{{
				ChanId: p.other.Channel(at).GetChanId(), Expiry: info.BlockHeight + 100, AmtToForwardMsat: amount,
				PubKey:    hex.EncodeToString(another.PubKey().SerializeCompressed()),
				MppRecord: &lnrpc.MPPRecord{PaymentAddr: random32(), TotalAmtMsat: amount},
			}},
		},
	})
	require.NoError(p.t, err)
	require.Equal(p.t, lnrpc.HTLCAttempt_FAILED, attempt.Status)
	require.Equal(p.t, lnrpc.Failure_INVALID_ONION_HMAC, attempt.GetFailure().GetCode())
}

// disconnect ends the connection, if there is one: lnd may be about to replace it.
func (p *pair) disconnect() {
	_, _ = p.ours.DisconnectPeer(p.ours.Context(), &lnrpc.DisconnectPeerRequest{PubKey: p.other.Key})
}

// changeFee lets our node look anew at what commitments should pay, and propose that while there are HTLCs. It depends on btcd's
// estimate, if there is one, what that is.
func (p *pair) changeFee(at wire.OutPoint) {
	p.t.Helper()
	const assumed = 2_500 // sat/kw, when the channel was opened
	p.ours.Restart("--fallbackfeerate=2")
	p.connect()
	p.awaitActive(at)
	p.burstBothWays(at, func() { p.chain.Mine(1) })
	require.Eventually(p.t, func() bool {
		ours, others := p.ours.Channel(at).GetFeePerKw(), p.other.Channel(at).GetFeePerKw()
		return ours == others && ours != assumed && ours != 0
	}, patience, 100*time.Millisecond, "the fee rate does not change")
	p.settle(at)
}

func random32() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it does not fail
	return b
}
