package channel

import (
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/stretchr/testify/require"

	"stormcell/chain/bolt3"
	"stormcell/chain/fees"
	"stormcell/peer/wire"
)

// TestFeeRatesOfThePeer: the opener may set what is reasonable and what it can pay for on our commitment.
func TestFeeRatesOfThePeer(t *testing.T) {
	t.Parallel()
	policy := DefaultPolicy()
	const keeps, affords = 10_000 + 660, 4_000 // reserve and anchors, and the rate that it can pay for beside
	fee := bolt3.BaseFee(affords, 0)
	cases := []struct {
		name  string
		left  btcutil.Amount // to the opener
		rates []uint32
		err   error
	}{
		{"lowest", 600_000, []uint32{uint32(policy.MinFeeRate)}, nil},
		{"too low", 600_000, []uint32{uint32(policy.MinFeeRate) - 1}, ErrFeeRate},
		{"highest", 600_000, []uint32{uint32(policy.MaxFeeRate)}, nil},
		{"too high", 600_000, []uint32{uint32(policy.MaxFeeRate) + 1}, ErrFeeRate},
		{"just affordable", keeps + fee, []uint32{affords}, nil},
		{"not affordable", keeps + fee - 1, []uint32{affords}, ErrCannotAfford},
		{"lower than what it cannot afford", keeps, []uint32{2_000}, nil},
		{"up and down before it is signed", 600_000, []uint32{9_000, 300, 9_000}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture()
			f.pushed = f.capacity - c.left
			p := open(t, f)
			h := p.hosts[1]
			for _, rate := range c.rates {
				h.tell(Received{Link: p.link, Message: &wire.UpdateFee{FeePerKw: rate}})
				h.step()
			}
			if c.err == nil {
				require.Empty(t, h.refused)
				require.EqualValues(t, c.rates[len(c.rates)-1], h.state.c.feeRate(localNext))
				require.Equal(t, fees.SatPerKW(2_500), h.state.c.feeRate(localLatest), "nothing is signed yet")
				return
			}
			require.ErrorIs(t, h.refused[0], c.err)
			effects := h.takeReleased()
			require.IsType(t, &wire.Warning{}, effects[0].(SendWire).Message)
			require.IsType(t, Hangup{}, effects[1])
		})
	}
}

// TestNoFeeRateTrimsHTLCs: with anchors the second-stage transactions pay no fee, so that what is dust depends on the dust
// limits alone and a fee rate puts nothing more at risk (BOLT 2, "Bounding exposure to trimmed in-flight HTLCs").
func TestNoFeeRateTrimsHTLCs(t *testing.T) {
	t.Parallel()
	p := open(t, newFixture())
	for _, amount := range []wire.MilliSatoshi{353_999, 354_000, 999_999, 1_000_000} {
		p.add(0, amount)
		p.add(1, amount)
	}
	p.rest()
	dust := func() (out [2]wire.MilliSatoshi) {
		c := p.hosts[1].state.c
		for _, owner := range []Side{Local, Remote} {
			figures := c.tally(c.Active[0], owner, everything, nil)
			out[owner] = figures.dust
		}
		return out
	}
	before := dust()
	require.Equal(t, [2]wire.MilliSatoshi{Local: 2 * (353_999 + 354_000 + 999_999), Remote: 2 * 353_999}, before)
	p.fee(20_000)
	p.rest()
	require.Equal(t, fees.SatPerKW(20_000), p.hosts[1].state.c.FeeRate)
	require.Equal(t, before, dust())
	p.finish()
}

// TestAFeeRateCrossesHTLCs: the accepter adds HTLCs before it sees a higher fee rate. The opener may then not be able to pay
// for all of it, and pays what it has (BOLT 2, "Updating Fees"): both sides still agree.
func TestAFeeRateCrossesHTLCs(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.feeRate = 253
	f.terms[0].MaxAcceptedHTLCs = 483
	const rate = 5_000
	f.pushed = f.capacity - 10_000 - 660 - bolt3.BaseFee(2*rate, 1)
	p := open(t, f)
	p.crossed = true
	p.hosts[0].tell(SetFeeRate{Rate: rate})
	require.True(t, p.turn(0))
	require.Len(t, p.wires[0], 1)
	for range 60 {
		p.add(1, 2_000_000)
		p.turn(1)
	}
	p.rest()
	require.Len(t, p.pending[0], 60)
	p.agree()
	c := p.hosts[0].state.c
	latest := c.tally(c.Active[0], Local, localLatest, nil)
	require.Equal(t, fees.SatPerKW(rate), latest.rate)
	require.Less(t, latest.balance[Local], cost(latest.rate, latest.untrimmed), "it cannot pay the whole fee")
	p.finish()
}
