// Package ctl is the command line: one command per file or so, each a thin client of the daemon's API.
package ctl

import (
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
	groupMore     = "more"
)

// Root is the command stormcell.
func Root() *cobra.Command {
	root := &cobra.Command{
		Use:   "stormcell",
		Short: "A Lightning node",
		Long: `stormcell is a Lightning node: 'stormcell start' runs it, the other commands
talk to it. To see one at work first, try 'stormcell playground'.

Amounts are said with their unit: 250000sat, 2.5mbtc or 0.0025btc. Commands
print tables for people, and with --json all that there is for programs.

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
		&cobra.Group{ID: groupDaemon, Title: "The daemon"},
		&cobra.Group{ID: groupWallet, Title: "The wallet"},
		&cobra.Group{ID: groupPeers, Title: "Peers"},
		&cobra.Group{ID: groupChannels, Title: "Channels"},
		&cobra.Group{ID: groupPayments, Title: "Payments"},
		&cobra.Group{ID: groupMore, Title: "More"},
	)
	config.CommonFlags(root.PersistentFlags())
	root.PersistentFlags().SortFlags = false
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fault.New(fault.Usage, plainly(err), "See '%s --help'.", cmd.CommandPath())
	})
	root.CompletionOptions.DisableDefaultCmd = true // there is one of our own, as there is of help
	root.SetHelpCommand(helpCommand())
	root.SetUsageFunc(showUsage)
	root.AddCommand(
		playgroundCommand(), startCommand(), stopCommand(), stateCommand(), infoCommand(), statusCommand(), logLevelCommand(),
		debugCommand(),
		createCommand(), unlockCommand(), newAddressCommand(), balanceCommand(), coinsCommand(), transactionsCommand(), sendCommand(),
		connectCommand(), peersCommand(), disconnectCommand(),
		openChannelCommand(), channelsCommand(), pendingCommand(), closeCommand(), closedCommand(),
		invoiceCommand(), invoicesCommand(), settleCommand(), cancelCommand(),
		decodeCommand(), payCommand(), trackCommand(), paymentsCommand(),
		signMessageCommand(), verifyMessageCommand(), bakeMacaroonCommand(), listPermissionsCommand(),
		completionCommand(), exitCodesHelp(), versionCommand(),
	)
	root.Args = checked(root.Args)
	completeFlags(root, root.PersistentFlags())
	finish(root.Commands())
	return root
}

// finish gives every command what all commands have.
func finish(commands []*cobra.Command) {
	for _, c := range commands {
		c.Args = checked(c.Args)
		completeArguments(c)
		completeFlags(c, c.Flags())
		finish(c.Commands())
	}
}
