package interop_test

import (
	"fmt"
	"os"
	"testing"

	"stormcell/tests/interop/node"
)

func TestMain(m *testing.M) {
	if err := node.Build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
