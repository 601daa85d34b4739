package sim_test

import (
	"testing"

	"stormcell/tests/sim/mesh"
)

var meshDomain = always("TestMeshPlan", mesh.New)

// TestMesh has two or three nodes pay each other over parallel channels under every fault by chance; for one seed in a hundred a
// process crashes at every fortieth move, and soon after once more.
func TestMesh(t *testing.T) {
	meshDomain.simulate(t, campaign{seeds: 20, every: 100, stride: 40, keeps: 1})
}

// TestMeshPlan replays the run that PLAN names.
func TestMeshPlan(t *testing.T) {
	meshDomain.replay(t)
}
