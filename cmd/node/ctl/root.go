// Package ctl is the command line: one command per file or so, each a thin client of the daemon's API.
package ctl

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"stormcell/cmd/node/config"
	"stormcell/cmd/node/fault"
	"stormcell/cmd/node/version"
)

// Groups of commands, as help shows them.
const (
	groupDaemon   = "daemon"
	groupWallet   = "wallet"
	groupPeers    = "peers"
	groupChannels = "channels"
	groupPayments = "payments"
)

// Root is the command stormcell.
func Root() *cobra.Command {
	root := &cobra.Command{
		Use:   "stormcell",
		Short: "A Lightning node",
		Long: `stormcell is a Lightning node: 'stormcell start' runs it, the other commands
talk to it.

Every setting is a flag, a variable STORMCELL_<FLAG> in the environment, or a
line in stormcell.toml in the data directory; the first of these that is there
counts. The network is signet unless you say otherwise.`,
		Example: `  stormcell start --network=regtest     # in one terminal
  stormcell create --network=regtest    # in another, the first time
  stormcell getinfo --network=regtest`,
		Version:       version.Number,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddGroup(
		&cobra.Group{ID: groupDaemon, Title: "The daemon:"},
		&cobra.Group{ID: groupWallet, Title: "The wallet:"},
		&cobra.Group{ID: groupPeers, Title: "Peers:"},
		&cobra.Group{ID: groupChannels, Title: "Channels:"},
		&cobra.Group{ID: groupPayments, Title: "Payments:"},
	)
	config.CommonFlags(root.PersistentFlags())
	root.PersistentFlags().SortFlags = false
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fault.New(fault.Usage, err, "See '%s --help'.", cmd.CommandPath())
	})
	root.AddCommand(startCommand(), stopCommand(), stateCommand(), infoCommand(), debugCommand(),
		playgroundCommand(), createCommand(), unlockCommand(), newAddressCommand(), balanceCommand(), sendCommand(),
		coinsCommand(), connectCommand(), peersCommand(), disconnectCommand(),
		openChannelCommand(), channelsCommand(), pendingCommand(), closeCommand(), closedCommand(),
		invoiceCommand(), invoicesCommand(), settleCommand(), cancelCommand(), decodeCommand(), payCommand(), paymentsCommand(),
		exitCodesHelp())
	for _, c := range root.Commands() {
		c.Args = usage(c.Args)
	}
	root.Args = usage(root.Args)
	// Help fits a terminal of 80 columns.
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages ", ".FlagUsagesWrapped 80 "))
	return root
}

// usage turns wrong arguments into a fault.
func usage(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if args == nil {
			return nil
		}
		if err := args(cmd, given); err != nil {
			return fault.New(fault.Usage, err, "See '%s --help'.", cmd.CommandPath())
		}
		return nil
	}
}

func exitCodesHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long:  fmt.Sprintf("What a command's exit code says:\n\n%s", fault.Codes),
	}
}
