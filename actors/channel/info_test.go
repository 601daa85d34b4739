package channel

import (
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/stretchr/testify/require"

	"stormcell/chain/bolt3"
)

// TestCommitmentWeight: what people are told counts the outputs that the commitment has.
func TestCommitmentWeight(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pushed btcutil.Amount
		adds   []int // the hosts that offer an HTLC
	}{
		"both have money":              {pushed: 400_000},
		"the opener has all":           {pushed: 0},
		"dust":                         {pushed: 100},
		"the opener has all, an HTLC":  {pushed: 0, adds: []int{0}},
		"both have money, three HTLCs": {pushed: 400_000, adds: []int{0, 1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture()
			f.pushed = c.pushed
			p := newPair(t, f)
			p.connect()
			p.rest()
			for _, i := range c.adds {
				p.add(i, 50_000_000)
			}
			p.rest()
			for _, h := range p.hosts {
				tx, err := h.state.c.latest(h.state.c.Active[0], h.core.Signer)
				require.NoError(t, err)
				const usual = 4 // with money on both sides: theirs, and an anchor for each
				want := bolt3.CommitmentWeight + lntypes.WeightUnit(len(tx.TxOut)-usual)*bolt3.HTLCOutputWeight
				info := described(t, h)
				require.Len(t, info.HTLCs, len(c.adds))
				require.Equal(t, want, info.CommitWeight)
			}
		})
	}
}
