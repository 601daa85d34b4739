package channel_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/actors/channel"
	"stormcell/actors/peerbook"
	"stormcell/actors/registry"
	"stormcell/chain/fees"
	pb "stormcell/messages/channel"
	"stormcell/peer/address"
	"stormcell/peer/wire"
)

// onBoth runs a test on nodes whose journals are in memory, and on Badger.
func onBoth(t *testing.T, test func(t *testing.T, w *town, a, b *place)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		w := newTown(t)
		test(t, w, w.newPlace(1), w.newPlace(2))
	})
	t.Run("badger", func(t *testing.T) {
		t.Parallel()
		w := newTown(t)
		test(t, w, w.newPlace(1).onDisk(), w.newPlace(2).onDisk())
	})
}

func TestLiveChannel(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *town, here, there *place) {
		a, b := here.start(), there.start()
		a.keep(b)
		info := w.open(a, b, channel.OpenRequest{Capacity: 1_000_000, Push: 400_000_000})
		require.Equal(t, wire.MilliSatoshi(600_000_000), info.Local)
		require.NotZero(t, info.Scid)
		require.NotZero(t, info.Alias)
		require.NotZero(t, info.PeerAlias)
		require.EqualValues(t, 6, info.Confirmations)

		out := load{name: "out", channel: a.only().Address, amount: 1_000_000, number: 40}
		back := load{name: "back", channel: b.only().Address, amount: 700_000, number: 40}
		out.launch(a, 0, 40)
		back.launch(b, 0, 40)
		count := out.answered(a)
		require.Equal(t, 40, count["settled"]+count["failed"])
		require.NotZero(t, count["settled"])
		require.NotZero(t, count["failed"])
		count = back.answered(b)
		require.Equal(t, 40, count["settled"]+count["failed"])
		w.agree(a, b)
		settled := a.only()
		require.Positive(t, settled.Sent)
		require.Positive(t, settled.Received)

		a.stop()
		a = here.start()
		w.agree(a, b)
		b.stop()
		b = there.start()
		w.agree(a, b)
		require.Equal(t, settled.Local, a.only().Local)
		require.Equal(t, settled.Sent, a.only().Sent)
		a.stop()
		b.stop()
	})
}

// opened is two nodes with a channel that the first has opened.
func opened(t *testing.T) (w *town, a, b *node) {
	w = newTown(t)
	a, b = w.newPlace(1).start(), w.newPlace(2).start()
	a.keep(b)
	w.open(a, b, channel.OpenRequest{Capacity: 1_000_000, Push: 400_000_000})
	return w, a, b
}

func TestLiveBothWaysAtOnce(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.newPlace(1).start(), w.newPlace(2).start()
	defer a.stop()
	defer b.stop()
	a.keep(b)
	open := func(from, to *node, capacity btcutil.Amount) {
		w.until("the channel is opened", func() bool {
			_, err := from.channels.Open(t.Context(), channel.OpenRequest{Peer: to.key(), Capacity: capacity, Private: true})
			return err == nil
		})
	}
	open(a, b, 500_000)
	open(b, a, 700_000)
	open(a, b, 17_000_000)
	w.until("the fundings are published", func() bool { return len(w.waiting()) == 3 })
	w.mine(6)
	active := func(n *node) bool {
		infos, err := n.channels.List(t.Context())
		require.NoError(t, err)
		return len(infos) == 3 && !slices.ContainsFunc(infos, func(i channel.Info) bool { return !i.Active })
	}
	w.until("all channels are active", func() bool { return active(a) && active(b) })
}

func TestLivePeersOfChannelsComeBack(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	here, there := w.newPlace(1), w.newPlace(2)
	a, b := here.start(), there.start()
	at, err := address.Parse(b.listen, 0)
	require.NoError(t, err)
	require.NoError(t, a.peers.Connect(t.Context(), peerbook.Connect{Key: b.key(), Address: at})) // once
	w.open(a, b, channel.OpenRequest{Capacity: 500_000})
	a.stop()
	a = here.start()
	w.active(a, b)
	b.stop()
	b = there.start()
	w.active(a, b)
	a.stop()
	b.stop()
}

// TestLiveChannelWithNothingOfOurs: who wants to pay through it is told that nothing is in it, and not that there is none.
func TestLiveChannelWithNothingOfOurs(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.newPlace(1).start(), w.newPlace(2).start()
	a.keep(b)
	w.open(a, b, channel.OpenRequest{Capacity: 500_000})
	for n, carries := range map[*node]bool{a: true, b: false} {
		other := map[*node]*node{a: b, b: a}[n]
		with, err := n.channels.With(t.Context(), other.key())
		require.NoError(t, err)
		require.Len(t, with, 1)
		require.Equal(t, carries, with[0].Room.Sendable > 0)
	}
	a.stop()
	b.stop()
}

func TestLiveOpeningIsRefused(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.newPlace(1).start(), w.newPlace(2).start()
	defer a.stop()
	defer b.stop()
	_, err := a.channels.Open(t.Context(), channel.OpenRequest{Peer: b.key(), Capacity: 500_000})
	require.ErrorIs(t, err, channel.ErrPeerNotConnected)
	a.keep(b)
	var failed *channel.OpenError
	for i := range b.limits.PerPeer {
		w.until("the channel is opened", func() bool {
			_, err := a.channels.Open(t.Context(), channel.OpenRequest{Peer: b.key(), Capacity: 500_000 + btcutil.Amount(i)})
			return err == nil
		})
	}
	_, err = a.channels.Open(t.Context(), channel.OpenRequest{Peer: b.key(), Capacity: 500_000})
	require.ErrorAs(t, err, &failed)
	require.ErrorContains(t, err, registry.ErrTooMany.Error())
	var refused *channel.Refusal
	_, err = a.channels.Open(t.Context(), channel.OpenRequest{Peer: b.key(), Capacity: 5})
	require.ErrorAs(t, err, &refused)
	w.until("nothing is left of it", func() bool {
		infos, err := a.channels.List(t.Context())
		require.NoError(t, err)
		return len(infos) == b.limits.PerPeer
	})
}

// TestLiveOpeningGoesOnOverTheConnectionThatStays: when both sides dial at once, one of two connections ends, perhaps with an
// opening that has begun over it.
func TestLiveOpeningGoesOnOverTheConnectionThatStays(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	n := w.newPlace(1).start()
	defer n.stop()
	key := newKey(t)
	peer := [33]byte(key.PubKey().SerializeCompressed())
	first := n.strangerAs(key)
	result := make(chan error, 1)
	go func() {
		for {
			_, err := n.channels.Open(t.Context(), channel.OpenRequest{Peer: peer, Capacity: 500_000})
			if !errors.Is(err, channel.ErrPeerNotConnected) {
				result <- err
				return
			}
		}
	}()
	w.until("open_channel comes", func() bool { return first.other.Load() == 1 })
	second := n.strangerAs(key)
	w.until("open_channel comes again", func() bool { return second.other.Load() == 1 })
	require.NoError(t, second.Send(&wire.Error{Data: []byte("no more of this")}))
	err := <-result
	var failed *channel.OpenError
	require.ErrorAs(t, err, &failed)
	require.ErrorContains(t, err, "no more of this")
}

func TestLiveCloseTogether(t *testing.T) {
	t.Parallel()
	for name, simple := range map[string]bool{"legacy": false, "simple": true} {
		for i, who := range []string{"opener", "other"} {
			t.Run(name+" by the "+who, func(t *testing.T) {
				t.Parallel()
				w := newTown(t)
				places := []*place{w.newPlace(1), w.newPlace(2)}
				if !simple {
					places[0].features = wire.Features{}.With(wire.StaticRemoteKey, wire.ChannelTypes, wire.Anchors)
				}
				nodes := []*node{places[0].start(), places[1].start()}
				nodes[0].keep(nodes[1])
				info := w.open(nodes[0], nodes[1], channel.OpenRequest{Capacity: 1_000_000, Push: 400_000_000})
				scid, err := nodes[0].channels.Scid(t.Context(), info.Address)
				require.NoError(t, err)
				require.Equal(t, info.Scid, scid)
				require.NoError(t, nodes[i].channels.Close(t.Context(), info.Outpoint, channel.CloseRequest{FeeRate: 500}))
				txid, err := nodes[i].channels.AwaitClosing(t.Context(), info.Outpoint)
				require.NoError(t, err)
				w.published(txid)
				w.mine(1)
				spent, err := nodes[1-i].channels.AwaitSpent(t.Context(), info.Outpoint)
				require.NoError(t, err)
				w.mine(5)
				var settled wire.MilliSatoshi
				for _, n := range nodes {
					w.until("the channel is gone", func() bool {
						infos, err := n.channels.List(t.Context())
						require.NoError(t, err)
						return len(infos) == 0
					})
					closed, err := n.channels.Closed(t.Context())
					require.NoError(t, err)
					require.Len(t, closed, 1)
					require.Equal(t, channel.ClosedTogether, closed[0].Kind)
					require.Equal(t, spent, closed[0].ClosingTx)
					require.Equal(t, info.Scid, closed[0].Scid)
					require.Equal(t, info.Outpoint, closed[0].Outpoint)
					settled += closed[0].Settled
					require.ErrorIs(t, n.channels.Close(t.Context(), info.Outpoint, channel.CloseRequest{}), channel.ErrNoChannel)
					_, err = n.channels.Scid(t.Context(), closed[0].Address)
					require.ErrorIs(t, err, channel.ErrNoChannel)
					n.stop()
				}
				require.Less(t, settled, wire.MilliSatoshi(1_000_000_000), "somebody pays the fee")
				require.Greater(t, settled, wire.MilliSatoshi(999_000_000))
			})
		}
	}
}

// TestLiveReorganisationWhileTheNodeIsDown: a channel whose funding was confirmed when its node stopped, and is not when it comes
// back, waits again.
func TestLiveReorganisationWhileTheNodeIsDown(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	here, there := w.newPlace(1), w.newPlace(2)
	a, b := here.start(), there.start()
	a.keep(b)
	w.until("a channel is opened", func() bool {
		_, err := a.channels.Open(t.Context(), channel.OpenRequest{Peer: b.key(), Capacity: 500_000})
		return err == nil
	})
	b.stop() // so that channel_ready does not come: the channel is not in use
	w.until("the funding is published", func() bool { return len(w.waiting()) > 0 })
	txs := w.waiting()
	w.mine(6)
	w.until("the funding is confirmed", func() bool { return a.only().Phase == pb.Phase_WAIT_READY })
	a.stop()
	w.chain.Reorganise(6, make([][]*btcwire.MsgTx, 7)...)
	a = here.start()
	w.until("the funding is not confirmed any more", func() bool { return a.only().Phase == pb.Phase_WAIT_CONFIRMED })
	w.chain.Mine(txs...)
	b = there.start()
	for range 5 {
		w.chain.Mine()
	}
	w.active(a, b)
	require.Equal(t, a.only().Scid, b.only().Scid)
	a.stop()
	b.stop()
}

// TestLiveCloseWhileThePeerIsAway: the wish is stored at once, and carried out when the peer is back.
func TestLiveCloseWhileThePeerIsAway(t *testing.T) {
	t.Parallel()
	w, a, b := opened(t)
	info := a.only()
	require.True(t, info.Connected)
	b.stop()
	w.until("the peer is away", func() bool { return !a.only().Connected })
	require.NoError(t, a.channels.Close(t.Context(), info.Outpoint, channel.CloseRequest{FeeRate: 500}))
	require.True(t, a.only().ClosesByUs)
	require.NoError(t, a.channels.Close(t.Context(), info.Outpoint, channel.CloseRequest{FeeRate: 500}), "once more")
	soon, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.channels.AwaitClosing(soon, info.Outpoint)
	require.ErrorIs(t, err, context.Canceled)
	a.stop()
	a = a.place.start()
	require.True(t, a.only().ClosesByUs, "and not forgotten")
	b = b.place.start()
	txid, err := a.channels.AwaitClosing(t.Context(), info.Outpoint)
	require.NoError(t, err)
	w.published(txid)
	a.stop()
	b.stop()
}

func TestLiveForceClose(t *testing.T) {
	t.Parallel()
	w, a, b := opened(t)
	info := a.only()
	require.NoError(t, a.channels.Close(t.Context(), info.Outpoint, channel.CloseRequest{Force: true}))
	txid, err := a.channels.AwaitClosing(t.Context(), info.Outpoint)
	require.NoError(t, err)
	require.Equal(t, info.Outpoint, w.published(txid).TxIn[0].PreviousOutPoint)
	require.Contains(t, a.only().ClosingTxs, txid)
	first := w.waiting()[0].TxHash() // the other side publishes its own, which is too late or not
	w.mine(6)
	for _, n := range []*node{a, b} {
		spent, err := n.channels.AwaitSpent(t.Context(), info.Outpoint)
		require.NoError(t, err)
		require.Equal(t, first, spent)
	}
	w.until("both know that it closes", func() bool {
		return a.only().Phase == pb.Phase_CLOSING && b.only().Phase == pb.Phase_CLOSING
	})
	a.stop()
	b.stop()
}

func TestLiveFeeRateFollowsTheEstimate(t *testing.T) {
	t.Parallel()
	w, a, b := opened(t)
	defer a.stop()
	defer b.stop()
	info := a.only()
	require.EqualValues(t, 1_000, info.FeeRate)
	require.NoError(t, a.channels.SetFeeRate(t.Context(), info.Outpoint, 2_000))
	rate := func(want fees.SatPerKW) func() bool {
		return func() bool { return a.only().FeeRate == want && b.only().FeeRate == want }
	}
	w.until("the peer follows", rate(2_000))
	w.mine(1)
	w.until("the node has gone back to what the estimate says", rate(1_000))
	var refused *channel.Refusal
	require.ErrorAs(t, b.channels.SetFeeRate(t.Context(), info.Outpoint, 2_000), &refused)
}
