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
	defer stop()
	// The first signal asks to stop, and Ctrl-C after it kills. SIGTERM does not: supervisors send it twice without meaning to.
	context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt) })
	if err := ctl.Root().ExecuteContext(ctx); err != nil {
		os.Exit(int(fault.Report(os.Stderr, err)))
	}
}
