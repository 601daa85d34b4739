package sim_test

import (
	"math/rand/v2"
	"testing"

	"stormcell/tests/sim"
	"stormcell/tests/sim/channels"
)

var channelsDomain = domain{"TestChannelsPlan", func(p sim.Plan) func(*rand.Rand) sim.Domain {
	return func(rng *rand.Rand) sim.Domain { return channels.New(rng, p.Sabotage) }
}}

// TestChannels opens, uses and closes a channel between two processes under every fault by chance; for one seed in a hundred
// one of them crashes before every eighth move, or in a long simulation before each, and one soon after once more.
func TestChannels(t *testing.T) {
	t.Parallel()
	c := campaign{seeds: 30, every: 100, stride: 8, keeps: 1}
	if number(t, "SEEDS", c.seeds) >= 1000 {
		c.stride = 1
	}
	channelsDomain.simulate(t, c)
}

// TestChannelsPlan replays one plan, as a failure prints it.
func TestChannelsPlan(t *testing.T) {
	t.Parallel()
	channelsDomain.replay(t)
}

// TestBrokenChannelsAreFound: a simulation that never failed proves nothing.
func TestBrokenChannelsAreFound(t *testing.T) {
	t.Parallel()
	for _, s := range []sim.Sabotage{
		sim.ReleaseBeforeDurable, sim.LosePreimage, sim.RetransmitOutOfOrder, sim.ForgetSigned,
	} {
		t.Run(s.String(), func(t *testing.T) { channelsDomain.finds(t, s) })
	}
}
