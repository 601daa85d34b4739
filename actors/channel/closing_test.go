package channel

import (
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/actors/durable"
	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// scriptOf is where host i closes to.
func scriptOf(i int) []byte { return append([]byte{0, 20, byte(i + 1)}, make([]byte, 19)...) }

// closing is a pair whose closing transactions are noted and held against the script of the funding.
type closing struct {
	*pair
	txs [2][]*btcwire.MsgTx
}

func newClosing(t rapid.TB, f fixture, simple bool) *closing {
	c := &closing{pair: newPair(t, f)}
	c.features = wire.DefaultFeatures()
	if simple {
		c.features = c.features.With(wire.SimpleClose)
	} else {
		c.features = wire.Features{}.With(wire.ShutdownAnySegwit)
	}
	for i, h := range c.hosts {
		h.state.setup = &pb.Setup{CloseScript: scriptOf(i), Scid: 1, RemoteReady: true, LocalAlias: 5}
		*h = *newHost(t, h.addr, h.core, h.state.snapshot())
	}
	c.world = func(i int, e durable.Effect) bool {
		switch e := e.(type) {
		case Publish:
			c.txs[i] = append(c.txs[i], e.Tx)
			c.valid(e.Tx)
		case WatchFunding:
		default:
			return false
		}
		return true
	}
	c.connect()
	return c
}

// valid runs the funding script.
func (c *closing) valid(tx *btcwire.MsgTx) {
	f := c.hosts[0].state.c.Active[0].Funding
	out := f.FundingOutput()
	fetcher := txscript.NewCannedPrevOutputFetcher(out.PkScript, out.Value)
	engine, err := txscript.NewEngine(out.PkScript, tx, 0, txscript.StandardVerifyFlags, nil, txscript.NewTxSigHashes(tx, fetcher),
		out.Value, fetcher)
	require.NoError(c.t, err)
	require.NoError(c.t, engine.Execute())
	require.Equal(c.t, f.Outpoint, tx.TxIn[0].PreviousOutPoint)
}

// closed checks that both sides have published closing transactions that pay both, and sees one of them confirm.
func (c *closing) closed() {
	for i, h := range c.hosts {
		require.Equal(c.t, pb.Phase_AGREED, h.state.phase, "host %d", i)
		require.NotEmpty(c.t, c.txs[i])
	}
	last := c.txs[0][len(c.txs[0])-1]
	for i, h := range c.hosts {
		for _, tx := range c.txs[1-i] {
			require.True(c.t, h.state.hasAgreed(tx), "host %d does not know what the other published", i)
		}
		balance := h.state.c.Active[0].Balance[Local].ToSatoshis()
		for _, tx := range c.txs[i] {
			for _, out := range tx.TxOut {
				if string(out.PkScript) == string(scriptOf(i)) {
					require.InDelta(c.t, int64(balance), out.Value, 5_000)
				}
			}
		}
		h.tell(FundingSpent{Tx: last})
		h.step()
		require.Equal(c.t, pb.Phase_CLOSED, h.state.phase)
	}
}

func TestCooperativeClose(t *testing.T) {
	t.Parallel()
	for name, simple := range map[string]bool{"legacy": false, "simple": true} {
		for by := range 2 {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := newClosing(t, newFixture(), simple)
				c.add(0, 50_000_000)
				c.add(1, 20_000_000)
				c.rest()
				c.hosts[by].tell(Close{FeeRate: 2_000})
				c.rest()
				require.Equal(t, pb.Phase_SHUTTING_DOWN, c.hosts[1-by].state.phase)
				require.Empty(t, c.txs[0])
				require.Equal(t, pb.RefusalCode_NOT_OPEN, c.ask(by, newAdd(99, 1_000_000))[0].(*pb.HTLCRefused).GetCode())
				c.resolve(1, "fulfil")
				c.rest()
				c.resolve(0, "fail")
				c.rest()
				c.closed()
			})
		}
	}
}

// TestClosingSurvivesAnything: whatever breaks while the channel closes, it closes when both are there again.
func TestClosingSurvivesAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := newFixture()
		if rapid.Bool().Draw(t, "one-sided") {
			f.pushed = 0
		}
		c := newClosing(t, f, rapid.Bool().Draw(t, "simple"))
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, 1).Draw(t, "host")
			switch kind := rapid.IntRange(0, 20).Draw(t, "kind"); {
			case kind < 7:
				c.turn(i)
			case kind < 13:
				c.deliver(i)
			case kind < 15:
				c.add(i, 3_000_000)
			case kind == 15:
				c.resolve(i, "fulfil")
			case kind == 16:
				c.disconnect()
			case kind == 17:
				c.hosts[i].restart()
				c.disconnect()
			case kind == 18:
				c.connect()
			default:
				if s := c.hosts[i].state; len(s.shutdown.GetLocalScript()) == 0 && len(c.hosts[i].mailbox) == 0 {
					c.hosts[i].tell(Close{FeeRate: 1_500})
				}
			}
		}
		c.connect()
		c.rest()
		for c.pending[0] != nil || c.pending[1] != nil {
			for i := range c.hosts {
				for len(c.pending[i]) > 0 {
					c.resolve(i, "fulfil")
				}
				c.pending[i] = nil
			}
			c.rest()
		}
		if len(c.hosts[0].state.shutdown.GetLocalScript()) == 0 {
			c.hosts[0].tell(Close{FeeRate: 1_500})
			c.rest()
		}
		c.closed()
	})
}

func TestCloseRefuses(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]Close{
		"a script that is none": {Script: []byte{1, 2, 3}},
		"no OP_RETURN":          {Script: append([]byte{0x6a, 6}, make([]byte, 6)...)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClosing(t, newFixture(), false)
			c.rest()
			c.hosts[0].tell(body)
			c.hosts[0].step()
			require.Len(t, c.hosts[0].refused, 1)
			require.Equal(t, pb.Phase_NORMAL, c.hosts[0].state.phase)
		})
	}
	t.Run("a second time", func(t *testing.T) {
		t.Parallel()
		c := newClosing(t, newFixture(), false)
		c.rest()
		for range 2 {
			c.hosts[0].tell(Close{})
			c.hosts[0].step()
		}
		for c.hosts[0].step() {
		}
		require.Len(t, c.hosts[0].refused, 1)
	})
	t.Run("another script than was committed to", func(t *testing.T) {
		t.Parallel()
		c := newClosing(t, newFixture(), false)
		c.rest()
		c.hosts[0].state.setup.LocalShutdown = scriptOf(4)
		c.hosts[0].tell(Close{Script: scriptOf(5)})
		out := c.hosts[0].core.Decide(c.hosts[0].state, c.hosts[0].mailbox[0], c.hosts[0])
		require.Error(t, out.Refuse)
	})
}

func TestClosingViolations(t *testing.T) {
	t.Parallel()
	ready := func(t *testing.T, simple bool) *closing {
		c := newClosing(t, newFixture(), simple)
		c.rest()
		c.hosts[0].tell(Close{FeeRate: 1_000})
		for c.turn(0) {
		}
		c.wires[0] = nil
		c.hosts[0].tell(Received{Link: c.link, Message: &wire.Shutdown{Script: scriptOf(1)}})
		for c.turn(0) {
		}
		return c
	}
	first := func(c *closing) wire.Message { return c.wires[0][0] }
	cases := map[string]struct {
		simple  bool
		message func(*closing) wire.Message
	}{
		"bad script":                 {false, func(*closing) wire.Message { return &wire.Shutdown{Script: []byte{7}} }},
		"signature of nobody":        {false, func(*closing) wire.Message { return &wire.ClosingSigned{Fee: 500} }},
		"fee beyond the funds":       {false, func(*closing) wire.Message { return &wire.ClosingSigned{Fee: 1 << 50} }},
		"an add after shutdown":      {false, func(*closing) wire.Message { return &wire.UpdateAddHTLC{Amount: 1e6, Expiry: 1} }},
		"closing_sig for another":    {true, func(*closing) wire.Message { return &wire.ClosingSig{} }},
		"closing_sig without any":    {true, func(c *closing) wire.Message { return &wire.ClosingSig{ClosingProposal: bare(first(c))} }},
		"closing_sig with our own":   {true, func(c *closing) wire.Message { return &wire.ClosingSig{ClosingProposal: own(first(c))} }},
		"closing_complete elsewhere": {true, func(*closing) wire.Message { return &wire.ClosingComplete{} }},
		"closing_complete unsigned": {true, func(*closing) wire.Message {
			return &wire.ClosingComplete{ClosingProposal: wire.ClosingProposal{CloserScript: scriptOf(1), CloseeScript: scriptOf(0)}}
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := ready(t, tc.simple)
			require.NotEmpty(t, c.wires[0])
			h := c.hosts[0]
			h.tell(Received{Link: c.link, Message: tc.message(c)})
			h.step()
			require.Len(t, h.refused, 1)
			require.Less(t, h.state.phase, pb.Phase_CLOSING)
			require.IsType(t, Hangup{}, h.takeReleased()[1])
			h.refused = nil
			c.disconnect()
			c.connect()
			c.rest()
			c.closed()
		})
	}
}

// TestLegacyCloseWithoutFeeRange: the peer heeds no fee_range, wants far more than we do, and comes down by a tenth with each
// message until our fee is near enough, as lnd does.
func TestLegacyCloseWithoutFeeRange(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ideal btcutil.Amount
		moves bool
	}{"comes down": {20_000, true}, "comes up": {10, true}, "stays": {20_000, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClosing(t, newFixture(), false)
			c.rest()
			h := c.hosts[0]
			h.tell(Close{FeeRate: 1_000})
			for c.turn(0) {
			}
			h.tell(Received{Link: c.link, Message: &wire.Shutdown{ChanID: h.state.c.ChannelID, Script: scriptOf(1)}})
			for c.turn(0) {
			}
			fee := tc.ideal
			for range 60 {
				ours := c.wires[0][len(c.wires[0])-1].(*wire.ClosingSigned)
				switch {
				case fee != tc.ideal && ours.Fee*10 >= fee*7 && ours.Fee*10 <= fee*13:
					fee = ours.Fee
				case tc.moves && ours.Fee < fee:
					fee -= fee / 10
				case tc.moves:
					fee += (fee + 9) / 10
				}
				h.tell(Received{Link: c.link, Message: c.signedByPeer(fee)})
				if stuck := !tc.moves && h.state.offer.against != nil; stuck {
					h.step()
					require.Len(t, h.refused, 1, "it waits for a peer that does not move")
					return
				}
				for c.turn(0) {
				}
				if h.state.phase == pb.Phase_AGREED {
					break
				}
			}
			require.Equal(t, pb.Phase_AGREED, h.state.phase)
			offer := h.state.offer.legacy
			require.GreaterOrEqual(t, offer.Fee, offer.FeeRange.Min)
			require.LessOrEqual(t, offer.Fee, offer.FeeRange.Max)
		})
	}
}

// signedByPeer is a closing_signed of host 1 at a fee, without a range.
func (c *closing) signedByPeer(fee btcutil.Amount) *wire.ClosingSigned {
	h := c.hosts[0]
	a := h.state.c.Active[0]
	closing := h.core.turn(h.state, durable.Message{}, h).legacyClosing(fee)
	txs, err := a.Funding.LegacyClosingTxs(closing, h.state.c.role(Remote))
	require.NoError(c.t, err)
	signatures, err := c.hosts[1].core.Signer.Sign([]keys.SignRequest{a.Funding.ClosingSignRequest(txs[0], a.FundingKey)})
	require.NoError(c.t, err)
	return &wire.ClosingSigned{ChanID: h.state.c.ChannelID, Fee: fee, Signature: signatures[0]}
}

func bare(m wire.Message) wire.ClosingProposal {
	p := m.(*wire.ClosingComplete).ClosingProposal
	p.CloserOnly, p.CloseeOnly, p.Both = nil, nil, nil
	return p
}

func own(m wire.Message) wire.ClosingProposal {
	p := m.(*wire.ClosingComplete).ClosingProposal
	p.CloserOnly, p.CloseeOnly = nil, nil
	return p
}
