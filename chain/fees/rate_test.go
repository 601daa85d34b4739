package fees_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/chain/fees"
)

func TestConversions(t *testing.T) {
	t.Parallel()
	require.Equal(t, fees.SatPerKW(250), fees.SatPerVB(1).ToKW())
	require.Equal(t, fees.SatPerKW(math.MaxUint32), fees.SatPerVB(math.MaxUint32).ToKW())
	require.Equal(t, fees.SatPerKW(250), fees.SatPerKVB(1000).ToKW())
	require.Equal(t, fees.SatPerKW(251), fees.SatPerKVB(1001).ToKW(), "a minimum stays met")
	require.Equal(t, fees.SatPerKW(math.MaxUint32), fees.SatPerKVB(math.MaxUint64).ToKW())
	require.Equal(t, fees.SatPerKVB(1012), fees.Floor.ToKVB())
	require.Equal(t, fees.SatPerVB(1), fees.Floor.ToVB())
	require.Equal(t, fees.SatPerVB(1000), fees.Cap.ToVB())
}

// The example of BOLT 3, "Fee Calculation".
func TestFeeOfTheSpecificationsExample(t *testing.T) {
	t.Parallel()
	rate := fees.SatPerKW(5000)
	require.Equal(t, btcutil.Amount(3315), rate.Fee(663))
	require.Equal(t, btcutil.Amount(3515), rate.Fee(703))
	require.Equal(t, btcutil.Amount(5340), rate.Fee(1068))
}

func TestFloorMeetsOneSatPerVirtualByteAtEveryWeight(t *testing.T) {
	t.Parallel()
	// Nodes relay nothing below 65 bytes without witness.
	for weight := lntypes.WeightUnit(4 * 65); weight <= 400_000; weight++ {
		virtualBytes := btcutil.Amount((weight + 3) / 4)
		require.GreaterOrEqual(t, fees.Floor.Fee(weight), virtualBytes, "weight %d", weight)
	}
}

func TestClamp(t *testing.T) {
	t.Parallel()
	require.Equal(t, fees.Floor, fees.SatPerKW(0).Clamp())
	require.Equal(t, fees.SatPerKW(1000), fees.SatPerKW(1000).Clamp())
	require.Equal(t, fees.Cap, fees.SatPerKW(math.MaxUint32).Clamp())
}

func TestFeeNeverOverflows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := fees.SatPerKW(rapid.Uint32().Draw(t, "rate"))
		weight := lntypes.WeightUnit(rapid.Uint64().Draw(t, "weight"))
		exact := new(big.Int).Mul(big.NewInt(int64(rate)), new(big.Int).SetUint64(uint64(weight)))
		exact.Div(exact, big.NewInt(1000))
		if limit := big.NewInt(btcutil.MaxSatoshi); exact.Cmp(limit) > 0 {
			exact = limit
		}
		require.Equal(t, exact.Int64(), int64(rate.Fee(weight)))
	})
}

func TestRateOfAFee(t *testing.T) {
	t.Parallel()
	require.Zero(t, fees.Of(-1, 100))
	require.Zero(t, fees.Of(1, 0))
	require.Equal(t, fees.SatPerKW(math.MaxUint32), fees.Of(math.MaxInt64, 1))
	rapid.Check(t, func(t *rapid.T) {
		rate := fees.SatPerKW(rapid.Uint32Range(0, uint32(fees.Cap)).Draw(t, "rate"))
		weight := lntypes.WeightUnit(rapid.Uint64Range(1000, 400_000).Draw(t, "weight"))
		back := fees.Of(rate.Fee(weight), weight)
		require.LessOrEqual(t, back, rate)
		require.LessOrEqual(t, rate-back, fees.SatPerKW(1), "a whole satoshi is at most one sat/kw here")
	})
}
