package interop_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

// TestLightPair: two Stormcells that know the chain from a peer-to-peer port alone open a channel, use it and close it.
func TestLightPair(t *testing.T) {
	t.Parallel()
	chain := node.StartBtcd(t)
	p := &pair{t, chain, node.StartLightStormcell(t, chain), node.StartLightStormcell(t, chain)}
	p.fund()
	at := p.open(p.ours, p.other)
	p.burst(at, p.ours, p.other, 50)
	p.burst(at, p.other, p.ours, 50)
	for _, killed := range []*node.Lightning{p.ours, p.other} {
		killed.Crash()
		p.connect()
		p.awaitActive(at)
		p.settle(at)
	}
	require.NotEmpty(t, p.ours.Close(at, 3, false))
	p.awaitClosed(at)
}
