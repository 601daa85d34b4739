package ctl

import (
	"errors"

	"github.com/spf13/cobra"

	"stormcell/cmd/node/fault"
)

// feeFlags is how a command says what its transaction may cost.
type feeFlags struct {
	rate   *uint64
	target *int32
}

func addFeeFlags(cmd *cobra.Command) feeFlags {
	return feeFlags{
		rate:   cmd.Flags().Uint64("feerate", 0, "the transaction's fee rate, in `SAT/VB`"),
		target: cmd.Flags().Int32("conf-target", 0, "the number of `BLOCKS` in which the transaction should confirm (default 6)"),
	}
}

func (f feeFlags) check() error {
	if *f.rate != 0 && *f.target != 0 {
		return fault.New(fault.Usage, errors.New("--feerate and --conf-target exclude each other"), "Say one of them.")
	}
	return nil
}
