package ctl

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stormcell/messages/lnrpc"
	"stormcell/messages/lnrpc/routerrpc"
)

func paymentsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "payments [NUMBER | HASH]",
		Aliases: []string{"listpayments"},
		GroupID: groupPayments,
		Short:   "List the payments, or show one",
		Long: `List the newest payments, the last one last, or show all of one with its parts,
which you name by its number or its payment hash. Amounts in the list are in
satoshis.`,
		Example: `  stormcell payments
  stormcell payments 12
  stormcell payments --last=100 --json | jq -r '.payments[].status'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: arguments(known(lastPayments)),
	}
	last := cmd.Flags().Uint64("last", usualPage, "`HOW_MANY` are listed")
	return clientCommand(cmd, func(ctx context.Context, c *client, p printer, args []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		if len(args) == 0 {
			return listPayments(ctx, c, p, *last)
		}
		return follow(ctx, c, args[0], func(_ context.Context, recv func() (*lnrpc.Payment, error)) error {
			payment, err := recv()
			if err != nil {
				return err
			}
			return p.print(payment, func() { printPayment(p, payment) })
		})
	})
}

func trackCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "track {NUMBER | HASH}",
		Aliases: []string{"trackpayment"},
		GroupID: groupPayments,
		Short:   "Follow a payment until it has ended",
		Long: `Show the parts of a payment as they change, until it has arrived or failed, as
'pay' does. You name it by its number or its payment hash. Ctrl-C only stops
watching.`,
		Example:           "  stormcell track 12",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: arguments(known(lastPayments)),
	}, func(ctx context.Context, c *client, p printer, args []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		return follow(ctx, c, args[0], (&watch{p: p}).toTheEnd)
	})
}

// follow hands on the stream of what becomes of a payment, which is named by its number or its hash.
func follow(
	ctx context.Context, c *client, name string,
	take func(ctx context.Context, recv func() (*lnrpc.Payment, error)) error,
) error {
	hash, err := paymentHash(ctx, c, name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := routerrpc.NewRouterClient(c).TrackPaymentV2(ctx, &routerrpc.TrackPaymentRequest{PaymentHash: hash})
	if err != nil {
		return err
	}
	return take(ctx, stream.Recv)
}

func listPayments(ctx context.Context, c *client, p printer, last uint64) error {
	answer, err := lnrpc.NewLightningClient(c).ListPayments(ctx, &lnrpc.ListPaymentsRequest{
		IncludeIncomplete: true, MaxPayments: max(1, last), Reversed: true,
	})
	if err != nil {
		return err
	}
	return p.print(answer, func() { printPayments(p, answer.Payments) })
}

// paymentHash is the hash of a payment that is named by its number or its hash.
func paymentHash(ctx context.Context, c *client, name string) ([]byte, error) {
	number, err := numberOrHash(name)
	if err != nil {
		return nil, err
	}
	if number == 0 {
		return hex.DecodeString(name)
	}
	answer, err := lnrpc.NewLightningClient(c).ListPayments(ctx, &lnrpc.ListPaymentsRequest{
		IncludeIncomplete: true, IndexOffset: number - 1, MaxPayments: 1,
	})
	if err != nil {
		return nil, err
	}
	if len(answer.Payments) == 0 || answer.Payments[0].PaymentIndex != number {
		return nil, fmt.Errorf("there is no payment %d", number)
	}
	return hex.DecodeString(answer.Payments[0].PaymentHash)
}

var paymentStates = map[lnrpc.Payment_PaymentStatus]string{
	lnrpc.Payment_IN_FLIGHT: "on its way", lnrpc.Payment_SUCCEEDED: "paid", lnrpc.Payment_FAILED: "failed",
}

func printPayments(p printer, payments []*lnrpc.Payment) {
	if len(payments) == 0 {
		p.line("no payments: pay an invoice with 'stormcell pay BOLT11'")
		return
	}
	var rows [][]string
	for _, payment := range payments {
		rows = append(rows, []string{
			fmt.Sprint(payment.PaymentIndex), paymentStates[payment.Status], grouped(payment.ValueSat), grouped(payment.FeeSat),
			partsThatCount(payment), when(payment.CreationTimeNs / int64(time.Second)), shortKey(paidTo(payment)),
		})
	}
	p.table([]column{
		{name: "NUMBER", right: true}, {name: "STATE"}, {name: "AMOUNT", right: true}, {name: "FEE", right: true},
		{name: "PARTS", right: true}, {name: "BEGUN"}, {name: "PAYEE"},
	}, rows)
}

// partsThatCount is how many parts have not failed.
func partsThatCount(payment *lnrpc.Payment) string {
	count := 0
	for _, a := range payment.Htlcs {
		if a.Status != lnrpc.HTLCAttempt_FAILED {
			count++
		}
	}
	return fmt.Sprint(count)
}

// paidTo is the payee's key, if any part was sent.
func paidTo(payment *lnrpc.Payment) string {
	for _, a := range payment.Htlcs {
		if hops := a.GetRoute().GetHops(); len(hops) > 0 {
			return hops[len(hops)-1].PubKey
		}
	}
	return ""
}

func printPayment(p printer, payment *lnrpc.Payment) {
	state := paymentStates[payment.Status]
	if reason, known := failureReasons[payment.FailureReason]; known {
		state += ": " + reason[0]
	}
	preimage := payment.PaymentPreimage
	if strings.Trim(preimage, "0") == "" {
		preimage = ""
	}
	p.pairs([2]string{"number", fmt.Sprint(payment.PaymentIndex)}, [2]string{"state", state},
		[2]string{"amount", msat(payment.ValueMsat)}, [2]string{"fee", msat(payment.FeeMsat)}, [2]string{"to", paidTo(payment)},
		[2]string{"begun", when(payment.CreationTimeNs / int64(time.Second))}, [2]string{"hash", payment.PaymentHash},
		[2]string{"preimage", preimage})
	for i, a := range payment.Htlcs {
		p.line("%s", describePart(i+1, a))
	}
}
