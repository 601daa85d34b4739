package ctl

import (
	"context"

	"github.com/spf13/cobra"

	"stormcell/messages/debugrpc"
)

func logLevelCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "loglevel [LEVELS]",
		Aliases: []string{"debuglevel"},
		GroupID: groupDaemon,
		Short:   "Show and change how much the daemon logs",
		Long: `Show how much each part of the daemon logs, after changing it if LEVELS say so:
trace, debug, info, warn, error, critical or off for all of it, or for parts by
their names. It lasts until the daemon stops; the flag --debuglevel of the start
has the same form.`,
		Example: `  stormcell loglevel
  stormcell loglevel debug
  stormcell loglevel PEER=debug,CHAN=trace
  stormcell loglevel warn,PEER=debug`,
		Args: cobra.MaximumNArgs(1),
	}, func(ctx context.Context, c *client, p printer, args []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		request := &debugrpc.LogLevelsRequest{}
		if len(args) == 1 {
			request.Spec = args[0]
		}
		answer, err := debugrpc.NewDebugClient(c).LogLevels(ctx, request)
		if err != nil {
			return err
		}
		return p.print(answer, func() {
			var rows [][]string
			for _, s := range answer.Subsystems {
				rows = append(rows, []string{s.Name, s.Level, s.About})
			}
			p.table([]column{{name: "PART"}, {name: "LEVEL"}, {name: "WHAT IT IS"}}, rows)
		})
	})
}
