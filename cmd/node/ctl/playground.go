package ctl

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"stormcell/cmd/node/playground"
)

func playgroundCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "playground",
		GroupID: groupDaemon,
		Short:   "Run a small network on this machine, to try things",
		Long: `Run btcd with a chain of its own and three nodes with channels, all in one
folder. The first time you see a payment in several parts, and one whose payer
is killed in the middle of it; then everything keeps running until Ctrl-C, and
you are told what to try. The next run goes on with the same network.

btcd must be on the path or beside this program; 'make run' builds it.`,
		Example: "  stormcell playground\n  stormcell playground --dir=/tmp/playground",
		Args:    cobra.NoArgs,
	}
	dir := cmd.Flags().String("dir", ".stormcell/playground", "the `FOLDER` for everything")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		absolute, err := filepath.Abs(*dir)
		if err != nil {
			return err
		}
		return playground.Run(cmd.Context(), playground.Options{Dir: absolute, Out: cmd.OutOrStdout()})
	}
	return cmd
}
