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
		Long: `Start two nodes in a folder, connect them, kill one and see it come back; then
keep both running until Ctrl-C. There is no chain yet, and so there are no
channels. The next run goes on with the same nodes.`,
		Example: "  stormcell playground\n  stormcell playground --dir=/tmp/playground",
		Args:    cobra.NoArgs,
	}
	dir := cmd.Flags().String("dir", ".stormcell/playground", "the folder for everything")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		absolute, err := filepath.Abs(*dir)
		if err != nil {
			return err
		}
		return playground.Run(cmd.Context(), playground.Options{Dir: absolute, Out: cmd.OutOrStdout()})
	}
	return cmd
}
