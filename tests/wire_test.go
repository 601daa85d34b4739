package tests

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/actors/node"
	"stormcell/peer/wire"
)

// TestWireTable: docs/wire.md says of each feature whether the node offers it, and names every message that it can read.
func TestWireTable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/wire.md")
	require.NoError(t, err)
	rows := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\S+) \\| ([a-z]+) \\|").FindAllStringSubmatch(string(text), -1) {
		rows[row[1]] = row[2:]
	}
	known := 0
	for bit := 0; bit < 256; bit += 2 {
		f := wire.Feature(bit)
		if !f.Known() {
			continue
		}
		known++
		here := "no"
		if node.Features().Offers(f) {
			here = "offered"
		}
		require.Equal(t, []string{fmt.Sprintf("%d/%d", bit, bit+1), here}, rows[f.String()], f.String())
	}
	require.Len(t, rows, known)
	for n := range math.MaxUint16 {
		if name := wire.Name(wire.MessageType(n)); name != "unknown" {
			require.Contains(t, string(text), "`"+name+"`")
		}
	}
}
