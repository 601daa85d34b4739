package interop_test

import (
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

// pair is a Stormcell and another node, on one chain and connected, with money on the chain.
type pair struct {
	t           *testing.T
	chain       *node.Server
	ours, other *node.Lightning
}

// newPair starts an lnd with additional flags, and a Stormcell.
func newPair(t *testing.T, lndFlags ...string) *pair {
	t.Helper()
	chain := node.StartBtcd(t)
	p := &pair{t, chain, node.StartStormcell(t, chain), node.StartLnd(t, chain, lndFlags...)}
	p.fund()
	return p
}

func (p *pair) fund() {
	p.t.Helper()
	p.ours.Fund(p.chain, btcutil.SatoshiPerBitcoin)
	p.other.Fund(p.chain, btcutil.SatoshiPerBitcoin)
	p.connect()
}

// connect brings both together, however often that is tried.
func (p *pair) connect() {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		if p.ours.IsConnected(p.other) && p.other.IsConnected(p.ours) {
			return true
		}
		_ = p.ours.TryConnect(p.other) // tried again
		return false
	}, patience, 200*time.Millisecond, "%s and %s do not connect", p.ours, p.other)
}

// byEither runs a test twice: with what we do first, and with what the other node does first.
func byEither(t *testing.T, does string, f func(t *testing.T, first func(*pair) (*node.Lightning, *node.Lightning))) {
	t.Run(does+" by us", func(t *testing.T) {
		t.Parallel()
		f(t, func(p *pair) (*node.Lightning, *node.Lightning) { return p.ours, p.other })
	})
	t.Run(does+" by lnd", func(t *testing.T) {
		t.Parallel()
		f(t, func(p *pair) (*node.Lightning, *node.Lightning) { return p.other, p.ours })
	})
}

const (
	capacity btcutil.Amount = 10_000_000
	pushed   btcutil.Amount = 4_000_000
)

// open opens a channel, confirms it, and waits until both nodes use it.
func (p *pair) open(from, to *node.Lightning) wire.OutPoint {
	p.t.Helper()
	at := from.OpenTo(to, capacity, pushed)
	p.mine(at)
	p.awaitActive(at)
	return at
}

// mine puts a transaction into a block, and some on top of it.
func (p *pair) mine(at wire.OutPoint) {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return p.chain.InMempool(at.Hash) }, patience, 20*time.Millisecond)
	p.chain.Mine(6)
}

func (p *pair) awaitActive(at wire.OutPoint) {
	p.t.Helper()
	for _, n := range []*node.Lightning{p.ours, p.other} {
		require.Eventually(p.t, func() bool {
			c := n.Channel(at)
			return c != nil && c.Active
		}, patience, 50*time.Millisecond, "the channel does not become active at %s", n)
	}
	if !p.other.IsLnd() {
		return
	}
	// lnd uses the channel before it has it in its graph, and then has trouble with paying and closing.
	require.Eventually(p.t, func() bool {
		edge, err := p.other.GetChanInfo(p.other.Context(), &lnrpc.ChanInfoRequest{ChanId: p.other.Channel(at).GetChanId()})
		return err == nil && (edge.Node1Pub == p.other.Key && edge.Node1Policy != nil ||
			edge.Node2Pub == p.other.Key && edge.Node2Policy != nil)
	}, patience, 50*time.Millisecond, "lnd does not find its channel")
}

// awaitQuiet waits until there is no HTLC in the channel.
func (p *pair) awaitQuiet(at wire.OutPoint) {
	p.t.Helper()
	for _, n := range []*node.Lightning{p.ours, p.other} {
		quiet := func() bool {
			c := n.Channel(at)
			return c != nil && c.Active && len(c.PendingHtlcs) == 0
		}
		require.Eventually(p.t, quiet, patience, 50*time.Millisecond, "something is stuck in the channel at %s", n)
	}
}

// settle waits until there is no HTLC in the channel, and holds both sides' balances against each other.
func (p *pair) settle(at wire.OutPoint) (ours, others lnwire.MilliSatoshi) {
	p.t.Helper()
	p.awaitQuiet(at)
	type balances struct{ ours, others lnwire.MilliSatoshi }
	var we, they balances
	agree := func() bool { // the last signatures may still be on their way
		we.ours, we.others = p.ours.Balances(at)
		they.others, they.ours = p.other.Balances(at)
		return we == they
	}
	require.Eventually(p.t, agree, patience, 50*time.Millisecond, "balances: %v and %v", we, they)
	require.Equal(p.t, lnwire.NewMSatFromSatoshis(capacity), we.ours+we.others)
	return we.ours, we.others
}

// TestOpen: either side opens, and both see the same.
func TestOpen(t *testing.T) {
	t.Parallel()
	byEither(t, "opened", func(t *testing.T, first func(*pair) (*node.Lightning, *node.Lightning)) {
		p := newPair(t)
		opener, accepter := first(p)
		at := p.open(opener, accepter)
		ours, others := p.settle(at)
		gift := lnwire.NewMSatFromSatoshis(pushed)
		if opener == p.ours {
			require.Equal(t, gift, others)
		} else {
			require.Equal(t, gift, ours)
		}
		for _, killed := range []*node.Lightning{p.ours, p.other} {
			killed.Crash()
			p.connect()
			p.awaitActive(at)
			p.settle(at)
		}
	})
}
