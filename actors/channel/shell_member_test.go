package channel

import (
	"testing"

	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	registrypb "stormcell/messages/registry"
)

// entered is a member of a shell that has no more than what it remembers.
func entered(s *Shell, addr durable.Address, peer byte, opener bool) *member {
	m := s.member(addr)
	m.entry.Store(&registrypb.Channel{Peer: append([]byte{2}, make([]byte, 32)...), Opener: opener})
	m.entry.Load().Peer[32] = peer
	return m
}

// TestAFundingIsClaimedAmongOnePeersChannels: another peer that names it keeps nobody from his channel, and does not stand in the
// way of who looks for it.
func TestAFundingIsClaimedAmongOnePeersChannels(t *testing.T) {
	t.Parallel()
	s := &Shell{}
	point := btcwire.OutPoint{Index: 7}
	thief, ours, again := entered(s, "channel/1", 1, false), entered(s, "channel/2", 2, true), entered(s, "channel/3", 2, false)
	require.True(t, s.claim(thief, point))
	require.True(t, s.claim(ours, point))
	require.False(t, s.claim(again, point), "one peer has no two channels with one funding")
	require.True(t, s.claim(ours, btcwire.OutPoint{Index: 8}), "the first counts")
	require.Equal(t, point, *ours.outpoint.Load())

	found, err := Client{s}.find(t.Context(), point)
	require.NoError(t, err)
	require.Same(t, ours, found)
	_, err = Client{s}.find(t.Context(), btcwire.OutPoint{Index: 8})
	require.ErrorIs(t, err, ErrNoChannel)
}
