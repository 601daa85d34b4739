// Command bench measures the parts that everything else waits for, each beside the bare library it stands on.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// section is one table of measurements.
type section struct {
	name string
	run  func(out io.Writer, o options) error
}

// sections are run in this order. Each lives in a file of its own.
var sections = []section{
	{"journal", journalSection},
	{"kernel", kernelSection},
	{"channel", channelSection},
}

// options hold for every section.
type options struct {
	// each is how long one cell is measured.
	each time.Duration
	// dir is where databases are put; it should be on the disk that is to be measured.
	dir string
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	var o options
	flag.DurationVar(&o.each, "d", 2*time.Second, "how long each cell is measured")
	flag.StringVar(&o.dir, "dir", os.TempDir(), "where databases are put")
	only := flag.String("only", "", "comma-separated sections to run, of "+strings.Join(names, ", "))
	cpu := flag.String("cpuprofile", "", "where to write a CPU profile")
	flag.Parse()
	if *cpu != "" {
		f, err := os.Create(*cpu)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	chosen := names
	if *only != "" {
		chosen = strings.Split(*only, ",")
	}
	for _, name := range chosen {
		if !slices.Contains(names, name) {
			return fmt.Errorf("no section %q, only %s", name, strings.Join(names, ", "))
		}
	}
	for _, s := range sections {
		if !slices.Contains(chosen, s.name) {
			continue
		}
		if err := s.run(os.Stdout, o); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// tempDir makes a directory for one cell, and says how to remove it.
func tempDir(o options) (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp(o.dir, "stormcell-bench-")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}
