package ctl

import (
	"os"

	"github.com/spf13/cobra"

	"stormcell/cmd/node/config"
	"stormcell/cmd/node/daemon"
)

func startCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "start",
		GroupID: groupDaemon,
		Short:   "Run the daemon until it is stopped",
		Long: `Run the daemon in the foreground. It logs to stderr and to stormcell.log in the
data directory. Ctrl-C, SIGTERM and 'stormcell stop' stop it; kill -9 loses
nothing.`,
		Example: `  stormcell start
  stormcell start --network=regtest --datadir=/tmp/alice --listen=127.0.0.1:9735
  STORMCELL_DEBUGLEVEL=debug stormcell start --metricslisten=127.0.0.1:9090`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.LoadDaemon(cmd.Flags())
			if err != nil {
				return err
			}
			return daemon.Run(cmd.Context(), c, os.Stderr)
		},
	}
	config.DaemonFlags(cmd.Flags())
	cmd.Flags().SortFlags = false
	return cmd
}
