package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/actors/registry"
)

// TestAliases: each channel has its own, where no funding can be, and they tell nothing of one another.
func TestAliases(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := registry.AliasKey(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		seen := map[uint64]uint32{}
		for _, index := range rapid.SliceOfDistinct(rapid.Uint32(), rapid.ID[uint32]).Draw(t, "indexes") {
			alias := key.Alias(index)
			require.Equal(t, alias, key.Alias(index))
			require.NotContains(t, seen, alias)
			require.GreaterOrEqual(t, alias>>40, uint64(16_000_000))
			require.Less(t, alias>>40, uint64(16_000_256))
			seen[alias] = index
		}
	})
	here, there := registry.AliasKey{1}, registry.AliasKey{2}
	neighbours := map[uint64]bool{}
	for index := range uint32(1_000) {
		require.NotEqual(t, here.Alias(index), there.Alias(index))
		neighbours[here.Alias(index+1)-here.Alias(index)] = true
	}
	require.Greater(t, len(neighbours), 990, "the next alias does not follow from this one")
}
