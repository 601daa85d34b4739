package ctl

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"stormcell/messages/debugrpc"
)

func debugCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "debug",
		GroupID: groupDaemon,
		Short:   "See and free what has halted in the daemon",
		Long: `The daemon is built of actors: a channel is one, and so is a payment. One that
fails again and again on the same message halts with all that waits for it, and
takes nothing until somebody looks. The others go on.`,
		Example: "  stormcell debug halted",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(haltedCommand(), retryCommand(), dropCommand())
	return cmd
}

func haltedCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "halted",
		Short:   "List the actors that have halted, and why",
		Example: "  stormcell debug halted\n  stormcell debug halted --json | jq -r '.actors[].address'",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, c *client, p printer, _ []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		answer, err := debugrpc.NewDebugClient(c).Halted(ctx, &debugrpc.HaltedRequest{})
		if err != nil {
			return err
		}
		return p.print(answer, func() { printHalted(p, answer.Actors) })
	})
}

// printHalted needs lines of their own for the reasons: they are long.
func printHalted(p printer, actors []*debugrpc.HaltedActor) {
	if len(actors) == 0 {
		p.line("nothing has halted")
		return
	}
	rows := make([][]string, len(actors))
	for i, a := range actors {
		drop := "no"
		if a.Droppable {
			drop = "yes"
		}
		rows[i] = []string{a.Address, strconv.Itoa(int(a.Failures)), drop}
	}
	p.table([]column{{name: "ACTOR"}, {name: "FAILURES", right: true}, {name: "CAN DROP"}}, rows)
	for _, a := range actors {
		p.line("\n%s failed on %s:\n    %s", a.Address, a.About, strings.ReplaceAll(a.Reason, "\n", "\n    "))
	}
}

func retryCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:               "retry ACTOR",
		Short:             "Let a halted actor try again",
		Long:              "Let a halted actor try again, after what it failed on was mended.",
		Example:           "  stormcell debug retry channel/3",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: arguments(known(haltedActors)),
	}, func(ctx context.Context, c *client, p printer, args []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		answer, err := debugrpc.NewDebugClient(c).Retry(ctx, &debugrpc.RetryRequest{Address: args[0]})
		if err != nil {
			return err
		}
		return p.print(answer, func() { p.line("%s tries again", args[0]) })
	})
}

func dropCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drop ACTOR",
		Short: "Drop the message that a halted actor failed on",
		Long: `Drop the message that a halted actor failed on, for good, and let the actor go
on without it. What the message promised is lost, and that may be money: do it
only when you know what it says.`,
		Example:           "  stormcell debug drop channel/3",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: arguments(known(haltedActors)),
	}
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	return clientCommand(cmd, func(ctx context.Context, c *client, p printer, args []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		if !*yes {
			if err := newPrompt(cmd).confirm("Drop the message for good? What it promised is lost."); err != nil {
				return err
			}
		}
		answer, err := debugrpc.NewDebugClient(c).Drop(ctx, &debugrpc.DropRequest{Address: args[0]})
		if err != nil {
			return err
		}
		return p.print(answer, func() { p.line("dropped: %s goes on without it", args[0]) })
	})
}
