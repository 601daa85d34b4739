package interop_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

// TestCrashes: either node is killed at random moments under load. Nothing is stuck afterwards, no payment has ended in two
// ways, and the balances say so.
func TestCrashes(t *testing.T) {
	t.Parallel()
	byEither(t, "opened", func(t *testing.T, first func(*pair) (*node.Lightning, *node.Lightning)) {
		const kills = 20
		p := newPair(t)
		at := p.open(first(p))
		load := p.startLoad(at, 50)
		for i := range kills {
			load.await(rand.IntN(30))
			killed := []*node.Lightning{p.ours, p.other}[i%2]
			load.lndKilled = load.lndKilled || killed.IsLnd()
			killed.Crash()
			p.connect()
			p.awaitActive(at)
		}
		load.stop()
		t.Log("payments:", load.ended)
	})
}

// load is payments in both directions, of which nobody knows how they end until it stops.
type load struct {
	*pair
	at      wire.OutPoint
	before  books
	end     context.CancelFunc
	running sync.WaitGroup
	settled atomic.Int64 // payments of which the payer has said that they arrived
	// lndKilled: lnd notes which onions it has seen, and may settle their invoices, before it notes that it is done with
	// them. Killed in between, it takes them for replayed ones and fails them as malformed, which is its loss.
	lndKilled bool

	mu    sync.Mutex
	begun []*begun
	ended map[lnrpc.Payment_PaymentStatus]int
	// paidToLnd is what our successful payments add up to.
	paidToLnd lnwire.MilliSatoshi
}

// books are the balances in the channel.
type books struct{ ours, others lnwire.MilliSatoshi }

// begun is a payment that its payer was asked for.
type begun struct {
	from, to *node.Lightning
	hash     string // hexadecimal
	amount   lnwire.MilliSatoshi
}

// startLoad lets some payments at a time go in each direction.
func (p *pair) startLoad(at wire.OutPoint, atOnce int) *load {
	p.t.Helper()
	ours, others := p.settle(at)
	ctx, end := context.WithCancel(p.t.Context())
	l := &load{
		pair: p, at: at, before: books{ours, others}, end: end,
	}
	for i := range atOnce {
		l.running.Go(func() { l.pay(ctx, p.ours, p.other, i) })
		l.running.Go(func() { l.pay(ctx, p.other, p.ours, i) })
	}
	return l
}

// pay pays one invoice after the other. A node that is away is tried again.
func (l *load) pay(ctx context.Context, from, to *node.Lightning, i int) {
	const again = 500 * time.Millisecond
	for ; ctx.Err() == nil; i++ {
		amount := amountOf(i)
		invoice, err := to.Invoice(amount)
		if err == nil {
			l.mu.Lock()
			l.begun = append(l.begun, &begun{from, to, hex.EncodeToString(invoice.RHash), amount})
			l.mu.Unlock()
			var payment *lnrpc.Payment
			payment, err = from.Pay(&routerrpc.SendPaymentRequest{PaymentRequest: invoice.PaymentRequest})
			switch {
			case err != nil:
			case payment.Status == lnrpc.Payment_FAILED:
				err = fmt.Errorf("%v", payment.FailureReason) // the channel may not be active
			default:
				l.settled.Add(1)
			}
		}
		if err != nil {
			select {
			case <-time.After(again):
			case <-ctx.Done():
			}
		}
	}
}

// await waits until so many more payments have arrived.
func (l *load) await(more int) {
	l.t.Helper()
	enough := l.settled.Load() + int64(more)
	require.Eventually(l.t, func() bool { return l.settled.Load() >= enough }, patience, time.Millisecond,
		"payments do not end any more")
}

// stop lets all payments end, and waits until payers, payees and balances agree.
func (l *load) stop() {
	l.t.Helper()
	l.end()
	l.running.Wait()
	var want, got books
	var trouble error
	agree := func() bool {
		l.awaitQuiet(l.at)
		got.ours, got.others = l.settle(l.at)
		want, trouble = l.audit()
		return trouble == nil && (want == got || l.lndKilled && want.ours <= got.ours && got.ours-want.ours <= l.paidToLnd)
	}
	for deadline := time.Now().Add(patience); !agree(); {
		require.True(l.t, time.Now().Before(deadline), "want balances %v, got %v; %v", want, got, trouble)
	}
	require.NotZero(l.t, l.ended[lnrpc.Payment_SUCCEEDED])
}

// audit holds the payer of each payment against its payee, and gives what the balances should be.
func (l *load) audit() (books, error) {
	l.t.Helper()
	payments := map[*node.Lightning]map[string]*lnrpc.Payment{l.ours: l.ours.Payments(), l.other: l.other.Payments()}
	invoices := map[*node.Lightning]map[string]lnrpc.Invoice_InvoiceState{l.ours: l.ours.Invoices(), l.other: l.other.Invoices()}
	should := l.before
	l.paidToLnd = 0
	l.ended = map[lnrpc.Payment_PaymentStatus]int{}
	for _, b := range l.begun {
		paid, known := payments[b.from][b.hash]
		payment := paid.GetStatus()
		if !known {
			payment = lnrpc.Payment_FAILED // the payer was killed before it knew of it
		}
		invoice := invoices[b.to][b.hash]
		l.ended[payment]++
		switch {
		case invoice == lnrpc.Invoice_SETTLED && payment == lnrpc.Payment_SUCCEEDED:
			if b.from == l.ours {
				l.paidToLnd += b.amount
				should.ours, should.others = should.ours-b.amount, should.others+b.amount
			} else {
				should.ours, should.others = should.ours+b.amount, should.others-b.amount
			}
		case invoice != lnrpc.Invoice_SETTLED && payment == lnrpc.Payment_FAILED:
		case invoice == lnrpc.Invoice_SETTLED && payment == lnrpc.Payment_FAILED && l.lndKilled && b.to.IsLnd() && takenForReplay(paid):
		case invoice != lnrpc.Invoice_SETTLED && payment == lnrpc.Payment_IN_FLIGHT && l.lndKilled && b.from.IsLnd():
			// When it is killed before its link has taken an HTLC, lnd waits for the end of an HTLC that there never was.
		default:
			return should, fmt.Errorf("payment %s is %v (known: %t) at %s, and %v at %s", b.hash, payment, known, b.from, invoice, b.to)
		}
	}
	return should, nil
}

// takenForReplay tells whether the last attempt failed with what lnd says of an onion that it has seen before.
func takenForReplay(p *lnrpc.Payment) bool {
	if len(p.Htlcs) == 0 {
		return false
	}
	last := p.Htlcs[len(p.Htlcs)-1]
	return last.GetFailure().GetCode() == lnrpc.Failure_INVALID_ONION_VERSION
}
