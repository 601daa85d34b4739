package ctl

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"stormcell/cmd/node/fault"
	"stormcell/messages/lnrpc"
)

// usualPage is how many invoices and payments are listed when nothing is said.
const usualPage = 20

func invoicesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "invoices [NUMBER | HASH]",
		Aliases: []string{"listinvoices", "lookupinvoice"},
		GroupID: groupPayments,
		Short:   "List the invoices, or show one",
		Long: `List the newest invoices, the last one last, or show all of one, which you name
by its number or its payment hash. Amounts in the list are in satoshis. Money
that is 'held' waits for 'stormcell settle' or 'stormcell cancel'.`,
		Example: `  stormcell invoices
  stormcell invoices 12
  stormcell invoices --pending --json | jq -r '.invoices[].payment_request'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: arguments(known(lastInvoices)),
	}
	last := cmd.Flags().Uint64("last", usualPage, "`HOW_MANY` are listed")
	pending := cmd.Flags().Bool("pending", false, "only those that can be paid or settled")
	return clientCommand(cmd, func(ctx context.Context, c *client, p printer, args []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		api, now := lnrpc.NewLightningClient(c), time.Now()
		if len(args) == 1 {
			found, err := findInvoice(ctx, api, args[0])
			if err != nil {
				return err
			}
			return p.print(found, func() { printInvoice(p, found, now) })
		}
		answer, err := api.ListInvoices(ctx, &lnrpc.ListInvoiceRequest{
			PendingOnly: *pending, NumMaxInvoices: max(1, *last), Reversed: true,
		})
		if err != nil {
			return err
		}
		return p.print(answer, func() { printInvoices(p, answer.Invoices, now) })
	})
}

// findInvoice finds an invoice by its number or its payment hash.
func findInvoice(ctx context.Context, api lnrpc.LightningClient, name string) (*lnrpc.Invoice, error) {
	number, err := numberOrHash(name)
	if err != nil {
		return nil, err
	}
	if number == 0 {
		hash, _ := hex.DecodeString(name)
		return api.LookupInvoice(ctx, &lnrpc.PaymentHash{RHash: hash})
	}
	answer, err := api.ListInvoices(ctx, &lnrpc.ListInvoiceRequest{IndexOffset: number - 1, NumMaxInvoices: 1})
	if err != nil {
		return nil, err
	}
	if len(answer.Invoices) == 0 || answer.Invoices[0].AddIndex != number {
		return nil, fmt.Errorf("there is no invoice %d", number)
	}
	return answer.Invoices[0], nil
}

// numberOrHash reads how people name an invoice or a payment; the number of a hash is zero.
func numberOrHash(name string) (uint64, error) {
	if _, err := hashArgument("", name); err == nil {
		return 0, nil
	}
	number, err := strconv.ParseUint(name, 10, 64)
	if err == nil && number == 0 {
		err = errors.New("numbers begin with 1")
	}
	if err != nil {
		return 0, fault.New(fault.Usage, fmt.Errorf("%q is neither a number nor a payment hash", name),
			"The list shows the numbers.")
	}
	return number, nil
}

func printInvoices(p printer, invoices []*lnrpc.Invoice, now time.Time) {
	if len(invoices) == 0 {
		p.line("no invoices: make one with 'stormcell invoice AMOUNT'")
		return
	}
	var rows [][]string
	for _, i := range invoices {
		amount := anyAmount
		if i.ValueMsat != 0 {
			amount = grouped(i.Value)
		}
		rows = append(rows, []string{
			fmt.Sprint(i.AddIndex), invoiceState(i, now), amount, grouped(i.AmtPaidSat), when(i.CreationDate), plain(i.Memo, 16),
		})
	}
	p.table([]column{
		{name: "NUMBER", right: true}, {name: "STATE"}, {name: "AMOUNT", right: true}, {name: "PAID", right: true},
		{name: "MADE"}, {name: "MEMO"},
	}, rows)
}

func invoiceState(i *lnrpc.Invoice, now time.Time) string {
	switch i.State {
	case lnrpc.Invoice_SETTLED:
		return "paid"
	case lnrpc.Invoice_CANCELED:
		return "canceled"
	case lnrpc.Invoice_ACCEPTED:
		return "held"
	}
	if now.Unix() >= i.CreationDate+i.Expiry {
		return "expired"
	}
	return "open"
}

func printInvoice(p printer, i *lnrpc.Invoice, now time.Time) {
	amount := anyAmount
	if i.ValueMsat != 0 {
		amount = msat(i.ValueMsat)
	}
	expires := ""
	if i.PaymentRequest != "" {
		expires = when(i.CreationDate + i.Expiry)
	}
	p.pairs([2]string{"number", fmt.Sprint(i.AddIndex)}, [2]string{"state", invoiceState(i, now)}, [2]string{"amount", amount},
		[2]string{"paid", msat(i.AmtPaidMsat)}, [2]string{"memo", plain(i.Memo, 70)}, [2]string{"made", when(i.CreationDate)},
		[2]string{"expires", expires}, [2]string{"settled", when(i.SettleDate)}, [2]string{"hash", hex.EncodeToString(i.RHash)},
		[2]string{"preimage", hex.EncodeToString(i.RPreimage)})
	for _, h := range i.Htlcs {
		state := map[lnrpc.InvoiceHTLCState]string{
			lnrpc.InvoiceHTLCState_ACCEPTED: "waits", lnrpc.InvoiceHTLCState_SETTLED: "was taken",
			lnrpc.InvoiceHTLCState_CANCELED: "went back",
		}[h.State]
		p.line("part of %s, which came at height %d, %s", msat(int64(h.AmtMsat)), h.AcceptHeight, state)
	}
	if i.PaymentRequest != "" {
		p.line("%s", i.PaymentRequest)
	}
}
