package ctl

import (
	"runtime"

	"github.com/spf13/cobra"

	"stormcell/cmd/node/version"
)

func versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		GroupID: groupMore,
		Short:   "Show the version of this program",
		Long: `Show the version of this program, the revision that it was built from, and with
which Go. 'stormcell getinfo' shows the daemon's.`,
		Example: "  stormcell version\n  stormcell version --json | jq -r .version",
		Args:    cobra.NoArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON, for programs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p := printer{out: cmd.OutOrStdout(), json: *asJSON}
		if p.json {
			return p.encode(map[string]string{
				"version": version.Number, "commit": version.Commit(), "go_version": runtime.Version(),
			})
		}
		p.pairs([2]string{"version", version.Number}, [2]string{"commit", version.Commit()}, [2]string{"go", runtime.Version()})
		return nil
	}
	return cmd
}
