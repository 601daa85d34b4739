package rpc

import (
	"context"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/actors/channel"
	"stormcell/actors/peerbook"
	"stormcell/chain/backend"
	"stormcell/chain/wallet"
	pb "stormcell/messages/channel"
	"stormcell/messages/lnrpc"
	"stormcell/peer/conn"
)

// steps gives a fake's next: each step is taken once.
func steps(all ...func()) func() bool {
	return func() bool {
		if len(all) == 0 {
			return false
		}
		all[0]()
		all = all[1:]
		return true
	}
}

func TestSubscribeChannelEvents(t *testing.T) {
	t.Parallel()
	opened := aChannel()
	lost := aChannel()
	lost.Outpoint, lost.Active = wire.OutPoint{Hash: chainhash.Hash{8}}, false
	node := &fakeChannels{}
	is := func(phase pb.Phase, active bool) func() {
		return func() {
			opened.Phase, opened.Active = phase, active
			node.all = []channel.Info{opened}
		}
	}
	node.next = steps(
		is(pb.Phase_WAIT_FUNDING_SIGNED, false), is(pb.Phase_WAIT_CONFIRMED, false), is(pb.Phase_WAIT_READY, false),
		is(pb.Phase_NORMAL, true), is(pb.Phase_NORMAL, true), is(pb.Phase_NORMAL, false), is(pb.Phase_NORMAL, true),
		is(pb.Phase_AGREED, false), func() { node.all = nil }, func() {
			lost.Phase = pb.Phase_WAIT_CONFIRMED
			node.all = []channel.Info{lost}
			node.closed = []channel.ClosedInfo{{Outpoint: opened.Outpoint, Kind: channel.ClosedTogether}}
		}, func() {
			node.all = nil
			node.closed = append(node.closed, channel.ClosedInfo{Outpoint: lost.Outpoint, Kind: channel.NeverFunded})
		},
	)
	out := &sink[lnrpc.ChannelEventUpdate]{ctx: t.Context()}
	err := newLightning(t, Node{Channels: node}).SubscribeChannelEvents(&lnrpc.ChannelEventSubscription{}, out)
	require.Equal(t, codes.Canceled, status.Code(err))
	var got []string
	for _, update := range out.sent {
		got = append(got, update.Type.String())
	}
	require.Equal(t, []string{
		"PENDING_OPEN_CHANNEL", "OPEN_CHANNEL", "ACTIVE_CHANNEL", "INACTIVE_CHANNEL", "ACTIVE_CHANNEL", "INACTIVE_CHANNEL",
		"CLOSED_CHANNEL", "FULLY_RESOLVED_CHANNEL", "PENDING_OPEN_CHANNEL", "CHANNEL_FUNDING_TIMEOUT",
	}, got)
	require.Equal(t, opened.Outpoint.Hash[:], out.sent[0].GetPendingOpenChannel().Txid)
	require.Equal(t, opened.Outpoint.String(), out.sent[1].GetOpenChannel().ChannelPoint)
	require.Equal(t, opened.Outpoint.String(), out.sent[6].GetClosedChannel().ChannelPoint)
}

// comingAndGoing are peers that change.
type comingAndGoing struct {
	fakePeers
	connected []peerbook.Peer
	next      func() bool
}

func (f *comingAndGoing) List(context.Context) ([]peerbook.Peer, error) { return f.connected, nil }

func (f *comingAndGoing) Watch(_ context.Context, look func() error) error {
	for {
		if err := look(); err != nil {
			return err
		}
		if !f.next() {
			return context.Canceled
		}
	}
}

func TestSubscribePeerEvents(t *testing.T) {
	t.Parallel()
	up := func(n byte, number conn.Session) peerbook.Peer {
		return peerbook.Peer{Key: nodeOf(n), Connection: &peerbook.Connection{Number: number}}
	}
	peers := &comingAndGoing{connected: []peerbook.Peer{up(2, 1)}}
	are := func(now ...peerbook.Peer) func() { return func() { peers.connected = now } }
	peers.next = steps(are(up(2, 1), up(3, 2)), are(up(2, 3), up(3, 2)), are(peerbook.Peer{Key: nodeOf(2)}, up(3, 2)), are())
	out := &sink[lnrpc.PeerEvent]{ctx: t.Context()}
	err := newLightning(t, Node{Peers: peers}).SubscribePeerEvents(&lnrpc.PeerEventSubscription{}, out)
	require.Equal(t, codes.Canceled, status.Code(err))
	var got []string
	names := map[string]string{peerbook.NodeKey(nodeOf(2)).String(): "two ", peerbook.NodeKey(nodeOf(3)).String(): "three "}
	for _, event := range out.sent {
		got = append(got, names[event.PubKey]+event.Type.String())
	}
	require.Equal(t, []string{
		"three PEER_ONLINE", "two PEER_OFFLINE", "two PEER_ONLINE", "two PEER_OFFLINE", "three PEER_OFFLINE",
	}, got)
}

func TestSubscribeTransactions(t *testing.T) {
	t.Parallel()
	old := wallet.Transaction{TxID: chainhash.Hash{1}, Tx: wire.NewMsgTx(2), Block: backend.BlockRef{Height: 90}}
	fresh := wallet.Transaction{TxID: chainhash.Hash{2}, Tx: wire.NewMsgTx(2)}
	mined := fresh
	mined.Block = backend.BlockRef{Height: 100, Hash: chainhash.Hash{9}}
	node := &fakeWallet{transactions: []wallet.Transaction{old}}
	are := func(now ...wallet.Transaction) func() { return func() { node.transactions = now } }
	node.next = steps(are(old), are(old, fresh), are(old, fresh), are(old, mined), are(old, fresh))
	out := &sink[lnrpc.Transaction]{ctx: t.Context()}
	l := newLightning(t, Node{Wallet: node, Chain: fakeChain(100)})
	err := l.SubscribeTransactions(&lnrpc.GetTransactionsRequest{}, out)
	require.Equal(t, codes.Canceled, status.Code(err))
	var got []int32
	for _, tx := range out.sent {
		require.Equal(t, fresh.TxID.String(), tx.TxHash)
		got = append(got, tx.NumConfirmations)
	}
	require.Equal(t, []int32{0, 1, 0}, got, "new, in a block, and out of it")
}
