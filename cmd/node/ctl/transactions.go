package ctl

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"stormcell/messages/lnrpc"
)

func transactionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "transactions",
		Aliases: []string{"listchaintxns"},
		GroupID: groupWallet,
		Short:   "List the wallet's transactions on the chain",
		Long: `List the wallet's newest transactions on the chain, the last one last: what the
wallet gained or paid, the fee included, and for what.`,
		Example: "  stormcell transactions\n  stormcell transactions --last=100 --json | jq -r '.transactions[].tx_hash'",
		Args:    cobra.NoArgs,
	}
	last := cmd.Flags().Uint64("last", usualPage, "`HOW_MANY` are listed")
	return clientCommand(cmd, func(ctx context.Context, c *client, p printer, _ []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		answer, err := lnrpc.NewLightningClient(c).GetTransactions(ctx, &lnrpc.GetTransactionsRequest{EndHeight: -1})
		if err != nil {
			return err
		}
		// The daemon has the newest first.
		answer.Transactions = answer.Transactions[:min(uint64(len(answer.Transactions)), max(1, *last))]
		slices.Reverse(answer.Transactions)
		return p.print(answer, func() { printTransactions(p, answer.Transactions) })
	})
}

// printTransactions needs lines of their own for the ids: people must be able to copy them.
func printTransactions(p printer, transactions []*lnrpc.Transaction) {
	if len(transactions) == 0 {
		p.line("no transactions: 'stormcell newaddress' gives an address to receive bitcoin on")
		return
	}
	for _, tx := range transactions {
		amount := sat(tx.Amount)
		if tx.Amount > 0 {
			amount = "+" + amount
		}
		p.line("%s, %s, %s", amount, confirmations(int64(tx.NumConfirmations)), when(tx.TimeStamp))
		p.line("    %s", tx.TxHash)
		if tx.TotalFees != 0 {
			p.line("    fee %s", sat(tx.TotalFees))
		}
		if tx.Label != "" {
			p.line("    %s", plain(tx.Label, 76))
		}
	}
}
