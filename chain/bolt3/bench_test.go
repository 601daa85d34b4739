package bolt3_test

import (
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"stormcell/chain/bolt3"
	"stormcell/chain/keys"
)

// fullState has as many HTLCs as a commitment may have.
func fullState(b *testing.B, htlcs int) (*bolt3.Channel, bolt3.Spec) {
	channel := newChannel(b, 10_000_000, [2]btcutil.Amount{354, 354})
	spec := bolt3.Spec{FeeRate: 2500, ToBroadcaster: 5_000_000_000, ToCountersigner: 5_000_000_000}
	for i := range htlcs {
		htlc := newHTLC(uint64(i), bolt3.Direction(i%2), 1_000_000+lnwire.MilliSatoshi(i%7), uint64(i), 700_000)
		spec.ToBroadcaster -= htlc.Amount
		spec.HTLCs = append(spec.HTLCs, htlc)
	}
	return channel, spec
}

func BenchmarkCommitment(b *testing.B) {
	for name, htlcs := range map[string]int{"0": 0, "1": 1, "483": 483} {
		b.Run(name, func(b *testing.B) {
			channel, spec := fullState(b, htlcs)
			point, err := signers()[bolt3.Opener].CommitmentPoint(channelIndex, 0)
			require.NoError(b, err)
			for b.Loop() {
				if _, err := channel.Commitment(bolt3.Opener, spec, point); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify483HTLCs(b *testing.B) {
	channel, spec := fullState(b, 483)
	c := commit(b, channel, bolt3.Opener, spec)
	signature, htlcs := countersign(b, c)
	for name, parallel := range map[string]keys.Parallel{"one core": keys.Sequential, "all cores": concurrently} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := c.Verify(signature, htlcs, parallel); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
