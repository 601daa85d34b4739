package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/peer/wire"
)

func TestFeaturesAreAVector(t *testing.T) {
	t.Parallel()
	v := wire.Features{}.With(wire.Anchors).Require(wire.DataLossProtect)
	require.Equal(t, []int{0, 23}, v.Bits())
	require.Equal(t, []byte{0x80, 0x00, 0x01}, v.Bytes())
	require.True(t, v.Offers(wire.Anchors))
	require.False(t, v.Requires(wire.Anchors))
	require.True(t, v.Requires(wire.DataLossProtect))
	require.Equal(t, "+option_data_loss_protect option_anchors", v.String())

	more := v.With(wire.Splicing)
	require.False(t, v.Offers(wire.Splicing), "a vector never changes")
	require.True(t, more.Offers(wire.Splicing))
	require.Equal(t, v, wire.ParseFeatures([]byte{0, 0, 0x80, 0x00, 0x01}))
	require.Equal(t, wire.Features{}, wire.ParseFeatures([]byte{0, 0}))
}

func TestFeaturesRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := anyFeatures.Draw(t, "features")
		require.Equal(t, v, wire.ParseFeatures(v.Bytes()))
		for _, bit := range v.Bits() {
			require.True(t, v.Bit(bit))
		}
	})
}

func TestNegotiate(t *testing.T) {
	t.Parallel()
	base := wire.DefaultFeatures()
	require.NoError(t, base.CheckDependencies())

	both, err := wire.Negotiate(base, base)
	require.NoError(t, err)
	require.True(t, both.Anchors && both.StaticRemoteKey && both.ScidAlias && both.SimpleClose && both.LargeChannels)
	require.False(t, both.Splicing || both.Quiescence || both.DualFund)

	one, err := wire.Negotiate(base.With(wire.Splicing, wire.Quiescence), base)
	require.NoError(t, err)
	require.False(t, one.Splicing, "one side is not enough")

	splice, err := wire.Negotiate(base.With(wire.Splicing, wire.Quiescence), base.Require(wire.Splicing, wire.Quiescence))
	require.NoError(t, err)
	require.True(t, splice.Splicing && splice.Quiescence)
}

func TestNegotiateRefuses(t *testing.T) {
	t.Parallel()
	base := wire.DefaultFeatures()
	for name, c := range map[string]struct {
		ours, theirs wire.Features
		problem      wire.FeatureProblem
		features     []wire.Feature
	}{
		"they require what we lack": {
			base, base.Require(wire.DualFund), wire.FeatureUnknown, []wire.Feature{wire.DualFund},
		},
		"they require what nobody knows": {
			base, base.Require(1000, 70000), wire.FeatureUnknown, []wire.Feature{1000, 70000},
		},
		"both bits set is once required": {
			base.Require(wire.Anchors), base.Require(wire.Anchors).With(wire.Anchors), "", nil,
		},
		"we require anchors": {
			base.Require(wire.Anchors), wire.Features{}, wire.FeatureMissing, []wire.Feature{wire.Anchors},
		},
		"zeroconf without alias": {
			base, wire.Features{}.With(wire.ZeroConf), wire.FeatureDependency, []wire.Feature{wire.ZeroConf},
		},
		"simple close without anysegwit": {
			base, wire.Features{}.Require(wire.SimpleClose), wire.FeatureDependency, []wire.Feature{wire.SimpleClose},
		},
		"assumed features may stay unsaid": {base, wire.Features{}.With(wire.BasicMPP), "", nil},
		"unknown odd bits are ignored":     {base, base.With(1000, 250), "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := wire.Negotiate(c.ours, c.theirs)
			if c.problem == "" {
				require.NoError(t, err)
				return
			}
			var refused *wire.FeatureError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, c.problem, refused.Problem)
			require.Equal(t, c.features, refused.Features)
			require.NotEmpty(t, refused.Error())
		})
	}
}

// The bits that other nodes were seen to send in init go together with ours.
func TestNegotiateWithOtherNodes(t *testing.T) {
	t.Parallel()
	for name, bits := range map[string][]int{
		"Core Lightning": {0, 5, 7, 8, 11, 12, 14, 17, 19, 23, 25, 27, 35, 39, 43, 44, 47, 51, 63, 29, 61},
		"LDK":            {0, 5, 7, 8, 12, 14, 17, 19, 23, 25, 27, 39, 45, 47, 51},
		"Electrum":       {0, 5, 8, 12, 14, 17, 19, 22, 27, 44, 47, 151},
	} {
		var theirs wire.Features
		for _, bit := range bits {
			if bit%2 == 0 {
				theirs = theirs.Require(wire.Feature(bit))
			} else {
				theirs = theirs.With(wire.Feature(bit - 1))
			}
		}
		require.Equal(t, len(bits), len(theirs.Bits()))
		got, err := wire.Negotiate(wire.DefaultFeatures(), theirs)
		require.NoError(t, err, name)
		require.True(t, got.Anchors && got.ScidAlias && got.ShutdownAnySegwit, name)
	}
}
