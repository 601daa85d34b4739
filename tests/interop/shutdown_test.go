package interop_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

// TestTerminateUnderLoad: a Stormcell that is asked to stop while payments go both ways does so in its five seconds, which it
// confirms with its exit code. Afterwards all payments have ended, in the same way on both sides.
func TestTerminateUnderLoad(t *testing.T) {
	t.Parallel()
	const (
		rounds = 6
		limit  = 8 * time.Second // of a busy machine; the node exits with another code after 5
	)
	chain := node.StartBtcd(t)
	p := &pair{t, chain, node.StartStormcell(t, chain), node.StartStormcell(t, chain)}
	p.fund()
	at := p.open(p.ours, p.other)
	load := p.startLoad(at, 50)
	for round := range rounds {
		load.await(20 + rand.IntN(30))
		stopped := []*node.Lightning{p.ours, p.other}[round%2]
		times := 1 + round/4 // supervisors may send a second signal
		state, took := stopped.Terminate(times)
		t.Logf("%d signals: ended after %s with %s", times, took.Round(time.Millisecond), state)
		require.Less(t, took, limit)
		require.Zero(t, state.ExitCode(), state)
		stopped.Start()
		p.connect()
		p.awaitActive(at)
	}
	load.stop()
	t.Log("payments:", load.ended)
}
