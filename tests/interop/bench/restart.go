package main

import (
	"encoding/hex"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

// listed is how many payments are listed at once, and listings how often.
const listed, listings = 100, 20

// restart kills a node that has paid a lot, with payments in flight, and measures how soon it is there again. What it has paid
// before goes into its journal through the actors that pay, over a channel that is made up: see tests/bench/fill.
func restart(h *host, o options) {
	chain := node.StartBtcd(h)
	p := stormcells(h, chain, o)
	p.open(1)
	payer, payee := p.members[0], p.members[1]
	fmt.Printf("\nrestart after kill -9, with %d settled payments on disk and %d in flight\n", o.stored, o.held)

	payer.Stop()
	began := time.Now()
	bytes := fill(h, payer.DataDir, o.stored)
	report("filling the journal with settled payments", time.Since(began))
	fmt.Printf("%-58s %12d\n", "bytes on disk for each settled payment", bytes)
	payer.Start()
	p.awaitActive()
	p.await("payments do not go through", func() bool { // before the payer knows the chain
		return p.pay(payer, p.invoice(payee)) == nil
	})

	preimages := p.hold(payer, payee, o.held)
	payer.Kill()
	began = time.Now()
	payer.Start() // which unlocks the wallet as well
	report("process starts, wallet is unlocked, and the API serves", time.Since(began))
	report("CPU that this took", cpuOf(h, payer.Pid()))
	p.awaitActive()
	report("the channel is active", time.Since(began))

	var all []time.Duration
	for range listings {
		asked := time.Now()
		page, err := payer.ListPayments(payer.Context(), &lnrpc.ListPaymentsRequest{
			MaxPayments: listed, Reversed: true, IncludeIncomplete: true,
		})
		require.NoError(h, err)
		require.Len(h, page.Payments, min(listed, o.stored+o.held))
		all = append(all, time.Since(asked))
	}
	report(fmt.Sprintf("listing %d payments, the first time", listed), all[0])
	slices.Sort(all)
	report(fmt.Sprintf("listing %d payments, p50", listed), all[len(all)/2])

	began = time.Now()
	p.release(payer, payee, preimages)
	report("settling what was in flight", time.Since(began))
}

func report(what string, d time.Duration) {
	fmt.Printf("%-58s %12v\n", what, d.Round(100*time.Microsecond))
}

// fill lets a node that does not run have paid a lot, and gives how many bytes of disk each payment took.
func fill(h *host, dir string, payments int) int64 {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "stormcell").Output()
	require.NoError(h, err)
	program := filepath.Join(h.TempDir(), "fill")
	build := exec.Command("go", "build", "-o", program, "./tests/bench/fill")
	build.Dir = strings.TrimSpace(string(root))
	said, err := build.CombinedOutput()
	require.NoError(h, err, "%s", said)
	out, err := exec.CommandContext(h.ctx, program, "-datadir="+dir, "-payments="+strconv.Itoa(payments)).Output()
	require.NoError(h, err)
	bytes, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	require.NoError(h, err)
	return bytes
}

// awaitActive waits until both nodes can use their channels.
func (p *pair) awaitActive() {
	require.Eventually(p.host, func() bool {
		for _, m := range p.members {
			all, err := m.ListChannels(m.Context(), &lnrpc.ListChannelsRequest{ActiveOnly: true})
			if err != nil || len(all.Channels) < p.channels {
				return false
			}
		}
		return true
	}, patience, 5*time.Millisecond, "the channels do not become active")
}

// hold pays invoices that the payee does not settle yet, and gives what settles them.
func (p *pair) hold(payer, payee *member, n int) []lntypes.Preimage {
	preimages := make([]lntypes.Preimage, n)
	var paying sync.WaitGroup
	for i := range preimages {
		preimages[i] = lntypes.Preimage{1, byte(i >> 8), byte(i)}
		hash := preimages[i].Hash()
		made, err := payee.Hold.AddHoldInvoice(payee.Context(), &invoicesrpc.AddHoldInvoiceRequest{
			Hash: hash[:], Value: int64(amount),
		})
		require.NoError(p.host, err)
		paying.Go(func() {
			ended, err := payer.Pay(&routerrpc.SendPaymentRequest{PaymentRequest: made.PaymentRequest})
			if err == nil && ended.Status == lnrpc.Payment_FAILED { // it has no end before the payer is killed
				p.host.Logf("a payment failed: %v", ended.FailureReason)
			}
		})
	}
	for i := range preimages {
		hash := preimages[i].Hash()
		p.await("a payment is not held", func() bool { return p.isHeld(payee, hash) })
	}
	return preimages
}

func (p *pair) isHeld(payee *member, hash lntypes.Hash) bool {
	invoice, err := payee.LookupInvoice(payee.Context(), &lnrpc.PaymentHash{RHashStr: hex.EncodeToString(hash[:])})
	return err == nil && invoice.State == lnrpc.Invoice_ACCEPTED
}

// release settles what is held, and waits until the payer knows.
func (p *pair) release(payer, payee *member, preimages []lntypes.Preimage) {
	for i := range preimages {
		_, err := payee.Hold.SettleInvoice(payee.Context(), &invoicesrpc.SettleInvoiceMsg{Preimage: preimages[i][:]})
		require.NoError(p.host, err)
	}
	for i := range preimages {
		hash := preimages[i].Hash()
		updates, err := payer.Router.TrackPaymentV2(payer.Context(), &routerrpc.TrackPaymentRequest{
			PaymentHash: hash[:], NoInflightUpdates: true,
		})
		require.NoError(p.host, err)
		ended, err := updates.Recv()
		require.NoError(p.host, err)
		require.Equal(p.host, lnrpc.Payment_SUCCEEDED, ended.Status)
	}
	require.Equal(p.host, btcutil.Amount(len(preimages))*amount, p.settledOf(payee, preimages))
}

// settledOf is what a node says that it was paid.
func (p *pair) settledOf(payee *member, preimages []lntypes.Preimage) (all btcutil.Amount) {
	for i := range preimages {
		hash := preimages[i].Hash()
		invoice, err := payee.LookupInvoice(payee.Context(), &lnrpc.PaymentHash{RHashStr: hex.EncodeToString(hash[:])})
		require.NoError(p.host, err)
		all += btcutil.Amount(invoice.AmtPaidSat)
	}
	return all
}
