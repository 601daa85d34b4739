package interop_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

// diary is what a subscription has told, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

// write takes down all that a stream says until it ends.
func write[T any](d *diary, stream interface{ Recv() (T, error) }, line func(T) string) {
	for {
		event, err := stream.Recv()
		if err != nil {
			return // the test is over
		}
		d.mu.Lock()
		d.lines = append(d.lines, line(event))
		d.mu.Unlock()
	}
}

// tells tells whether lines were written in this order, whatever else was.
func (d *diary) tells(want ...string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, line := range d.lines {
		if len(want) > 0 && line == want[0] {
			want = want[1:]
		}
	}
	return len(want) == 0
}

// follower has a node's three diaries.
type follower struct{ peers, channels, transactions diary }

func follow(t *testing.T, n *node.Lightning) *follower {
	t.Helper()
	f := &follower{}
	peers, err := n.SubscribePeerEvents(t.Context(), &lnrpc.PeerEventSubscription{})
	require.NoError(t, err)
	channels, err := n.SubscribeChannelEvents(t.Context(), &lnrpc.ChannelEventSubscription{})
	require.NoError(t, err)
	transactions, err := n.SubscribeTransactions(t.Context(), &lnrpc.GetTransactionsRequest{})
	require.NoError(t, err)
	go write(&f.peers, peers, func(e *lnrpc.PeerEvent) string { return e.Type.String() + " " + e.PubKey })
	go write(&f.channels, channels, func(e *lnrpc.ChannelEventUpdate) string { return e.Type.String() })
	go write(&f.transactions, transactions, func(tx *lnrpc.Transaction) string {
		return fmt.Sprint(tx.TxHash, " in a block: ", tx.NumConfirmations > 0)
	})
	return f
}

// TestSubscriptions: who follows our node hears what they hear who follow lnd.
func TestSubscriptions(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	nodes := []*node.Lightning{p.ours, p.other}
	var followers []*follower
	for _, n := range nodes {
		followers = append(followers, follow(t, n))
	}
	at := p.ours.OpenTo(p.other, capacity, pushed)
	funding := at.Hash.String()
	within(t, "the wallet tells of the funding before a block has it", func() bool {
		return followers[0].transactions.tells(funding + " in a block: false")
	})
	p.mine(at)
	p.awaitActive(at)
	p.disconnect()
	within(t, "the nodes part", func() bool { return !p.ours.IsConnected(p.other) && !p.other.IsConnected(p.ours) })
	p.connect()
	p.awaitActive(at)
	closing := p.ours.Close(at, 3, false)
	p.awaitClosed(at)
	for i, f := range followers {
		peer := nodes[1-i].Key
		for _, c := range []struct {
			diary *diary
			want  []string
		}{
			{&f.peers, []string{"PEER_OFFLINE " + peer, "PEER_ONLINE " + peer}},
			{&f.channels, []string{
				"PENDING_OPEN_CHANNEL", "OPEN_CHANNEL", "ACTIVE_CHANNEL", "INACTIVE_CHANNEL", "ACTIVE_CHANNEL", "INACTIVE_CHANNEL",
				"CLOSED_CHANNEL", "FULLY_RESOLVED_CHANNEL",
			}},
			{&f.transactions, []string{closing.String() + " in a block: true"}},
		} {
			if !assert.Eventually(t, func() bool { return c.diary.tells(c.want...) }, patience, 50*time.Millisecond) {
				c.diary.mu.Lock()
				t.Errorf("%s tells %v, not %v", nodes[i], slices.Clone(c.diary.lines), c.want)
				c.diary.mu.Unlock()
			}
		}
	}
	require.True(t, followers[0].transactions.tells(funding+" in a block: false", funding+" in a block: true"))
}
