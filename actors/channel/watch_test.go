package channel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestChangesThatWatchersHearOf: a connection that comes and goes is one, a payment is none.
func TestChangesThatWatchersHearOf(t *testing.T) {
	t.Parallel()
	p := open(t, newFixture())
	h := p.hosts[0]
	require.Equal(t, 2, h.changes, "linked, and in use")
	p.add(0, 1_000_000)
	p.rest()
	require.Equal(t, 2, h.changes)
	p.disconnect()
	p.rest()
	require.Equal(t, 3, h.changes)
	p.connect()
	p.rest()
	require.Equal(t, 5, h.changes)
}
