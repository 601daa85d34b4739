package ctl

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"stormcell/cmd/node/config"
	"stormcell/messages/debugrpc"
	"stormcell/messages/lnrpc"
)

// lookTimeout bounds how long somebody who presses the tab key waits for what the daemon knows.
const lookTimeout = time.Second

// shells are those that a completion can be made for.
var shells = map[string]func(root *cobra.Command, out io.Writer) error{
	"bash": func(root *cobra.Command, out io.Writer) error { return root.GenBashCompletionV2(out, true) },
	"fish": func(root *cobra.Command, out io.Writer) error { return root.GenFishCompletion(out, true) },
	"zsh":  func(root *cobra.Command, out io.Writer) error { return root.GenZshCompletion(out) },
}

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "completion {bash | fish | zsh}",
		GroupID: groupMore,
		Short:   "Let the tab key complete commands in your shell",
		Long: `Print what lets a shell complete commands, flags and what they take: channels,
peers and payments too, which it asks the daemon for. Your shell reads it when
it starts; the examples say where. bash needs the package bash-completion.`,
		Example: `  source <(stormcell completion bash)    # in ~/.bashrc
  source <(stormcell completion zsh)     # in ~/.zshrc, after compinit
  stormcell completion fish | source     # in ~/.config/fish/config.fish`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"bash", "fish", "zsh"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return shells[args[0]](cmd.Root(), cmd.OutOrStdout())
		},
	}
}

// completer gives what can stand where somebody presses the tab key.
type completer = cobra.CompletionFunc

// arguments complete what a command takes, each by a completer of its own.
func arguments(each ...completer) completer {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= len(each) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return each[len(args)](cmd, args, typed)
	}
}

// known completes from what the daemon knows. A daemon that does not answer completes nothing.
func known(ask func(ctx context.Context, c *client) []string) completer {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		cfg, err := config.LoadClient(cmd.Flags())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := dial(cfg)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(cmd.Context(), lookTimeout)
		defer cancel()
		if ctx, err = c.authorized(ctx); err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return ask(ctx, c), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// Answers are nil where a call fails, and then complete nothing.

func openChannels(ctx context.Context, c *client) (out []string) {
	answer, _ := lnrpc.NewLightningClient(c).ListChannels(ctx, &lnrpc.ListChannelsRequest{})
	for _, ch := range answer.GetChannels() {
		out = append(out, fmt.Sprintf("%s\t%s, %s ours, with %s", shortID(ch.ChanId), channelState(ch), sat(ch.LocalBalance),
			shortKey(ch.RemotePubkey)))
	}
	return out
}

func connectedPeers(ctx context.Context, c *client) (out []string) {
	answer, _ := lnrpc.NewLightningClient(c).ListPeers(ctx, &lnrpc.ListPeersRequest{})
	for _, p := range answer.GetPeers() {
		out = append(out, p.PubKey+"\t"+p.Address)
	}
	return out
}

func lastPayments(ctx context.Context, c *client) (out []string) {
	answer, _ := lnrpc.NewLightningClient(c).ListPayments(ctx, &lnrpc.ListPaymentsRequest{
		IncludeIncomplete: true, MaxPayments: usualPage, Reversed: true,
	})
	for _, p := range answer.GetPayments() {
		out = append(out, fmt.Sprintf("%d\t%s, %s", p.PaymentIndex, msat(p.ValueMsat), paymentStates[p.Status]))
	}
	return out
}

func lastInvoices(ctx context.Context, c *client) (out []string) {
	answer, _ := lnrpc.NewLightningClient(c).ListInvoices(ctx, &lnrpc.ListInvoiceRequest{
		NumMaxInvoices: usualPage, Reversed: true,
	})
	for _, i := range answer.GetInvoices() {
		out = append(out, fmt.Sprintf("%d\t%s", i.AddIndex, describeInvoice(i)))
	}
	return out
}

func pendingInvoices(ctx context.Context, c *client) (out []string) {
	answer, _ := lnrpc.NewLightningClient(c).ListInvoices(ctx, &lnrpc.ListInvoiceRequest{
		PendingOnly: true, NumMaxInvoices: usualPage, Reversed: true,
	})
	for _, i := range answer.GetInvoices() {
		out = append(out, hex.EncodeToString(i.RHash)+"\t"+describeInvoice(i))
	}
	return out
}

// describeInvoice is an invoice in few words.
func describeInvoice(i *lnrpc.Invoice) string {
	text := anyAmount
	if i.ValueMsat != 0 {
		text = msat(i.ValueMsat)
	}
	text += ", " + invoiceState(i, time.Now())
	if i.Memo != "" {
		text += ", " + plain(i.Memo, 30)
	}
	return text
}

func haltedActors(ctx context.Context, c *client) (out []string) {
	answer, _ := debugrpc.NewDebugClient(c).Halted(ctx, &debugrpc.HaltedRequest{})
	for _, a := range answer.GetActors() {
		out = append(out, a.Address)
	}
	return out
}

// flagValues are what flags take that have few values, whatever the command.
var flagValues = map[string][]string{
	"network":    {"regtest", "simnet", "signet", "testnet3", "testnet4", "mainnet"},
	"chain":      {config.Neutrino, config.Btcd, config.Bitcoind},
	"debuglevel": {"debug", "info", "warn", "error"},
	"logformat":  {"text", "json"},
	"type":       {"p2wkh", "p2tr"},
}

// Flags that take a path; all others complete no files.
var (
	fileFlags   = []string{"passphrase-file", "words-out", "macaroon", "tlscert", "btcd.rpccert", "bitcoind.rpccookie", "save-to"}
	folderFlags = []string{"datadir", "dir"}
)

// completeFlags lets the shell complete what the flags of a command take.
func completeFlags(cmd *cobra.Command, flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		with := cobra.NoFileCompletions
		switch values, few := flagValues[f.Name]; {
		case few:
			with = cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveKeepOrder)
		case slices.Contains(fileFlags, f.Name):
			with = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
		case slices.Contains(folderFlags, f.Name):
			with = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
		}
		if err := cmd.RegisterFlagCompletionFunc(f.Name, with); err != nil {
			panic(err) // a flag has one completion, and is the command's
		}
	})
}

// completeArguments lets the shell complete what a command takes; files where nothing else was said are none of it.
func completeArguments(cmd *cobra.Command) {
	if cmd.ValidArgsFunction == nil && len(cmd.ValidArgs) == 0 {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
}
