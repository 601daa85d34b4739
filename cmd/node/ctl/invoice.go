package ctl

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"stormcell/cmd/node/fault"
	"stormcell/messages/lnrpc"
	"stormcell/messages/lnrpc/invoicesrpc"
)

// anyAmount is said for invoices whose payer chooses the amount.
const anyAmount = "any"

func invoiceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "invoice {AMOUNT | any}",
		Aliases: []string{"addinvoice"},
		GroupID: groupPayments,
		Short:   "Make an invoice, to be paid",
		Long: `Make an invoice, and show the payment request to give to the payer. The amount
has its unit, or is 'any': then the payer chooses.

The money of a hold invoice waits when it has come, until you take it with
'stormcell settle' or give it back with 'stormcell cancel'. If you say no --hash
the preimage that takes it is shown, and kept nowhere else.`,
		Example: `  stormcell invoice 1000sat --memo=coffee
  stormcell invoice any --expiry=24h
  stormcell invoice 0.5mbtc --hold
  stormcell invoice 0.5mbtc --hold --hash=9f86d081884c...`,
		Args: cobra.ExactArgs(1),
	}
	memo := cmd.Flags().String("memo", "", "a `TEXT` that says what it is for; the payer reads it")
	expiry := cmd.Flags().Duration("expiry", time.Hour, "how `LONG` it can be paid, as 90m or 24h")
	hold := cmd.Flags().Bool("hold", false, "let the money wait until it is settled or canceled")
	private := cmd.Flags().Bool("private", false, "let payers who are no peers find your private channels")
	hash := cmd.Flags().String("hash", "", "the `HASH` of a preimage that you learn later, for --hold")
	return clientCommand(cmd, func(ctx context.Context, c *client, p printer, args []string) error {
		var value int64
		if args[0] != anyAmount {
			amount, err := amountArgument("amount", args[0])
			if err != nil {
				return err
			}
			if value = int64(amount); value == 0 {
				return fault.New(fault.Usage, errors.New("an invoice over nothing"), "Say 'any' to let the payer choose.")
			}
		}
		if *expiry < time.Second {
			return fault.New(fault.Usage, fmt.Errorf("--expiry of %v", *expiry), "Say for example --expiry=24h.")
		}
		seconds := int64(*expiry / time.Second)
		if *hash != "" && !*hold {
			return fault.New(fault.Usage, errors.New("--hash is for hold invoices"), "Say --hold too.")
		}
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		if *hold {
			return addHoldInvoice(ctx, c, p, *hash, &invoicesrpc.AddHoldInvoiceRequest{
				Memo: *memo, Value: value, Expiry: seconds, Private: *private,
			})
		}
		answer, err := lnrpc.NewLightningClient(c).AddInvoice(ctx, &lnrpc.Invoice{
			Memo: *memo, Value: value, Expiry: seconds, Private: *private,
		})
		if err != nil {
			return err
		}
		return p.print(answer, func() {
			p.line("%s", answer.PaymentRequest)
			p.pairs([2]string{"number", fmt.Sprint(answer.AddIndex)}, [2]string{"hash", hex.EncodeToString(answer.RHash)})
		})
	})
}

// addHoldInvoice makes a hold invoice for a hash, or for the hash of a new preimage.
func addHoldInvoice(
	ctx context.Context, c *client, p printer, hash string, r *invoicesrpc.AddHoldInvoiceRequest,
) error {
	var preimage []byte
	if hash == "" {
		preimage = make([]byte, 32)
		_, _ = rand.Read(preimage) // never fails
		sum := sha256.Sum256(preimage)
		r.Hash = sum[:]
	} else {
		var err error
		if r.Hash, err = hashArgument("--hash", hash); err != nil {
			return err
		}
	}
	answer, err := invoicesrpc.NewInvoicesClient(c).AddHoldInvoice(ctx, r)
	if err != nil {
		return err
	}
	if p.json {
		return p.encode(map[string]any{
			"payment_request": answer.PaymentRequest, "add_index": fmt.Sprint(answer.AddIndex),
			"payment_addr": hex.EncodeToString(answer.PaymentAddr), "r_hash": hex.EncodeToString(r.Hash),
			"r_preimage": hex.EncodeToString(preimage),
		})
	}
	p.line("%s", answer.PaymentRequest)
	p.pairs([2]string{"number", fmt.Sprint(answer.AddIndex)}, [2]string{"hash", hex.EncodeToString(r.Hash)},
		[2]string{"preimage", hex.EncodeToString(preimage)})
	return nil
}

func settleCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "settle PREIMAGE",
		Aliases: []string{"settleinvoice"},
		GroupID: groupPayments,
		Short:   "Take the money that waits for a hold invoice",
		Long: `Take the money that waits for a hold invoice. The payer learns the preimage by
it.`,
		Example: "  stormcell settle 5eb63bbbe01eeed093cb22bb8f5acdc3...",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, c *client, p printer, args []string) error {
		preimage, err := hashArgument("preimage", args[0])
		if err != nil {
			return err
		}
		if ctx, err = c.authorized(ctx); err != nil {
			return err
		}
		answer, err := invoicesrpc.NewInvoicesClient(c).SettleInvoice(ctx, &invoicesrpc.SettleInvoiceMsg{Preimage: preimage})
		if err != nil {
			return err
		}
		return p.print(answer, func() { p.line("settled") })
	})
}

func cancelCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "cancel HASH",
		Aliases: []string{"cancelinvoice"},
		GroupID: groupPayments,
		Short:   "Cancel an invoice that is not settled",
		Long: `Cancel an invoice that is not settled: it cannot be paid any more, and what
waits for it goes back to the payer.`,
		Example:           "  stormcell cancel 9f86d081884c7d659a2feaa0c55ad015...",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: arguments(known(pendingInvoices)),
	}, func(ctx context.Context, c *client, p printer, args []string) error {
		hash, err := hashArgument("hash", args[0])
		if err != nil {
			return err
		}
		if ctx, err = c.authorized(ctx); err != nil {
			return err
		}
		answer, err := invoicesrpc.NewInvoicesClient(c).CancelInvoice(ctx, &invoicesrpc.CancelInvoiceMsg{PaymentHash: hash})
		if err != nil {
			return err
		}
		return p.print(answer, func() { p.line("canceled") })
	})
}

// hashArgument reads 32 bytes on the command line.
func hashArgument(name, text string) ([]byte, error) {
	serialized, err := hex.DecodeString(text)
	if err != nil || len(serialized) != sha256.Size {
		return nil, fault.New(fault.Usage, fmt.Errorf("%s %q has not 64 hexadecimal digits", name, text), "")
	}
	return serialized, nil
}
