package channel_test

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"stormcell/actors/channel"
	"stormcell/actors/registry"
	registrypb "stormcell/messages/registry"
	"stormcell/peer/conn"
	"stormcell/peer/transport"
	"stormcell/peer/wire"
)

// stranger is a peer that keeps to no rules but those of the transport.
type stranger struct {
	*conn.Conn
	up    chan struct{}
	ended chan struct{}

	refusals, accepted, other atomic.Int64
}

func (s *stranger) Up(context.Context, *conn.Conn, conn.Peer) error {
	close(s.up)
	return nil
}

func (s *stranger) Message(_ context.Context, _ conn.Session, m wire.Message) error {
	switch m.(type) {
	case *wire.Error:
		s.refusals.Add(1)
	case *wire.AcceptChannel:
		s.accepted.Add(1)
	default:
		s.other.Add(1)
	}
	return nil
}

// dial makes a connection to a node that nobody knows.
func (n *node) dial() *transport.Conn { return n.dialAs(newKey(n.t)) }

func newKey(t *testing.T) *btcec.PrivateKey {
	key, err := btcec.NewPrivateKey()
	require.NoError(t, err)
	return key
}

func (n *node) dialAs(key *btcec.PrivateKey) *transport.Conn {
	n.t.Helper()
	dialer := transport.Dialer{Key: &keychain.PrivKeyECDH{PrivKey: key}}
	link, err := dialer.Dial(n.t.Context(), n.signer.NodeKey(), n.listen)
	require.NoError(n.t, err)
	return link
}

// stranger connects to a node.
func (n *node) stranger() *stranger { return n.strangerAs(newKey(n.t)) }

func (n *node) strangerAs(key *btcec.PrivateKey) *stranger {
	t := n.t
	t.Helper()
	s := &stranger{up: make(chan struct{}), ended: make(chan struct{})}
	s.Conn = conn.New(n.dialAs(key), s, conn.Config{
		Features: offered(), Chain: *network.GenesisHash, Limits: conn.Limits{QueueBytes: 64 << 20},
	})
	go func() {
		defer close(s.ended)
		_ = s.Run(context.Background())
	}()
	t.Cleanup(func() {
		s.Close(context.Canceled)
		<-s.ended
	})
	<-s.up
	return s
}

// pays checks that a node's one channel works.
func (n *node) pays(name string) {
	n.t.Helper()
	before := n.only().Updates
	l := load{name: name, channel: n.only().Address, amount: 1_000_000, number: 5}
	l.launch(n, 0, l.number)
	l.answered(n)
	require.Greater(n.t, n.only().Updates, before)
}

// undisturbed checks that the one channel between two nodes is as it was and works.
func (w *town) undisturbed(a, b *node) {
	w.t.Helper()
	a.pays("after")
	w.agree(a, b)
}

// openMessage is an `open_channel` that is in order.
func openMessage(t *testing.T) *wire.OpenChannel {
	point := func() *btcec.PublicKey {
		key, err := btcec.NewPrivateKey()
		require.NoError(t, err)
		return key.PubKey()
	}
	kind := lnwire.ChannelType(*lnwire.NewRawFeatureVector(lnwire.StaticRemoteKeyRequired, lnwire.AnchorsZeroFeeHtlcTxRequired))
	m := &wire.OpenChannel{
		ChainHash: *network.GenesisHash, FundingAmount: 1_000_000, DustLimit: 354, MaxValueInFlight: 1_000_000_000,
		ChannelReserve: 10_000, HtlcMinimum: 1, FeePerKiloWeight: 1_000, CsvDelay: 144, MaxAcceptedHTLCs: 483,
		FundingKey: point(), RevocationPoint: point(), PaymentPoint: point(), DelayedPaymentPoint: point(), HtlcPoint: point(),
		FirstCommitmentPoint: point(), ChannelType: &kind,
	}
	_, err := rand.Read(m.PendingChannelID[:])
	require.NoError(t, err)
	return m
}

// It runs alone, because it looks at memory.
func TestLiveHostileOpenings(t *testing.T) {
	w, a, b := opened(t)
	defer a.stop()
	defer b.stop()
	known := b.shell.Size()
	heap := heapInUse()

	const many = 10_000
	s := b.stranger()
	m := openMessage(t)
	for i := range many {
		m.PendingChannelID[0], m.PendingChannelID[1], m.PendingChannelID[2] = byte(i), byte(i>>8), 7
		require.NoError(t, s.Send(m))
		if i%1000 == 0 { // and some that make no sense
			require.NoError(t, s.Send(&wire.FundingCreated{PendingChannelID: m.PendingChannelID,
				FundingPoint: btcwire.OutPoint{Index: uint32(i)}}))
		}
	}
	w.until("every opening is answered", func() bool { return s.refusals.Load()+s.accepted.Load() >= many })
	require.LessOrEqual(t, s.accepted.Load(), int64(b.limits.PerPeer+many/1000))
	require.LessOrEqual(t, b.shell.Size(), known+2*b.limits.PerPeer)
	require.Less(t, heapInUse(), heap+32<<20)
	a.pays("during")

	s.Close(context.Canceled)
	w.until("nothing is left of it", func() bool {
		roster, err := registry.Client{Kernel: b.kernel}.Roster(t.Context())
		require.NoError(t, err)
		return len(roster) == 1 && roster[0].GetStanding() == registrypb.Standing_OPEN && b.shell.Size() == known
	})
	w.undisturbed(a, b)
}

// TestLiveHangingUpWhileAChannelIsPrepared: who leaves at the worst moment takes no place with it.
func TestLiveHangingUpWhileAChannelIsPrepared(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	place := w.newPlace(1).onDisk()
	place.limits.PerPeer = 1
	n := place.start()
	defer n.stop()
	w.until("the chain is known", func() bool {
		s := n.stranger()
		require.NoError(t, s.Send(openMessage(t)))
		w.until("it is answered", func() bool { return s.accepted.Load()+s.refusals.Load() > 0 })
		s.Close(context.Canceled)
		return s.accepted.Load() == 1
	})
	key := newKey(t)
	hello, err := wire.Encode(&wire.Init{Features: offered()})
	require.NoError(t, err)
	for range 60 {
		link := n.dialAs(key)
		open, err := wire.Encode(openMessage(t))
		require.NoError(t, err)
		for _, m := range [][]byte{hello, open} {
			require.NoError(t, link.WriteMessage(m))
			require.NoError(t, link.Flush())
		}
		_, err = link.ReadMessage() // the node's init: now it reads on
		require.NoError(t, err)
		require.NoError(t, link.Close())
	}
	w.until("there is room for a channel", func() bool {
		s := n.strangerAs(key)
		require.NoError(t, s.Send(openMessage(t)))
		w.until("it is answered", func() bool { return s.accepted.Load()+s.refusals.Load() > 0 })
		return s.accepted.Load() == 1
	})
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

func TestLiveHostileChannelIDs(t *testing.T) {
	t.Parallel()
	w, a, b := opened(t)
	defer a.stop()
	defer b.stop()
	known := b.shell.Size()
	s := b.stranger()
	ours := b.only()
	point := openMessage(t).FundingKey
	for i := range 500 {
		id := wire.ChannelID{byte(i), byte(i >> 8)}
		if i == 0 {
			id = ours.ChannelID // of another peer
		}
		for _, m := range []wire.Message{
			&wire.Error{ChanID: id, Data: []byte("close it")},
			&wire.Warning{ChanID: id},
			&wire.FundingCreated{PendingChannelID: id, FundingPoint: ours.Outpoint},
			&wire.FundingSigned{ChanID: id},
			&wire.ChannelReady{ChanID: id, NextPerCommitmentPoint: point},
			&wire.Shutdown{ChanID: id, Script: []byte{0, 20}},
			&wire.UpdateFee{ChanID: id, FeePerKw: 1},
			&wire.CommitSig{ChanID: id},
			&wire.RevokeAndAck{ChanID: id, NextRevocationKey: point},
			&wire.ChannelReestablish{ChanID: id, NextCommitment: 1, CurrentPoint: point},
		} {
			require.NoError(t, s.Send(m))
		}
	}
	require.NoError(t, s.Send(&wire.Error{Data: []byte("all of them")}))
	w.until("each unknown channel is called so", func() bool { return s.refusals.Load() == 500 })
	require.Zero(t, s.accepted.Load()+s.other.Load())
	require.Equal(t, known, b.shell.Size())
	w.undisturbed(a, b)
	select {
	case <-s.ended:
		require.Fail(t, "the stranger was disconnected for what is to be ignored")
	default:
	}
}

func TestLiveGarbage(t *testing.T) {
	t.Parallel()
	w, a, b := opened(t)
	defer a.stop()
	defer b.stop()
	known := b.shell.Size()
	rng := mathrand.New(mathrand.NewPCG(1, 2))
	types := []uint16{16, 17, 32, 33, 34, 35, 36, 38, 39, 40, 41, 127, 128, 130, 131, 132, 133, 134, 135, 136, 256, 259, 2, 4242}
	hello, err := wire.Encode(&wire.Init{Features: offered()})
	require.NoError(t, err)
	for i := range 40 {
		link := b.dial()
		require.NoError(t, link.WriteMessage(hello))
		for range 20 {
			garbage := make([]byte, 2+rng.IntN(1500))
			for j := range garbage {
				garbage[j] = byte(rng.Uint32())
			}
			kind := types[(i+rng.IntN(3))%len(types)]
			garbage[0], garbage[1] = byte(kind>>8), byte(kind)
			if link.WriteMessage(garbage) != nil || link.Flush() != nil {
				break // it was disconnected
			}
		}
		_ = link.Close()
	}
	w.until("nothing is left of it", func() bool { return b.shell.Size() == known })
	w.undisturbed(a, b)
}

// TestLiveStolenFunding: a peer cannot claim that the funding of another's channel is its own.
func TestLiveStolenFunding(t *testing.T) {
	t.Parallel()
	w, a, b := opened(t)
	defer a.stop()
	defer b.stop()
	known := b.shell.Size()
	s := b.stranger()
	m := openMessage(t)
	require.NoError(t, s.Send(m))
	w.until("the opening is accepted", func() bool { return s.accepted.Load() == 1 })
	require.NoError(t, s.Send(&wire.FundingCreated{PendingChannelID: m.PendingChannelID, FundingPoint: a.only().Outpoint}))
	w.until("the funding is refused", func() bool { return s.refusals.Load() == 1 })
	s.Close(context.Canceled)
	w.until("nothing is left of it", func() bool { return b.shell.Size() == known })
	err := b.channels.Close(t.Context(), a.only().Outpoint, channel.CloseRequest{})
	require.NoError(t, err)
}
