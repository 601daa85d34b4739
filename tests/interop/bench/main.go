// Command bench measures payments between two Stormcells, and between two lnds, in one run and on one btcd, driven through the
// same client.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"stormcell/tests/interop/node"
)

// part is something that can be measured by itself.
type part struct {
	name string
	run  func(h *host, o options)
}

var parts = []part{
	{"payments", payments},
	{"restart", restart},
}

// options hold for every part.
type options struct {
	each     time.Duration // how long one cell is measured
	atOnce   []int         // payments under way at a time
	channels []int         // between two nodes
	lnd      bool          // measure lnd too
	syncs    bool          // count lnd's syncs, which takes another run under strace
	stored   int           // settled payments that a node restarts with
	held     int           // payments in flight that it restarts with
	flags    []string      // of Stormcells, besides the usual
	profiles string        // directory for CPU profiles of Stormcells; empty for none
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	var o options
	flag.DurationVar(&o.each, "d", 5*time.Second, "how long each cell is measured")
	flag.BoolVar(&o.lnd, "lnd", true, "measure lnd too")
	flag.BoolVar(&o.syncs, "lndsyncs", true, "count lnd's syncs in another run, if strace is there")
	flag.IntVar(&o.stored, "stored", 100_000, "settled payments that a node restarts with")
	flag.IntVar(&o.held, "held", 100, "payments in flight that a node restarts with")
	flag.StringVar(&o.profiles, "profiles", "", "directory for CPU profiles of Stormcells")
	dir := flag.String("dir", os.TempDir(), "where nodes keep their data; it should be on the disk that is to be measured")
	only := flag.String("only", strings.Join(names, ","), "comma-separated parts to run")
	atOnce := flag.String("at", "1,8,64,128", "how many payments are under way at a time")
	channels := flag.String("channels", "1,10", "how many channels there are between two nodes")
	flags := flag.String("flags", "", "flags of Stormcells, besides the usual")
	flag.Parse()
	var err error
	if o.atOnce, err = numbers(*atOnce); err != nil {
		return err
	}
	if o.channels, err = numbers(*channels); err != nil {
		return err
	}
	o.flags = strings.Fields(*flags)
	chosen := strings.Split(*only, ",")
	for _, name := range chosen {
		if !slices.Contains(names, name) {
			return fmt.Errorf("no part %q, only %s", name, strings.Join(names, ", "))
		}
	}
	if err := node.Build(); err != nil {
		return err
	}
	for _, p := range parts {
		if !slices.Contains(chosen, p.name) {
			continue
		}
		if err := measure(ctx, *dir, func(h *host) { p.run(h, o) }); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func numbers(list string) ([]int, error) {
	var all []int
	for _, text := range strings.Split(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no list of positive numbers", list)
		}
		all = append(all, n)
	}
	return all, nil
}
