package config

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"stormcell/actors/channel"
	"stormcell/actors/registry"
	"stormcell/chain/fees"
)

// Channels says what the node's owner decides about channels.
type Channels struct {
	// MaxCommitFeeRate is the most that the node sets for commitments by itself.
	MaxCommitFeeRate fees.SatPerKW
	// Pending bounds the channels that peers open.
	Pending registry.Limits
}

// channelFlags has lnd's names where lnd has the setting.
func channelFlags(fs *pflag.FlagSet) {
	pending := registry.DefaultLimits()
	fs.Uint32("max-commit-fee-rate-anchors", uint32(channel.MaxCommitFeeRate.ToVB()),
		"`SAT/VB` that the node pays at most for commitments of its channels, whatever the market asks")
	fs.Int("maxpendingchannels", pending.PerPeer, "the `NUMBER` of channels without a confirmed funding that one peer may have with us; 0 takes none")
	fs.Int("maxpendingtotal", pending.All, "the `NUMBER` of channels without a confirmed funding that all peers may have with us together")
}

// loadChannels reads the settings of channelFlags.
func loadChannels(fs *pflag.FlagSet) (Channels, error) {
	perVB, _ := fs.GetUint32("max-commit-fee-rate-anchors")
	c := Channels{MaxCommitFeeRate: fees.SatPerVB(perVB).ToKW(), Pending: registry.DefaultLimits()}
	if perVB == 0 || c.MaxCommitFeeRate > fees.Cap {
		return Channels{}, fmt.Errorf("max-commit-fee-rate-anchors: want 1 to %d sat/vB", fees.Cap.ToVB())
	}
	c.Pending.PerPeer, _ = fs.GetInt("maxpendingchannels")
	c.Pending.All, _ = fs.GetInt("maxpendingtotal")
	if c.Pending.PerPeer < 0 || c.Pending.All < 0 {
		return Channels{}, errors.New("maxpendingchannels, maxpendingtotal: want 0 or more")
	}
	return c, nil
}
