package ctl

import (
	"context"

	"github.com/spf13/cobra"

	"stormcell/messages/lnrpc"
)

func balanceCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "balance",
		Aliases: []string{"walletbalance", "channelbalance"},
		GroupID: groupWallet,
		Short:   "Show what the wallet and the channels hold",
		Long: `Show what the wallet and the channels hold. What is ours of a channel that
closes is the wallet's as soon as the wallet has seen the closing transaction.
--json has the daemon's answers: in pending.total_limbo_balance it counts until
that transaction is six blocks deep, and so for a while in the wallet too.`,
		Example: "  stormcell balance\n  stormcell balance --json | jq -r .wallet.confirmed_balance",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, c *client, p printer, _ []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		api := lnrpc.NewLightningClient(c)
		wallet, err := api.WalletBalance(ctx, &lnrpc.WalletBalanceRequest{})
		if err != nil {
			return err
		}
		channels, err := api.ChannelBalance(ctx, &lnrpc.ChannelBalanceRequest{})
		if err != nil {
			return err
		}
		pending, err := api.PendingChannels(ctx, &lnrpc.PendingChannelsRequest{})
		if err != nil {
			return err
		}
		closing, err := notInWallet(ctx, api, pending)
		if err != nil {
			return err
		}
		return p.printAll([]part{{"wallet", wallet}, {"channels", channels}, {"pending", pending}}, func() {
			printBalance(p, wallet, channels, closing)
		})
	})
}

// notInWallet is what is ours of closing channels in satoshis, but for those that the wallet has the closing transactions of.
func notInWallet(
	ctx context.Context, api lnrpc.LightningClient, pending *lnrpc.PendingChannelsResponse,
) (sum int64, err error) {
	if pending.TotalLimboBalance == 0 {
		return 0, nil
	}
	known, err := api.GetTransactions(ctx, &lnrpc.GetTransactionsRequest{EndHeight: -1})
	if err != nil {
		return 0, err
	}
	spent := map[string]bool{}
	for _, tx := range known.Transactions {
		for _, in := range tx.PreviousOutpoints {
			spent[in.Outpoint] = true
		}
	}
	add := func(c *lnrpc.PendingChannelsResponse_PendingChannel, ours int64) {
		if !spent[c.GetChannelPoint()] {
			sum += ours
		}
	}
	for _, c := range pending.WaitingCloseChannels {
		add(c.Channel, c.LimboBalance)
	}
	for _, c := range pending.PendingForceClosingChannels {
		add(c.Channel, c.LimboBalance)
	}
	return sum, nil
}

// printBalance shows what is there, and of the rest what is not nothing.
func printBalance(
	p printer, wallet *lnrpc.WalletBalanceResponse, channels *lnrpc.ChannelBalanceResponse, closing int64,
) {
	rows := [][]string{{"wallet, confirmed", sat(wallet.ConfirmedBalance)}}
	add := func(name string, amount int64) {
		if amount != 0 {
			rows = append(rows, []string{name, sat(amount)})
		}
	}
	add("wallet, unconfirmed", wallet.UnconfirmedBalance)
	add("wallet, set aside", wallet.LockedBalance)
	rows = append(rows, []string{"channels, ours", sat(int64(channels.GetLocalBalance().GetSat()))})
	add("channels, the peers'", int64(channels.GetRemoteBalance().GetSat()))
	add("channels, on the way to us", int64(channels.GetUnsettledLocalBalance().GetSat()))
	add("channels, on the way to peers", int64(channels.GetUnsettledRemoteBalance().GetSat()))
	add("channels being opened, ours", int64(channels.GetPendingOpenLocalBalance().GetSat()))
	add("channels being closed, ours", closing)
	p.table([]column{{name: "WHERE"}, {name: "AMOUNT", right: true}}, rows)
}
