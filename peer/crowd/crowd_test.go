package crowd

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestCrowd: whoever comes and goes, there are never too many, and who has to leave is the first of the host that has most.
func TestCrowd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := New(rapid.IntRange(1, 6).Draw(t, "most"))
		var inside, left []*Stranger // inside in the order in which they came
		from := func(host netip.Prefix) (n int) {
			for _, s := range inside {
				if s.host == host {
					n++
				}
			}
			return n
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if len(inside) > 0 && rapid.Bool().Draw(t, "exit") {
				i := rapid.IntRange(0, len(inside)-1).Draw(t, "who")
				c.Exit(inside[i])
				c.Exit(inside[i]) // as who has left may do
				inside = slices.Delete(inside, i, i+1)
				continue
			}
			var out *Stranger
			if len(inside) == c.most {
				for _, s := range inside {
					if out == nil || from(s.host) > from(out.host) {
						out = s
					}
				}
			}
			var s *Stranger
			left = nil
			host := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, rapid.SampledFrom([]byte{1, 2, 3}).Draw(t, "host")}), 32)
			s = c.Enter(host, func() { left = append(left, s) })
			inside = append(inside, s)
			if out == nil {
				require.Empty(t, left)
				continue
			}
			require.Equal(t, []*Stranger{out}, left)
			inside = slices.DeleteFunc(inside, func(s *Stranger) bool { return s == out })
		}
		require.Equal(t, len(inside), c.Size())
	})
}
