package channel

import (
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/stretchr/testify/require"

	"stormcell/chain/bolt3"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// TestCloseWhileThePeerIsAway: what it has negotiated is not known then, after a restart.
func TestCloseWhileThePeerIsAway(t *testing.T) {
	t.Parallel()
	taproot := append([]byte{0x51, 32}, make([]byte, 32)...)
	for name, simple := range map[string]bool{"legacy": false, "simple": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClosing(t, newFixture(), simple)
			c.rest()
			c.hosts[0].restart()
			c.disconnect()
			c.hosts[0].tell(Close{Script: taproot, FeeRate: 1_000})
			c.rest()
			require.Equal(t, pb.Phase_SHUTTING_DOWN, c.hosts[0].state.phase)
			c.connect()
			c.rest()
			c.closed()
		})
	}
}

// TestThePeerClosesAgainAndAgain: each closing transaction that it offers is signed, but not all are kept and published.
func TestThePeerClosesAgainAndAgain(t *testing.T) {
	t.Parallel()
	c := newClosing(t, newFixture(), true)
	c.rest()
	c.hosts[0].tell(Close{FeeRate: 1_000})
	c.rest()
	h, peer := c.hosts[0], c.hosts[1]
	p, a := peer.state, peer.state.c.Active[0]
	published := len(c.txs[0])
	for n := range btcutil.Amount(3 * maxAgreed) {
		closing := bolt3.SimpleClosing{
			Closer: bolt3.Payout{Balance: a.Balance[Local], PkScript: scriptOf(1)},
			Closee: bolt3.Payout{Balance: a.Balance[Remote], PkScript: scriptOf(0)}, Fee: 10_000 + n,
		}
		tx, err := a.Funding.SimpleClosingTx(closing, bolt3.CloserAndCloseeOutputs)
		require.NoError(t, err)
		signature, err := (&turn{Core: peer.core, State: p}).signClosing(tx)
		require.NoError(t, err)
		m := &wire.ClosingComplete{ClosingProposal: wire.ClosingProposal{
			CloserScript: scriptOf(1), CloseeScript: scriptOf(0), Fee: closing.Fee, Both: &signature,
		}}
		h.tell(Received{Link: c.link, Message: m})
		c.turn(0)
		require.Equal(t, wire.TypeClosingSig, c.wires[0][len(c.wires[0])-1].MsgType())
		require.LessOrEqual(t, len(c.txs[0]), maxAgreed+published)
	}
	require.Len(t, h.state.shutdown.GetTxs(), maxAgreed)
	require.Len(t, c.wires[0], 3*maxAgreed)
}

// TestHTLCsAfterOurShutdownAreToBeFailed: what the peer had added before is as good as ever.
func TestHTLCsAfterOurShutdownAreToBeFailed(t *testing.T) {
	t.Parallel()
	c := newClosing(t, newFixture(), true)
	c.rest()
	c.add(1, 1_000_000)
	c.rest()
	c.add(1, 2_000_000)
	for c.turn(1) {
	}
	for c.deliver(1) {
	}
	c.hosts[0].tell(Close{FeeRate: 1_000})
	c.rest()
	require.Len(t, c.pending[0], 2)
	require.False(t, c.pending[0][0].GetClosing())
	require.True(t, c.pending[0][1].GetClosing())
	c.resolve(0, "fulfil")
	c.resolve(0, "fail")
	c.rest()
	c.closed()
}
