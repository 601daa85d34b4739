package wallet

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"stormcell/actors/durable"
	"stormcell/chain/backend"
	"stormcell/chain/fees"
	chainwallet "stormcell/chain/wallet"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/wallet"
)

type noEnv struct{}

func (noEnv) Self() durable.Address     { return Address }
func (noEnv) Session() uint64           { return 1 }
func (noEnv) Now() time.Time            { panic("the wallet needs no clock") }
func (noEnv) Random([]byte)             { panic("the wallet needs no chance") }
func (noEnv) Parallel(int, func(i int)) { panic("the wallet has no heavy work") }

const tip = 1000

// script drives a core as the kernel does, with a chain's wallet that has some coins.
type script struct {
	t     require.TestingT
	core  Core
	state *State
	coins []chainwallet.Coin
	// reserve is what must stay in the wallet.
	reserve btcutil.Amount

	pending []any // effects that were released and not answered: Look, Sign
	sent    []durable.Envelope
	others  []durable.Effect
}

func newScript(t require.TestingT, amounts ...btcutil.Amount) *script {
	s := &script{t: t, core: Core{Params: &chaincfg.RegressionNetParams}}
	for i, amount := range amounts {
		s.coins = append(s.coins, chainwallet.Coin{
			OutPoint: wire.OutPoint{Hash: chainhash.Hash{byte(i + 1)}}, Amount: amount, Script: p2tr(byte(i)), Height: 900,
		})
	}
	s.recover(nil)
	require.NoError(t, s.step("", Open{}))
	return s
}

func p2tr(id byte) []byte { return append([]byte{0x51, 32, id}, make([]byte, 31)...) }

// recover begins anew with what is stored.
func (s *script) recover(snapshot proto.Message) {
	state, err := s.core.Recover(Address, snapshot)
	require.NoError(s.t, err)
	s.state = state
	s.pending = nil
	if snapshot != nil {
		s.act(s.core.Resume(state, noEnv{}))
	}
}

func (s *script) restart() { s.recover(s.core.Snapshot(s.state)) }

func (s *script) act(out durable.Outcome) {
	for _, event := range append(out.Events, out.Stage...) {
		s.core.Apply(s.state, event)
	}
	s.sent = append(s.sent, out.Send...)
	for _, e := range out.Release {
		switch e.(type) {
		case Look, Sign:
			s.pending = append(s.pending, e)
		default:
			s.others = append(s.others, e)
		}
	}
}

func (s *script) step(from durable.Address, body any) error {
	before := proto.CloneOf(s.core.Snapshot(s.state).(*pb.Wallet))
	out := s.core.Decide(s.state, durable.Message{From: from, Body: body}, noEnv{})
	require.True(s.t, proto.Equal(before, s.core.Snapshot(s.state)), "Decide changed the state")
	s.act(out)
	return out.Refuse
}

// answer answers the i-th effect that waits.
func (s *script) answer(i int) {
	e := s.pending[i]
	s.pending = append(s.pending[:i:i], s.pending[i+1:]...)
	switch e := e.(type) {
	case Look:
		require.NoError(s.t, s.step("", Looked{Look: e, Coins: s.coins, Reserve: s.reserve, Tip: tip, ChangeScript: changeScript(e.Change)}))
	case Sign:
		require.NoError(s.t, s.step("", SignedTx{Sign: e, Tx: signedTx(e)}))
	}
}

// settle answers all that waits.
func (s *script) settle() {
	for len(s.pending) > 0 {
		s.answer(0)
	}
}

func changeScript(at Index) []byte {
	script := p2tr(255)
	script[3] = byte(at.Index)
	return script
}

func signedTx(e Sign) *wire.MsgTx {
	tx := e.Packet.UnsignedTx.Copy()
	for _, in := range tx.TxIn {
		in.Witness = wire.TxWitness{make([]byte, 64)}
	}
	return tx
}

// ready is the last funding transaction that was sent.
func (s *script) ready() (*wire.MsgTx, *channelpb.FundingReady) {
	last := s.sent[len(s.sent)-1].Body
	require.IsType(s.t, &channelpb.FundingReady{}, last)
	ready := last.(*channelpb.FundingReady)
	var tx wire.MsgTx
	require.NoError(s.t, tx.Deserialize(bytes.NewReader(ready.GetTx())))
	return &tx, ready
}

func wanted(amount uint64) *channelpb.FundingWanted {
	return &channelpb.FundingWanted{AmountSat: amount, PkScript: append([]byte{0, 32}, make([]byte, 32)...), SatPerKw: 500}
}

func pay(amount int64) Send {
	return Send{Payment: chainwallet.Payment{
		Outputs: []*wire.TxOut{wire.NewTxOut(amount, p2tr(99))}, FeeRate: 500, MinConfirmations: 1,
	}}
}

func TestFundingIsKeptBackUntilItIsUsed(t *testing.T) {
	t.Parallel()
	s := newScript(t, 100_000, 50_000)
	require.NoError(t, s.step("channel/1", wanted(60_000)))
	s.settle()
	tx, ready := s.ready()
	require.EqualValues(t, 60_000, tx.TxOut[ready.GetOutput()].Value)
	require.Equal(t, wanted(0).GetPkScript(), tx.TxOut[ready.GetOutput()].PkScript)
	require.NotZero(t, tx.TxIn[0].Witness)
	require.Equal(t, []Lease{{Coin: s.coins[0].OutPoint, Amount: 100_000, For: "channel/1", TxID: tx.TxHash()}}, s.state.leases())
	require.Empty(t, publications(s.others))
	s.restart()
	require.Empty(t, publications(s.others))

	require.NoError(t, s.step("channel/1", &channelpb.FundingUsed{}))
	require.NoError(t, s.step("channel/1", &channelpb.FundingUsed{}))
	published := publications(s.others)
	require.Len(t, published, 1)
	require.Equal(t, tx.TxHash(), published[0].Tx.TxHash())
	require.Equal(t, "funding of channel/1", published[0].Label)
	require.EqualValues(t, tip+1, published[0].Since)
	require.Equal(t, s.coins[0].Script, published[0].Spends[0].PkScript)
	s.restart()
	require.Len(t, publications(s.others), 2, "it is published again")
	require.NoError(t, s.step("channel/1", &channelpb.FundingReleased{}))
	require.Len(t, s.state.leases(), 1, "what is published cannot be released")

	require.NoError(t, s.step("", Settled{TxID: tx.TxHash()}))
	require.NoError(t, s.step("", Settled{TxID: tx.TxHash()}))
	require.Equal(t, Unpublish{TxID: tx.TxHash(), Inputs: 1}, s.others[len(s.others)-1])
	require.Empty(t, s.state.leases())
}

func publications(released []durable.Effect) (all []Publish) {
	for _, e := range released {
		if p, ok := e.(Publish); ok {
			all = append(all, p)
		}
	}
	return all
}

func TestFundingThatIsReleasedFreesItsCoins(t *testing.T) {
	t.Parallel()
	for steps := range 3 { // after being asked, after the coins were picked, after it was signed
		s := newScript(t, 100_000)
		require.NoError(t, s.step("channel/1", wanted(60_000)))
		for range steps {
			s.answer(0)
		}
		require.NoError(t, s.step("channel/1", &channelpb.FundingReleased{}))
		s.settle()
		require.Empty(t, s.state.leases(), steps)
		require.Empty(t, s.state.drafts, steps)
		require.NoError(t, s.step("channel/2", wanted(60_000)))
		s.settle()
		tx, _ := s.ready()
		require.Equal(t, s.coins[0].OutPoint, tx.TxIn[0].PreviousOutPoint)
	}
}

func TestFundingThatCannotBe(t *testing.T) {
	t.Parallel()
	s := newScript(t, 100_000)
	refusal := func() string {
		s.settle()
		require.IsType(t, &channelpb.FundingRefused{}, s.sent[len(s.sent)-1].Body)
		require.Empty(t, s.state.drafts)
		require.Empty(t, s.state.asked)
		return s.sent[len(s.sent)-1].Body.(*channelpb.FundingRefused).GetReason()
	}
	require.NoError(t, s.step("channel/1", wanted(100_000)))
	require.Contains(t, refusal(), "not enough coins")
	require.NoError(t, s.step("channel/1", wanted(1<<63)))
	require.Contains(t, refusal(), "not enough coins")
	require.NoError(t, s.step("channel/1", wanted(100)))
	require.Contains(t, refusal(), "dust")
	require.NoError(t, s.step("channel/1", &channelpb.FundingWanted{AmountSat: 50_000, PkScript: p2tr(1), SatPerKw: 1}))
	require.Contains(t, refusal(), "fee rate")

	// The coins cannot be looked at, or signed for.
	require.NoError(t, s.step("channel/1", wanted(50_000)))
	look := s.pending[0].(Look)
	s.pending = nil
	require.NoError(t, s.step("", Looked{Look: look, Err: ErrNotSynced}))
	require.Contains(t, refusal(), "caught up")
	require.NoError(t, s.step("channel/1", wanted(50_000)))
	s.answer(0)
	sign := s.pending[0].(Sign)
	s.pending = nil
	require.NoError(t, s.step("", SignedTx{Sign: sign, Err: errors.New("the key is away")}))
	require.Contains(t, refusal(), "the key is away")
	require.NoError(t, s.step("channel/1", wanted(50_000)))
	s.answer(0)
	sign = s.pending[0].(Sign)
	s.pending = nil
	require.NoError(t, s.step("", SignedTx{Sign: sign, Tx: wire.NewMsgTx(2)}))
	require.Contains(t, refusal(), "another transaction")

	require.NoError(t, s.step("channel/1", wanted(50_000)))
	s.settle()
	s.ready()
	sent := len(s.sent)
	require.NoError(t, s.step("channel/1", wanted(10_000)))
	require.Len(t, s.sent, sent+1)
	require.Contains(t, s.sent[sent].Body.(*channelpb.FundingRefused).GetReason(), "already")
}

func TestPaymentsArePublishedAndFinish(t *testing.T) {
	t.Parallel()
	s := newScript(t, 100_000, 50_000)
	require.NoError(t, s.step("", pay(70_000)))
	all := pay(0)
	all.All, all.Label = true, "everything else"
	require.NoError(t, s.step("", all))
	s.settle()
	published := publications(s.others)
	require.Len(t, published, 2)
	require.Equal(t, s.coins[0].OutPoint, published[0].Tx.TxIn[0].PreviousOutPoint)
	require.Equal(t, s.coins[1].OutPoint, published[1].Tx.TxIn[0].PreviousOutPoint)
	require.Len(t, published[1].Tx.TxOut, 1)
	require.Equal(t, "everything else", published[1].Label)
	require.EqualValues(t, 1, s.state.next[changeBranch], "only the first has change")

	// Nobody waits, so what is refused stays on its way.
	require.NoError(t, s.step("", Answered{TxID: published[0].Tx.TxHash(), Result: backend.PublishResult{Status: backend.Rejected}}))
	require.NoError(t, s.step("", Answered{TxID: published[0].Tx.TxHash(), Result: backend.PublishResult{Status: backend.Accepted}}))
	require.Len(t, s.state.spends, 2)
}

func TestPaymentsThatCannotBe(t *testing.T) {
	t.Parallel()
	s := newScript(t, 100_000)
	for name, change := range map[string]func(*Send){
		"no outputs":   func(p *Send) { p.Payment.Outputs = nil },
		"all to two":   func(p *Send) { p.All, p.Payment.Outputs = true, append(p.Payment.Outputs, p.Payment.Outputs...) },
		"negative":     func(p *Send) { p.Payment.Outputs[0].Value = -1 },
		"nothing":      func(p *Send) { p.Payment.Outputs[0].Value = 0 },
		"long label":   func(p *Send) { p.Label = string(make([]byte, maxLabel+1)) },
		"many outputs": func(p *Send) { p.Payment.Outputs = make([]*wire.TxOut, maxOutputs+1) },
		"more than all coins there are": func(p *Send) {
			out := wire.NewTxOut(btcutil.MaxSatoshi, p2tr(1))
			p.Payment.Outputs = []*wire.TxOut{out, out}
		},
	} {
		p := pay(1000)
		change(&p)
		require.ErrorIs(t, s.step("", p), ErrInvalidPayment, name)
	}
	p := pay(200_000)
	require.NoError(t, s.step("", p))
	s.settle()
	p.Payment.FeeRate = fees.Cap + 1
	require.NoError(t, s.step("", p))
	s.settle()
	require.Empty(t, s.state.drafts)
	require.Empty(t, s.state.leases())
	require.Zero(t, s.state.next[changeBranch])
}

// TestReserveStays: what may be needed to close channels is neither sent away nor put into another channel.
func TestReserveStays(t *testing.T) {
	t.Parallel()
	require.Zero(t, reserveFor(0))
	require.EqualValues(t, 30_000, reserveFor(3))
	require.EqualValues(t, 100_000, reserveFor(11))
	for name, c := range map[string]struct {
		send Send
		left btcutil.Amount // -1: it is refused
	}{
		"little":     {pay(50_000), 49_000},
		"too much":   {pay(95_000), -1},
		"everything": {func() Send { p := pay(0); p.All = true; return p }(), 20_000},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, 100_000)
			s.reserve = 20_000
			require.NoError(t, s.step("", c.send))
			s.settle()
			if c.left < 0 {
				require.Empty(t, s.state.leases())
				require.Empty(t, publications(s.others))
				return
			}
			tx := publications(s.others)[0].Tx
			require.Len(t, tx.TxOut, 2)
			change := tx.TxOut[0].Value
			if bytes.Equal(tx.TxOut[0].PkScript, c.send.Payment.Outputs[0].PkScript) {
				change = tx.TxOut[1].Value
			}
			require.InDelta(t, int64(c.left), change, 1_000)
			require.GreaterOrEqual(t, change, int64(s.reserve))
		})
	}
	s := newScript(t, 15_000)
	s.reserve = 20_000
	all := pay(0)
	all.All = true
	require.NoError(t, s.step("", all))
	s.settle()
	require.Empty(t, s.state.leases())

	s = newScript(t, 100_000)
	s.reserve = 10_000
	require.NoError(t, s.step("channel/1", wanted(95_000)))
	s.settle()
	require.Empty(t, s.state.leases())
	require.Contains(t, s.sent[0].Body.(*channelpb.FundingRefused).GetReason(), "10000 sat must stay there")
}

func TestAddressesAreGivenOnce(t *testing.T) {
	t.Parallel()
	s := newScript(t, 100_000, 100_000, 100_000)
	require.ErrorIs(t, s.step("", NextAddress{0}), ErrUnknownBranch)
	require.NoError(t, s.step("", NextAddress{chainwallet.ReceiveWitness}))
	require.NoError(t, s.step("", NextAddress{chainwallet.ReceiveWitness}))
	require.NoError(t, s.step("", Known{Index{chainwallet.ReceiveWitness, 1}}))
	require.EqualValues(t, 2, s.state.next[chainwallet.ReceiveWitness])
	require.NoError(t, s.step("", Known{Index{chainwallet.ReceiveWitness, 7}}))
	s.restart()
	require.EqualValues(t, 7, s.state.next[chainwallet.ReceiveWitness])
	require.Equal(t, Attend{[]Index{{chainwallet.ReceiveWitness, 7}}}, s.others[len(s.others)-1])

	// Drafts use different addresses for change, and one that is given out meanwhile is another.
	require.NoError(t, s.step("", pay(10_000)))
	require.NoError(t, s.step("", pay(10_000)))
	require.EqualValues(t, 0, s.pending[0].(Look).Change.Index)
	require.EqualValues(t, 1, s.pending[1].(Look).Change.Index)
	require.NoError(t, s.step("", NextAddress{changeBranch}))
	require.EqualValues(t, 3, s.state.next[changeBranch])
	s.settle()
	require.EqualValues(t, 3, s.state.next[changeBranch])
	require.NoError(t, s.step("", pay(10_000)))
	require.EqualValues(t, 3, s.pending[0].(Look).Change.Index)
}

func TestARestartDraftsFundingsAgain(t *testing.T) {
	t.Parallel()
	s := newScript(t, 100_000, 100_000)
	require.NoError(t, s.step("channel/1", wanted(60_000)))
	require.NoError(t, s.step("channel/2", wanted(60_000)))
	require.NoError(t, s.step("", pay(1_000)))
	s.answer(0)
	s.restart()
	require.Len(t, s.pending, 2, "a payment that was not signed is gone")
	require.Empty(t, s.state.leases())
	s.settle()
	require.Len(t, s.sent, 2)
	require.Len(t, s.state.leases(), 2)
}

// TestCoinsAreNeverPromisedTwice lets channels and users do as they like, with restarts in between.
func TestCoinsAreNeverPromisedTwice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newScript(t, 40_000, 50_000, 60_000, 70_000, 80_000)
		funded := map[durable.Address]chainhash.Hash{} // by channels that were neither released nor finished
		channels := 0
		check := func() {
			seen := map[wire.OutPoint]bool{}
			for _, l := range s.state.leases() {
				require.False(t, seen[l.Coin], "a coin is promised twice")
				seen[l.Coin] = true
			}
			for _, e := range s.sent {
				if ready, ok := e.Body.(*channelpb.FundingReady); ok {
					var tx wire.MsgTx
					require.NoError(t, tx.Deserialize(bytes.NewReader(ready.GetTx())))
					_, twice := funded[e.To]
					require.False(t, twice, "a channel is funded twice")
					funded[e.To] = tx.TxHash()
				}
			}
			s.sent = nil
			for channel, txid := range funded {
				require.NotNil(t, s.state.funding(string(channel)))
				require.Equal(t, txid, s.state.funding(string(channel)).txid)
			}
			rebuilt, err := s.core.Recover(Address, s.core.Snapshot(s.state))
			require.NoError(t, err)
			require.True(t, proto.Equal(s.core.Snapshot(s.state), s.core.Snapshot(rebuilt)))
		}
		someone := func(t *rapid.T) durable.Address {
			return durable.Address(fmt.Sprintf("channel/%d", rapid.IntRange(0, channels).Draw(t, "channel")))
		}
		t.Repeat(map[string]func(*rapid.T){
			"want": func(t *rapid.T) {
				channels++
				from := durable.Address(fmt.Sprintf("channel/%d", channels))
				require.NoError(t, s.step(from, wanted(rapid.Uint64Range(1_000, 200_000).Draw(t, "amount"))))
			},
			"release": func(t *rapid.T) {
				who := someone(t)
				require.NoError(t, s.step(who, &channelpb.FundingReleased{}))
				if s.state.funding(string(who)) == nil {
					delete(funded, who)
				}
			},
			"use": func(t *rapid.T) { require.NoError(t, s.step(someone(t), &channelpb.FundingUsed{})) },
			"pay": func(t *rapid.T) {
				p := pay(rapid.Int64Range(1_000, 200_000).Draw(t, "amount"))
				p.All = rapid.Bool().Draw(t, "all")
				require.NoError(t, s.step("", p))
			},
			"answer": func(t *rapid.T) {
				if len(s.pending) > 0 {
					s.answer(rapid.IntRange(0, len(s.pending)-1).Draw(t, "which"))
				}
			},
			"settled": func(t *rapid.T) {
				if i := rapid.IntRange(0, len(s.state.spends)).Draw(t, "which"); i < len(s.state.spends) {
					if sp := s.state.spends[i]; sp.stored.GetPublished() {
						delete(funded, durable.Address(sp.stored.GetChannel()))
						require.NoError(t, s.step("", Settled{TxID: sp.txid}))
					}
				}
			},
			"restart": func(*rapid.T) { s.restart() },
			"":        func(*rapid.T) { check() },
		})
		s.settle()
		check()
		require.Empty(t, s.state.asked, "every channel has an answer")
		require.Empty(t, s.state.drafts)
		kept := map[string]bool{}
		for _, sp := range s.state.spends {
			kept[sp.stored.GetChannel()] = true
		}
		for _, l := range s.state.leases() {
			require.True(t, kept[string(l.For)], "a lease without an end")
		}
	})
}
