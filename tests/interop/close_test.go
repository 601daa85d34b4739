package interop_test

import (
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

// TestClose: either side closes what either side opened, in the old way and by option_simple_close.
func TestClose(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{"legacy": nil, "simple": {"--protocol.rbf-coop-close"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, flags...)
			for _, c := range []struct {
				name           string
				opener, closer *node.Lightning
			}{
				{"ours by us", p.ours, p.ours}, {"ours by lnd", p.ours, p.other},
				{"lnd's by us", p.other, p.ours}, {"lnd's by lnd", p.other, p.other},
			} {
				t.Log(c.name)
				at := p.open(c.opener, p.peerOf(c.opener))
				c.closer.Close(at, 3, false)
				p.awaitClosed(at)
			}
		})
	}
}

// TestForceClose: our commitment is valid on the chain, and lnd knows it for what it is.
func TestForceClose(t *testing.T) {
	t.Parallel()
	byEither(t, "opened", func(t *testing.T, first func(*pair) (*node.Lightning, *node.Lightning)) {
		p := newPair(t)
		at := p.open(first(p))
		txid := p.ours.Close(at, 0, true)
		spender := p.awaitSpent(at)
		require.Equal(t, txid, spender.TxHash())
		p.chain.Mine(6) // lnd waits for three
		require.Eventually(t, func() bool {
			pending, err := p.other.PendingChannels(p.other.Context(), &lnrpc.PendingChannelsRequest{})
			if err != nil {
				return false
			}
			closing := pending.PendingForceClosingChannels
			return len(closing) == 1 && closing[0].ClosingTxid == txid.String()
		}, patience, 100*time.Millisecond, "lnd does not see our commitment")
		require.Nil(t, p.ours.Channel(at))
	})
}

func (p *pair) peerOf(n *node.Lightning) *node.Lightning {
	if n == p.ours {
		return p.other
	}
	return p.ours
}

// awaitSpent waits for a transaction that closes a channel.
func (p *pair) awaitSpent(at wire.OutPoint) *wire.MsgTx {
	p.t.Helper()
	var spender *wire.MsgTx
	require.Eventually(p.t, func() bool {
		spender = p.chain.SpenderOf(at)
		return spender != nil
	}, patience, 50*time.Millisecond, "no transaction closes the channel")
	return spender
}

// awaitClosing waits until lnd counts the confirmations of so many closing transactions. A transaction that got them all
// before lnd began to count is one that lnd waits for until it is started again.
func awaitClosing(t *testing.T, n *node.Lightning, channels int) {
	t.Helper()
	if !n.IsLnd() {
		return
	}
	require.Eventually(t, func() bool {
		pending, err := n.PendingChannels(n.Context(), &lnrpc.PendingChannelsRequest{})
		counted := 0
		for _, c := range pending.GetWaitingCloseChannels() {
			if c.CloseHeight != 0 {
				counted++
			}
		}
		return err == nil && counted == channels
	}, patience, 50*time.Millisecond, "lnd does not see the closing transactions")
}

// awaitClosed waits until both nodes say that a channel was closed together, and by what.
func (p *pair) awaitClosed(at wire.OutPoint) {
	p.t.Helper()
	var paid btcutil.Amount
	for _, out := range p.awaitSpent(at).TxOut {
		paid += btcutil.Amount(out.Value)
	}
	const mostFee = 20_000
	require.InDelta(p.t, float64(capacity), float64(paid), mostFee)
	p.chain.Mine(1)
	awaitClosing(p.t, p.other, 1)
	p.chain.Mine(6)
	closed := func(n *node.Lightning) (by string) {
		require.Eventually(p.t, func() bool {
			all, err := n.ClosedChannels(n.Context(), &lnrpc.ClosedChannelsRequest{Cooperative: true})
			for _, c := range all.GetChannels() {
				if c.ChannelPoint == at.String() {
					by = c.ClosingTxHash
				}
			}
			return err == nil && by != ""
		}, patience, 100*time.Millisecond, "%s does not see the channel closed", n)
		return by
	}
	require.Equal(p.t, closed(p.ours), closed(p.other))
}
