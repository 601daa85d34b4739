package channel

import (
	"bytes"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/actors/durable"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

const funder durable.Address = "funder/1"

var chain = chainhash.Hash{1}

// features are what the two sides of the tests have negotiated.
func features() wire.Features { return wire.DefaultFeatures().With(wire.LargeChannels) }

func (p *pair) incoming(m *wire.OpenChannel) Incoming {
	in := Incoming{Link: p.link, Features: features(), Chain: chain, KeyIndex: 8, Height: 100, Message: m}
	copy(in.Peer[:], p.hosts[0].core.Signer.NodeKey().SerializeCompressed())
	return in
}

// opening is a pair that has no channel yet, with a funder and a chain beside it.
type opening struct {
	*pair
	reserved  bool // the funder's coins
	used      bool
	refuse    bool
	published *btcwire.MsgTx
	watches   [2]*WatchFunding
}

func newOpening(t rapid.TB) *opening {
	o := &opening{pair: &pair{t: t, asked: map[uint64]*payment{}, met: map[[3]int]bool{}}}
	for i := range o.hosts {
		o.hosts[i] = newHost(t, "channel/new", newCore(t, byte(i+1)), nil)
	}
	o.links, o.link = 1, 1
	o.world, o.other = o.effect, o.fund
	return o
}

func (o *opening) effect(i int, e durable.Effect) bool {
	switch e := e.(type) {
	case Publish:
		require.Equal(o.t, 0, i, "only the opener has the funding transaction")
		require.True(o.t, o.used, "the funding transaction is published before its coins are spent")
		if o.published != nil {
			require.Equal(o.t, o.published.TxHash(), e.Tx.TxHash())
		}
		o.published = e.Tx
	case WatchFunding:
		o.watches[i] = &e
	default:
		return false
	}
	return true
}

// fund plays the wallet.
func (o *opening) fund(i int, e durable.Envelope) {
	require.Equal(o.t, funder, e.To)
	switch body := e.Body.(type) {
	case *pb.FundingWanted:
		if o.refuse {
			o.hosts[i].deliver(funder, &pb.FundingRefused{Reason: "no coins"})
			return
		}
		o.reserved = true
		tx := btcwire.NewMsgTx(2)
		tx.AddTxIn(&btcwire.TxIn{Witness: btcwire.TxWitness{{1}}})
		tx.AddTxOut(btcwire.NewTxOut(5, nil))
		tx.AddTxOut(btcwire.NewTxOut(int64(body.GetAmountSat()), body.GetPkScript()))
		var raw bytes.Buffer
		require.NoError(o.t, tx.Serialize(&raw))
		o.hosts[i].deliver(funder, &pb.FundingReady{Tx: raw.Bytes(), Output: 1})
	case *pb.FundingReleased:
		require.False(o.t, o.used)
		o.reserved = false
	case *pb.FundingUsed:
		require.True(o.t, o.reserved)
		o.used = true
	}
}

func (o *opening) open(change func(*Open)) {
	body := Open{
		Link: o.link, Features: features(), Chain: chain, TemporaryID: [32]byte{7}, KeyIndex: 5, Funder: funder,
		Capacity: 1_000_000, Push: 100_000_000, FeeRate: 2_500, FundingFeeRate: 1_000,
	}
	copy(body.Peer[:], o.hosts[1].core.Signer.NodeKey().SerializeCompressed())
	change(&body)
	o.hosts[0].tell(body)
}

// confirm tells whoever watches that the funding is deep enough.
func (o *opening) confirm() {
	for i, w := range o.watches {
		if w != nil && o.published != nil {
			o.hosts[i].tell(FundingConfirmed{Tx: o.published, Height: 101, TxIndex: 3})
		}
	}
}

func TestOpening(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Open){
		"plain":      func(*Open) {},
		"public":     func(o *Open) { o.Announce = true },
		"with alias": func(o *Open) { o.ScidAlias = true },
		"wumbo":      func(o *Open) { o.Capacity = 1 << 25 },
		"no gift":    func(o *Open) { o.Push = 0 },
		"to a script": func(o *Open) {
			o.ShutdownScript = append([]byte{0, 20}, make([]byte, 20)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOpening(t)
			o.open(change)
			o.rest()
			require.NotNil(t, o.published)
			require.Equal(t, pb.Phase_WAIT_CONFIRMED, o.hosts[1].state.phase)
			require.Equal(t, o.hosts[1].state.setup.GetMinimumDepth(), o.watches[0].Depth)
			o.confirm()
			o.rest()
			for i, h := range o.hosts {
				require.Equal(t, pb.Phase_NORMAL, h.state.phase)
				require.Equal(t, h.state.setup.GetLocalAlias(), o.hosts[1-i].state.setup.GetRemoteAlias())
				require.NotZero(t, h.state.setup.GetLocalAlias())
			}
			o.agree()
			o.add(0, 20_000_000)
			o.finish()
		})
	}
}

// TestOpeningSurvivesAnything breaks the connection or restarts a host at any moment: either both sides come to have the
// channel, or the opener has its coins back.
func TestOpeningSurvivesAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := newOpening(t)
		o.open(func(*Open) {})
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			i := rapid.IntRange(0, 1).Draw(t, "host")
			switch kind := rapid.IntRange(0, 20).Draw(t, "kind"); {
			case kind < 10:
				o.turn(i)
			case kind < 17:
				o.deliver(i)
			case kind == 17:
				o.confirm()
			case kind == 18:
				o.disconnect()
			case kind == 19:
				o.hosts[i].restart()
				o.disconnect()
			default:
				o.connect()
			}
		}
		o.connect()
		o.rest()
		o.confirm()
		o.rest()
		if o.published == nil {
			require.Contains(t, []pb.Phase{pb.Phase_NOWHERE, pb.Phase_ABANDONED}, o.hosts[0].state.phase)
			require.False(t, o.reserved, "the coins stay reserved")
			return
		}
		for _, h := range o.hosts {
			require.Equal(t, pb.Phase_NORMAL, h.state.phase)
		}
		o.add(0, 20_000_000)
		o.finish()
	})
}

func TestFundingRefused(t *testing.T) {
	t.Parallel()
	o := newOpening(t)
	o.refuse = true
	o.open(func(*Open) {})
	for o.turn(0) || o.deliver(0) || o.turn(1) || o.deliver(1) {
		if o.hosts[0].state.phase == pb.Phase_WAIT_FUNDING {
			break
		}
	}
	o.hosts[0].step()
	effects := o.hosts[0].takeReleased()
	require.IsType(t, &wire.Error{}, effects[0].(SendWire).Message)
	require.Equal(t, pb.Phase_ABANDONED, o.hosts[0].state.phase)
	o.hosts[1].tell(Received{Link: o.link, Message: effects[0].(SendWire).Message})
	for o.hosts[1].step() {
	}
	require.Equal(t, pb.Phase_ABANDONED, o.hosts[1].state.phase)
}

func TestOpeningTerms(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*wire.OpenChannel){
		"another chain":    func(m *wire.OpenChannel) { m.ChainHash[5]++ },
		"too small":        func(m *wire.OpenChannel) { m.FundingAmount = 19_999 },
		"push more":        func(m *wire.OpenChannel) { m.PushAmount = 1_000_000_001 },
		"cannot pay fee":   func(m *wire.OpenChannel) { m.PushAmount = 999_000_000 },
		"fee too low":      func(m *wire.OpenChannel) { m.FeePerKiloWeight = 100 },
		"fee too high":     func(m *wire.OpenChannel) { m.FeePerKiloWeight = 1 << 31 },
		"dust too low":     func(m *wire.OpenChannel) { m.DustLimit = 353 },
		"dust too high":    func(m *wire.OpenChannel) { m.DustLimit = 10_001 },
		"reserve below":    func(m *wire.OpenChannel) { m.ChannelReserve = 353 },
		"reserve too high": func(m *wire.OpenChannel) { m.ChannelReserve = 200_001 },
		"delay":            func(m *wire.OpenChannel) { m.CsvDelay = 2017 },
		"too many HTLCs":   func(m *wire.OpenChannel) { m.MaxAcceptedHTLCs = 484 },
		"too few HTLCs":    func(m *wire.OpenChannel) { m.MaxAcceptedHTLCs = 1 },
		"HTLC minimum":     func(m *wire.OpenChannel) { m.HtlcMinimum = 1 << 40 },
		"in flight":        func(m *wire.OpenChannel) { m.MaxValueInFlight = 1 },
		"no type":          func(m *wire.OpenChannel) { m.ChannelType = nil },
		"zeroconf":         func(m *wire.OpenChannel) { m.ChannelType = wireType(wire.Features{}.Require(12, 22, 50).Bytes()) },
		"legacy":           func(m *wire.OpenChannel) { m.ChannelType = wireType(wire.Features{}.Require(12).Bytes()) },
		"alias and public": func(m *wire.OpenChannel) { m.ChannelType, m.ChannelFlags = wireType(channelType(true)), 1 },
		"shutdown script":  func(m *wire.OpenChannel) { m.UpfrontShutdownScript = []byte{1, 2, 3} },
		"below our reserve": func(m *wire.OpenChannel) {
			m.DustLimit, m.ChannelReserve, m.FundingAmount = 2_000, 2_000, 30_000
			m.PushAmount = 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOpening(t)
			o.open(func(*Open) {})
			o.hosts[0].step()
			m := o.hosts[0].takeReleased()[0].(SendWire).Message.(*wire.OpenChannel)
			change(m)
			o.hosts[1].tell(o.incoming(m))
			o.hosts[1].step()
			require.Len(t, o.hosts[1].refused, 1)
			require.IsType(t, &wire.Error{}, o.hosts[1].takeReleased()[0].(SendWire).Message)
			require.Equal(t, pb.Phase_NOWHERE, o.hosts[1].state.phase)
			require.Empty(t, o.hosts[1].events)
		})
	}
}

func TestTheFundeeForgetsAndTheFunderDoesNot(t *testing.T) {
	t.Parallel()
	o := newOpening(t)
	o.hosts[0].knowNoHeight()
	o.hosts[1].knowNoHeight()
	o.open(func(*Open) {})
	o.rest()
	for i, want := range []pb.Phase{pb.Phase_WAIT_CONFIRMED, pb.Phase_ABANDONED} {
		o.hosts[i].tell(Height{Height: 100 + 2015})
		o.hosts[i].step()
		require.Equal(t, pb.Phase_WAIT_CONFIRMED, o.hosts[i].state.phase)
		o.hosts[i].tell(Height{Height: 100 + 2016})
		o.hosts[i].step()
		require.Equal(t, want, o.hosts[i].state.phase)
	}
}

// TestEarlyChannelReady: after a reconnection the peer says channel_ready before channel_reestablish, as lnd does.
func TestEarlyChannelReady(t *testing.T) {
	t.Parallel()
	o := newOpening(t)
	o.open(func(*Open) {})
	o.rest()
	o.disconnect()
	o.confirm()
	for i := range o.hosts {
		for o.turn(i) {
		}
	}
	point, err := o.hosts[1].core.Signer.CommitmentPoint(o.hosts[1].state.c.KeyIndex, 1)
	require.NoError(t, err)
	o.connect()
	for o.turn(0) {
	}
	o.hosts[0].tell(Received{Link: o.link, Message: &wire.ChannelReady{
		ChanID: o.hosts[0].state.c.ChannelID, NextPerCommitmentPoint: point,
	}})
	o.rest()
	for _, h := range o.hosts {
		require.Equal(t, pb.Phase_NORMAL, h.state.phase)
	}
	o.add(0, 1_000_000)
	o.add(1, 1_000_000)
	o.rest()
	o.agree()
}

func TestReorganisedFunding(t *testing.T) {
	t.Parallel()
	o := newOpening(t)
	o.open(func(*Open) {})
	o.rest()
	o.hosts[0].tell(FundingConfirmed{Tx: o.published, Height: 101, TxIndex: 3})
	o.rest()
	require.Equal(t, pb.Phase_WAIT_READY, o.hosts[0].state.phase)
	o.hosts[0].tell(FundingUndone{})
	o.rest()
	require.Equal(t, pb.Phase_WAIT_CONFIRMED, o.hosts[0].state.phase)
	o.confirm()
	o.rest()
	require.Equal(t, pb.Phase_NORMAL, o.hosts[0].state.phase)
	o.hosts[0].tell(FundingUndone{})
	o.rest()
	require.Equal(t, pb.Phase_NORMAL, o.hosts[0].state.phase)
}

// TestReorganisedWhileTheNodeWasDown: what the channel was told stands in what it asks for after a restart, so that the watcher
// tells it what has changed.
func TestReorganisedWhileTheNodeWasDown(t *testing.T) {
	t.Parallel()
	o := newOpening(t)
	o.open(func(*Open) {})
	o.rest()
	h := o.hosts[0]
	told := func() *FundingConfirmed {
		t.Helper()
		h.restart()
		h.step()
		for _, e := range h.takeReleased() {
			if w, ok := e.(WatchFunding); ok {
				return w.Told
			}
		}
		require.Fail(t, "the funding is not watched")
		return nil
	}
	require.Nil(t, told())
	at := FundingConfirmed{Tx: o.published, Block: chainhash.Hash{1}, Height: 101, TxIndex: 3}
	h.tell(at)
	h.step()
	want := at
	want.Tx = nil
	require.Equal(t, &want, told())
	require.Equal(t, pb.Phase_WAIT_READY, h.state.phase)
	h.tell(FundingUndone{})
	h.step()
	require.Nil(t, told())
	require.Equal(t, pb.Phase_WAIT_CONFIRMED, h.state.phase)
	h.tell(at)
	h.step()

	moved := FundingConfirmed{Tx: o.published, Block: chainhash.Hash{2}, Height: 102, TxIndex: 1}
	h.tell(FundingUndone{})
	h.tell(moved)
	h.step()
	h.step()
	scid := lnwire.NewShortChanIDFromInt(h.state.setup.GetScid())
	require.Equal(t, "102:1:1", scid.String())
}

// TestAChannelInUseIsMoved: a reorganisation that puts the funding elsewhere gives the channel another short id.
func TestAChannelInUseIsMoved(t *testing.T) {
	t.Parallel()
	o := newOpening(t)
	o.open(func(*Open) {})
	o.rest()
	o.confirm()
	o.rest()
	h := o.hosts[0]
	h.tell(FundingUndone{})
	h.tell(FundingConfirmed{Tx: o.published, Block: chainhash.Hash{2}, Height: 102, TxIndex: 1})
	o.rest()
	require.Equal(t, pb.Phase_NORMAL, h.state.phase)
	require.Equal(t, uint32(102), lnwire.NewShortChanIDFromInt(h.state.setup.GetScid()).BlockHeight)
	require.Equal(t, h.state.setup.GetScid(), h.state.standing().GetScid())
	o.add(0, 1_000_000)
	o.rest()
	o.agree()
}

func TestFundingToSomethingElse(t *testing.T) {
	t.Parallel()
	o := newOpening(t)
	o.open(func(*Open) {})
	o.rest()
	wrong := o.published.Copy()
	wrong.TxOut[1].Value--
	o.hosts[1].tell(FundingConfirmed{Tx: wrong, Height: 101, TxIndex: 3})
	o.hosts[1].step()
	require.Equal(t, pb.Phase_CLOSING, o.hosts[1].state.phase)
}

func TestOpenRefusesItself(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Open){
		"alias and public": func(o *Open) { o.ScidAlias, o.Announce = true, true },
		"too small":        func(o *Open) { o.Capacity, o.Push = 19_999, 0 },
		"large":            func(o *Open) { o.Capacity, o.Features = btcutil.Amount(1<<24), wire.Features{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOpening(t)
			o.open(change)
			o.hosts[0].step()
			require.Len(t, o.hosts[0].refused, 1)
			require.Empty(t, o.hosts[0].events)
		})
	}
}
