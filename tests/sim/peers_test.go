package sim_test

import (
	"testing"

	"stormcell/tests/sim/peers"
)

var peersDomain = always("TestPeersPlan", peers.New)

// TestPeers simulates the peer book as TestSim does the bank.
func TestPeers(t *testing.T) {
	t.Parallel()
	peersDomain.simulate(t, campaign{seeds: 500, every: 50, stride: 1, keeps: 3})
}

// TestPeersPlan replays the run that PLAN names.
func TestPeersPlan(t *testing.T) {
	t.Parallel()
	peersDomain.replay(t)
}
