package ctl

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/lightningnetwork/lnd/record"
	"github.com/spf13/cobra"

	"stormcell/cmd/node/fault"
	"stormcell/messages/lnrpc"
	"stormcell/messages/lnrpc/routerrpc"
)

// payLimits are what the payer allows.
type payLimits struct {
	amount, maxFee, maxPart *string
	maxParts                *uint32
	timeout                 *time.Duration
	abort                   *bool
}

func payCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "pay {BOLT11 | --keysend KEY}",
		Aliases: []string{"payinvoice", "sendpayment"},
		GroupID: groupPayments,
		Short:   "Pay an invoice, or a node that made none",
		Long: `Pay, in several parts where one channel cannot carry it all, and show each part
as it changes. Ctrl-C stops watching, not paying; with --abort it lets no new
parts begin either, but what is on its way can still arrive.

With --keysend you name a node and an --amount: nobody asked for the payment.`,
		Example: `  stormcell pay lnbc10u1p...
  stormcell pay lnbc1p... --amount=2500sat --max-fee=5sat
  stormcell pay --keysend 02eec7245d... --amount=1000sat`,
		Args: cobra.ExactArgs(1),
	}
	limits := payLimits{
		amount:   cmd.Flags().String("amount", "", "the `AMOUNT`, where the invoice does not say it or there is none"),
		maxFee:   cmd.Flags().String("max-fee", "", "the `AMOUNT` that others may take for it at most (default 1%, and at least 5sat)"),
		maxPart:  cmd.Flags().String("max-part", "", "the `AMOUNT` of the largest part (default what a channel can carry)"),
		maxParts: cmd.Flags().Uint32("max-parts", 16, "the `NUMBER` of parts that may be on their way at a time"),
		timeout:  cmd.Flags().Duration("timeout", time.Minute, "how `LONG` new parts may be tried, as 30s or 5m"),
		abort:    cmd.Flags().Bool("abort", false, "let Ctrl-C stop paying too"),
	}
	keysend := cmd.Flags().Bool("keysend", false, "pay a node, by its key, that made no invoice")
	return clientCommand(cmd, func(ctx context.Context, c *client, p printer, args []string) error {
		r, err := limits.request()
		if err != nil {
			return err
		}
		if ctx, err = c.authorized(ctx); err != nil {
			return err
		}
		var to payee
		if *keysend {
			to, err = toNode(r, args[0])
		} else {
			to, err = toInvoice(ctx, c, r, args[0])
		}
		if err != nil {
			return err
		}
		if *limits.maxFee == "" {
			r.FeeLimitMsat = usualMaxFee(to.amountMsat)
		}
		w := &watch{p: p, abort: *limits.abort}
		w.say("paying %s to %s%s", msat(to.amountMsat), shortKey(to.node), to.what)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := routerrpc.NewRouterClient(c).SendPaymentV2(ctx, r)
		if err != nil {
			return err
		}
		return w.toTheEnd(ctx, stream.Recv)
	})
}

// payee is who is paid, for people.
type payee struct {
	node, what string
	amountMsat int64
}

func (l payLimits) request() (*routerrpc.SendPaymentRequest, error) {
	amount, err := amountFlag("amount", *l.amount)
	if err != nil {
		return nil, err
	}
	maxFee, err := amountFlag("max-fee", *l.maxFee)
	if err != nil {
		return nil, err
	}
	maxPart, err := amountFlag("max-part", *l.maxPart)
	if err != nil {
		return nil, err
	}
	seconds := int64((*l.timeout + time.Second - 1) / time.Second)
	switch {
	case seconds <= 0 || seconds > math.MaxInt32:
		return nil, fault.New(fault.Usage, fmt.Errorf("--timeout of %v", *l.timeout), "Say for example --timeout=1m.")
	case *l.maxParts == 0:
		return nil, fault.New(fault.Usage, errors.New("--max-parts of 0"), "A payment has at least one part.")
	}
	return &routerrpc.SendPaymentRequest{
		Amt: int64(amount), FeeLimitSat: int64(maxFee), MaxShardSizeMsat: uint64(maxPart) * 1000, MaxParts: *l.maxParts,
		TimeoutSeconds: int32(seconds), Cancelable: *l.abort,
	}, nil
}

// usualMaxFee is what others may take when nobody says, in millisatoshis.
func usualMaxFee(amountMsat int64) int64 {
	const percent, floor = 1, 5000
	return max(floor, amountMsat/100*percent)
}

func toInvoice(ctx context.Context, c *client, r *routerrpc.SendPaymentRequest, text string) (payee, error) {
	r.PaymentRequest = withoutScheme(text)
	invoice, err := lnrpc.NewLightningClient(c).DecodePayReq(ctx, &lnrpc.PayReqString{PayReq: r.PaymentRequest})
	if err != nil {
		return payee{}, err
	}
	to := payee{node: invoice.Destination, amountMsat: invoice.NumMsat}
	switch {
	case invoice.NumMsat == 0 && r.Amt == 0:
		return to, fault.New(fault.Usage, errors.New("the invoice leaves the amount to you"), "Say it, as --amount=1000sat.")
	case invoice.NumMsat != 0 && r.Amt != 0:
		return to, fault.New(fault.Usage, fmt.Errorf("the invoice is over %s", msat(invoice.NumMsat)), "Leave --amount out.")
	case r.Amt != 0:
		to.amountMsat = r.Amt * 1000
	}
	if invoice.Description != "" {
		to.what = fmt.Sprintf(" for %q", plain(invoice.Description, 25))
	}
	return to, nil
}

func toNode(r *routerrpc.SendPaymentRequest, text string) (payee, error) {
	var err error
	r.Dest, err = hex.DecodeString(text)
	switch {
	case err != nil || len(r.Dest) != 33:
		return payee{}, fault.New(fault.Usage, fmt.Errorf("%q is not a node's key", plain(text, 66)),
			"A key has 66 hexadecimal digits.")
	case r.Amt == 0:
		return payee{}, fault.New(fault.Usage, errors.New("how much?"), "Say it, as --amount=1000sat.")
	}
	preimage := make([]byte, 32)
	_, _ = rand.Read(preimage) // never fails
	r.DestCustomRecords = map[uint64][]byte{uint64(record.KeySendType): preimage}
	r.MaxParts = 1 // without an invoice nothing would hold several together
	return payee{node: text, amountMsat: r.Amt * 1000}, nil
}
