package channel

import (
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// TestThePeerPublishesWhatWeOffered: a closing transaction that we signed may get into the chain without the peer's answer
// to it ever having come.
func TestThePeerPublishesWhatWeOffered(t *testing.T) {
	t.Parallel()
	for name, simple := range map[string]bool{"legacy": false, "simple": true} {
		for _, forced := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := newClosing(t, newFixture(), simple)
				c.rest()
				c.hosts[0].tell(Close{FeeRate: 1_000})
				answer := wire.TypeClosingSigned
				if simple {
					answer = wire.TypeClosingSig
				}
				for moved := true; moved; {
					moved = c.turn(0) || c.deliver(0) || c.turn(1)
					for len(c.wires[1]) > 0 {
						if moved = true; c.wires[1][0].MsgType() == answer || c.wires[1][0].MsgType() == wire.TypeClosingComplete {
							c.wires[1] = c.wires[1][1:]
						} else {
							c.deliver(1)
						}
					}
				}
				h := c.hosts[0]
				require.Equal(t, pb.Phase_SHUTTING_DOWN, h.state.phase)
				require.NotEmpty(t, c.txs[1])
				if forced {
					h.tell(ForceClose{})
					h.step()
					require.Equal(t, pb.Phase_CLOSING, h.state.phase)
					h.restart()
					require.True(t, watches(h.takeReleased()))
				}
				h.takeSent()
				h.tell(FundingSpent{Tx: c.txs[1][0]})
				for h.step() {
				}
				require.Equal(t, pb.Phase_CLOSED, h.state.phase)
				require.True(t, h.takeSent()[0].Body.(*pb.MonitorUpdate).GetFinished())
			})
		}
	}
}

// TestThePeerPublishesACommitment: that is for the monitor, however far a closing has come.
func TestThePeerPublishesACommitment(t *testing.T) {
	t.Parallel()
	c := newClosing(t, newFixture(), true)
	c.rest()
	peer := c.hosts[1]
	commitment, err := peer.state.c.latest(peer.state.c.Active[0], peer.core.Signer)
	require.NoError(t, err)
	c.hosts[0].tell(Close{FeeRate: 1_000})
	c.rest()
	require.Equal(t, pb.Phase_AGREED, c.hosts[0].state.phase)
	for _, tx := range []*btcwire.MsgTx{commitment, commitment} {
		c.hosts[0].tell(FundingSpent{Tx: tx})
		for c.hosts[0].step() {
		}
		require.Equal(t, pb.Phase_CLOSING, c.hosts[0].state.phase)
	}
	for _, sent := range c.hosts[0].takeSent() {
		require.False(t, sent.Body.(*pb.MonitorUpdate).GetFinished())
	}
}

func watches(effects []durable.Effect) bool {
	for _, e := range effects {
		if _, ok := e.(WatchFunding); ok {
			return true
		}
	}
	return false
}

// TestNoHTLCsOverASpentFunding: from the first block with the transaction on; unless that is undone.
func TestNoHTLCsOverASpentFunding(t *testing.T) {
	t.Parallel()
	p, h := unrevokedPair(t)
	p.add(0, 2_000_000) // proposed, and waits for the revocation
	for p.turn(0) {
	}
	txid := h.state.c.ChannelID // any hash will do
	h.tell(FundingSpend{TxID: (*chainhash.Hash)(&txid)})
	for h.step() {
	}
	released := h.takeReleased()
	require.Len(t, released, 1)
	require.IsType(t, Hangup{}, released[0], "what is proposed is taken back")
	for _, e := range h.takeSent() {
		require.Contains(t, e.Body.(*pb.HTLCRefused).GetReason(), "closes the channel")
		p.hear(0, e)
	}
	require.Equal(t, "refused", p.asked[2].outcome)
	p.disconnect()
	p.connect()
	p.rest()
	p.add(0, 3_000_000)
	p.rest()
	require.Equal(t, "refused", p.asked[3].outcome)
	info := described(t, h)
	require.False(t, info.Active)
	require.Equal(t, chainhash.Hash(txid), info.ClosedBy)

	h.tell(FundingSpend{})
	for h.step() {
	}
	require.True(t, described(t, h).Active)
	p.add(0, 4_000_000)
	p.rest()
	p.finish()
	require.Equal(t, "settled", p.asked[4].outcome)
}
