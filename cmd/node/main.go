// Command stormcell is a Lightning node and its command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"stormcell/cmd/node/ctl"
	"stormcell/cmd/node/fault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks to stop, the second one kills.
	context.AfterFunc(ctx, stop)
	if err := ctl.Root().ExecuteContext(ctx); err != nil {
		os.Exit(int(fault.Report(os.Stderr, err)))
	}
}
