package ctl

import (
	"context"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"stormcell/cmd/node/fault"
	"stormcell/messages/lnrpc"
)

// addressTypes are what people call them.
var addressTypes = map[string]lnrpc.AddressType{
	"p2wkh": lnrpc.AddressType_WITNESS_PUBKEY_HASH,
	"p2tr":  lnrpc.AddressType_TAPROOT_PUBKEY,
}

func newAddressCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "newaddress",
		GroupID: groupWallet,
		Short:   "Get an address to receive bitcoin on",
		Long:    "Get an address of the wallet that nobody was given before.",
		Example: "  stormcell newaddress\n  stormcell newaddress --type=p2tr",
		Args:    cobra.NoArgs,
	}
	kind := cmd.Flags().String("type", "p2wkh", "the `TYPE`: p2wkh (segwit, which every wallet can pay to) or p2tr (taproot)")
	return clientCommand(cmd, func(ctx context.Context, c *client, p printer, _ []string) error {
		wanted, known := addressTypes[*kind]
		if !known {
			return fault.New(fault.Usage, fmt.Errorf("there are no addresses of type %q", *kind), "Say --type=p2wkh or --type=p2tr.")
		}
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		answer, err := lnrpc.NewLightningClient(c).NewAddress(ctx, &lnrpc.NewAddressRequest{Type: wanted})
		if err != nil {
			return err
		}
		return p.print(answer, func() { p.line("%s", answer.Address) })
	})
}

func coinsCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "coins",
		Aliases: []string{"listunspent"},
		GroupID: groupWallet,
		Short:   "List the wallet's coins",
		Long:    "List the wallet's unspent outputs that are not set aside for anything.",
		Example: "  stormcell coins\n  stormcell coins --json | jq -r '.utxos[].outpoint.txid_str'",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, c *client, p printer, _ []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		answer, err := lnrpc.NewLightningClient(c).ListUnspent(ctx, &lnrpc.ListUnspentRequest{MaxConfs: math.MaxInt32})
		if err != nil {
			return err
		}
		return p.print(answer, func() { printCoins(p, answer.Utxos) })
	})
}

// printCoins needs three lines for each: people must be able to copy outpoints and addresses.
func printCoins(p printer, coins []*lnrpc.Utxo) {
	if len(coins) == 0 {
		p.line("no coins: 'stormcell newaddress' gives an address to receive some on")
		return
	}
	for _, c := range coins {
		p.line("%s, %s", sat(c.AmountSat), confirmations(c.Confirmations))
		p.line("    %s:%d\n    %s", c.GetOutpoint().GetTxidStr(), c.GetOutpoint().GetOutputIndex(), c.Address)
	}
}

func confirmations(n int64) string {
	switch n {
	case 0:
		return "unconfirmed"
	case 1:
		return "1 confirmation"
	default:
		return fmt.Sprintf("%d confirmations", n)
	}
}

func sendCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "send ADDRESS {AMOUNT | all}",
		Aliases: []string{"sendcoins"},
		GroupID: groupWallet,
		Short:   "Send bitcoin to an address",
		Long: `Send bitcoin from the wallet to an address on the chain, and show the id of the
transaction. With 'all' every coin that is not set aside is sent, and the fee
comes out of it. The amount has its unit: 250000sat, 2.5mbtc or 0.0025btc.`,
		Example: `  stormcell send bc1q... 250000sat
  stormcell send bc1q... 0.0025btc --feerate=5
  stormcell send bc1q... all --conf-target=2`,
		Args: cobra.ExactArgs(2),
	}
	fee := addFeeFlags(cmd)
	label := cmd.Flags().String("label", "", "a `NOTE` that is kept with the transaction")
	unconfirmed := cmd.Flags().Bool("unconfirmed", false, "spend unconfirmed coins too")
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	return clientCommand(cmd, func(ctx context.Context, c *client, p printer, args []string) error {
		r := &lnrpc.SendCoinsRequest{
			Addr: args[0], SatPerVbyte: *fee.rate, TargetConf: *fee.target, Label: *label, SpendUnconfirmed: *unconfirmed,
		}
		what := "everything"
		if r.SendAll = args[1] == "all"; !r.SendAll {
			amount, err := amountArgument("amount", args[1])
			if err != nil {
				return err
			}
			r.Amount = int64(amount)
			what = sat(r.Amount)
		}
		if err := fee.check(); err != nil {
			return err
		}
		if !*yes {
			if err := newPrompt(cmd).confirm(fmt.Sprintf("Send %s to %s?", what, r.Addr)); err != nil {
				return err
			}
		}
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		answer, err := lnrpc.NewLightningClient(c).SendCoins(ctx, r)
		if err != nil {
			return err
		}
		return p.print(answer, func() { p.line("%s", answer.Txid) })
	})
}
