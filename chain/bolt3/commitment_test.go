package bolt3_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/chain/bolt3"
	"stormcell/chain/keys"
)

func TestEveryCommitmentSpendsExactlyTheFunding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := anyState.Draw(t, "state")
		c := commit(t, s.channel, s.side, s.spec)
		dust := s.channel.Parties[s.side].DustLimit

		out := btcutil.Amount(0)
		require.Len(t, c.Tx.TxOut, len(c.Outputs))
		for i, output := range c.Tx.TxOut {
			require.Equal(t, c.Outputs[i].Amount, btcutil.Amount(output.Value))
			require.Equal(t, c.Outputs[i].PkScript, output.PkScript)
			require.Positive(t, output.Value)
			if kind := c.Outputs[i].Kind; kind != bolt3.BroadcasterAnchor && kind != bolt3.CountersignerAnchor {
				require.GreaterOrEqual(t, btcutil.Amount(output.Value), dust)
			}
			out += btcutil.Amount(output.Value)
		}
		require.GreaterOrEqual(t, c.Fee, btcutil.Amount(0))
		require.Equal(t, s.channel.Capacity, out+c.Fee)
	})
}

// The model says for each output, apart from the builder, whether it must be there and with how much.
func TestOutputsAreThoseOfTheSpecification(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := anyState.Draw(t, "state")
		c := commit(t, s.channel, s.side, s.spec)
		dust := s.channel.Parties[s.side].DustLimit

		weight, untrimmed := int64(1124), 0
		var trimmed lnwire.MilliSatoshi
		for _, htlc := range s.spec.HTLCs {
			if htlc.Amount/1000 < lnwire.MilliSatoshi(dust) {
				trimmed += htlc.Amount
				continue
			}
			weight += 172
			untrimmed++
		}
		cost := btcutil.Amount(int64(s.spec.FeeRate)*weight/1000 + 660)
		own, other := btcutil.Amount(s.spec.ToBroadcaster/1000), btcutil.Amount(s.spec.ToCountersigner/1000)
		if s.side == bolt3.Opener {
			own -= cost
		} else {
			other -= cost
		}
		want := map[string]int{}
		if own >= dust {
			want[fmt.Sprint(bolt3.ToBroadcaster, own)]++
		}
		if other >= dust {
			want[fmt.Sprint(bolt3.ToCountersigner, other)]++
		}
		if own >= dust || untrimmed > 0 {
			want[fmt.Sprint(bolt3.BroadcasterAnchor, btcutil.Amount(330))]++
		}
		if other >= dust || untrimmed > 0 {
			want[fmt.Sprint(bolt3.CountersignerAnchor, btcutil.Amount(330))]++
		}
		for _, htlc := range s.spec.HTLCs {
			if htlc.Amount/1000 >= lnwire.MilliSatoshi(dust) {
				want[fmt.Sprint(bolt3.HTLCOutput, btcutil.Amount(htlc.Amount/1000), htlc.ID)]++
			}
		}
		got := map[string]int{}
		for _, output := range c.Outputs {
			if output.Kind == bolt3.HTLCOutput {
				got[fmt.Sprint(output.Kind, output.Amount, output.HTLC.ID)]++
			} else {
				got[fmt.Sprint(output.Kind, output.Amount)]++
			}
		}
		require.Equal(t, want, got)

		var gotTrimmed lnwire.MilliSatoshi
		for _, htlc := range c.Trimmed {
			gotTrimmed += htlc.Amount
		}
		require.Equal(t, trimmed, gotTrimmed)
		require.Equal(t, untrimmed, s.spec.Untrimmed(dust))
		require.Len(t, c.Trimmed, len(s.spec.HTLCs)-untrimmed)
		if own >= 0 && other >= 0 {
			require.GreaterOrEqual(t, c.Fee, bolt3.BaseFee(s.spec.FeeRate, untrimmed)+trimmed.ToSatoshis())
		}
	})
}

func TestBothSidesBuildTheSameCommitment(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := anyState.Draw(t, "state")
		ours := commit(t, s.channel, s.side, s.spec)

		// The other side holds the same state as it sees it, and its HTLCs in another order.
		theirs := s.spec.Mirror()
		shuffle := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
		shuffle.Shuffle(len(theirs.HTLCs), func(i, j int) {
			theirs.HTLCs[i], theirs.HTLCs[j] = theirs.HTLCs[j], theirs.HTLCs[i]
		})
		built := commit(t, newChannel(t, s.channel.Capacity, dustLimits(s.channel)), s.side, theirs.Mirror())
		require.Equal(t, serialized(t, ours.Tx), serialized(t, built.Tx))
		require.Equal(t, ours.Outputs, built.Outputs)
		ourTxs, theirTxs := ours.HTLCTxs(), built.HTLCTxs()
		require.Len(t, theirTxs, len(ourTxs))
		for i := range ourTxs {
			require.Equal(t, ourTxs[i].HTLC, theirTxs[i].HTLC)
			require.Equal(t, serialized(t, ourTxs[i].Tx), serialized(t, theirTxs[i].Tx))
		}

		signature, htlcs := countersign(t, built)
		require.NoError(t, ours.Verify(signature, htlcs, concurrently))
		number, ok := s.channel.CommitmentNumber(ours.Tx)
		require.True(t, ok)
		require.Equal(t, s.spec.Number, number)
	})
}

func dustLimits(channel *bolt3.Channel) [2]btcutil.Amount {
	return [2]btcutil.Amount{channel.Parties[0].DustLimit, channel.Parties[1].DustLimit}
}

func TestMirrorTwiceIsNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec := anyState.Draw(t, "state").spec
		before := slices.Clone(spec.HTLCs)
		require.Equal(t, spec, spec.Mirror().Mirror())
		require.Equal(t, before, spec.HTLCs, "the original is left alone")
	})
}

// Equal hash and amount: outputs may be alike to the byte, and each HTLC must still have its own, in order of expiry.
func TestHTLCsOfEqualHashAndAmountKeepTheirOwnOutputs(t *testing.T) {
	t.Parallel()
	channel := newChannel(t, 1_000_000, [2]btcutil.Amount{354, 354})
	spec := bolt3.Spec{
		ToBroadcaster: 500_000_000, ToCountersigner: 480_000_000,
		HTLCs: []bolt3.HTLC{
			newHTLC(7, bolt3.Offered, 4_000_000, 1, 502),
			newHTLC(6, bolt3.Offered, 4_000_000, 1, 501),
			newHTLC(5, bolt3.Offered, 4_000_000, 1, 501),
			newHTLC(5, bolt3.Received, 4_000_000, 1, 501),
			newHTLC(4, bolt3.Offered, 4_000_000, 1, 503),
		},
	}
	c := commit(t, channel, bolt3.Opener, spec)
	var offered []uint64
	seen := map[string]bool{}
	for _, tx := range c.HTLCTxs() {
		require.Equal(t, uint32(tx.Output), tx.Tx.TxIn[0].PreviousOutPoint.Index)
		require.Equal(t, c.Outputs[tx.Output].HTLC, tx.HTLC)
		if tx.HTLC.Direction == bolt3.Offered {
			offered = append(offered, tx.HTLC.ID)
			require.Equal(t, tx.HTLC.Expiry, tx.Tx.LockTime)
		}
		seen[tx.Tx.TxHash().String()] = true
	}
	require.Equal(t, []uint64{5, 6, 7, 4}, offered)
	require.Len(t, seen, 5)
}

func TestSpecsThatNoCommitmentHas(t *testing.T) {
	t.Parallel()
	channel := newChannel(t, 100_000, [2]btcutil.Amount{354, 354})
	const all = lnwire.MilliSatoshi(100_000_000)
	huge := bolt3.HTLC{Amount: ^lnwire.MilliSatoshi(0)}
	for name, test := range map[string]struct {
		spec bolt3.Spec
		want error
	}{
		"too little":  {bolt3.Spec{ToBroadcaster: all - 1}, bolt3.ErrUnbalanced},
		"too much":    {bolt3.Spec{ToBroadcaster: all, ToCountersigner: 1}, bolt3.ErrUnbalanced},
		"wraps":       {bolt3.Spec{ToBroadcaster: all + 1, ToCountersigner: ^lnwire.MilliSatoshi(0)}, bolt3.ErrUnbalanced},
		"HTLC wraps":  {bolt3.Spec{ToBroadcaster: all, HTLCs: []bolt3.HTLC{{Amount: 1}, huge}}, bolt3.ErrUnbalanced},
		"number":      {bolt3.Spec{ToBroadcaster: all, Number: keys.MaxCommitments}, keys.ErrNoSuchCommitment},
		"expiry":      {bolt3.Spec{HTLCs: []bolt3.HTLC{{Amount: all, Expiry: 500_000_000}}}, bolt3.ErrExpiryIsATime},
		"no anchor":   {bolt3.Spec{ToBroadcaster: 329_000, ToCountersigner: all - 329_000}, bolt3.ErrCannotPayAnchors},
		"all to HTLC": {bolt3.Spec{HTLCs: []bolt3.HTLC{{Amount: all, Expiry: 500}}}, bolt3.ErrCannotPayAnchors},
	} {
		point, err := signers()[bolt3.Opener].CommitmentPoint(channelIndex, 0)
		require.NoError(t, err)
		_, err = channel.Commitment(bolt3.Opener, test.spec, point)
		require.ErrorIs(t, err, test.want, name)
	}
}

func TestVerifyNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	channel := newChannel(t, 100_000, [2]btcutil.Amount{354, 354})
	c := commit(t, channel, bolt3.Opener, bolt3.Spec{
		ToBroadcaster: 50_000_000, ToCountersigner: 40_000_000,
		HTLCs: []bolt3.HTLC{newHTLC(1, bolt3.Offered, 4_000_000, 1, 501), newHTLC(2, bolt3.Received, 6_000_000, 2, 502)},
	})
	signature, htlcs := countersign(t, c)
	require.NoError(t, c.Verify(signature, htlcs, keys.Sequential))
	require.ErrorIs(t, c.Verify(signature, htlcs[:1], keys.Sequential), bolt3.ErrSignatureCount)
	require.ErrorIs(t, c.Verify(signature, append(htlcs, signature), keys.Sequential), bolt3.ErrSignatureCount)
	require.ErrorIs(t, c.Verify(htlcs[0], htlcs, keys.Sequential), keys.ErrInvalidSignature)
	err := c.Verify(signature, []lnwire.Sig{htlcs[1], htlcs[0]}, concurrently)
	require.ErrorIs(t, err, keys.ErrInvalidSignature)
	require.ErrorContains(t, err, "offered HTLC 1")
	require.ErrorIs(t, c.Verify(signature, []lnwire.Sig{htlcs[0], htlcs[0]}, keys.Sequential), keys.ErrInvalidSignature)
}

func TestCommitmentNumberIsOnlyInCommitments(t *testing.T) {
	t.Parallel()
	channel := newChannel(t, 100_000, [2]btcutil.Amount{354, 354})
	c := commit(t, channel, bolt3.Opener, bolt3.Spec{Number: 77, ToBroadcaster: 100_000_000})
	for name, change := range map[string]func(*wire.MsgTx){
		"other funding": func(tx *wire.MsgTx) { tx.TxIn[0].PreviousOutPoint.Index++ },
		"more inputs":   func(tx *wire.MsgTx) { tx.AddTxIn(&wire.TxIn{}) },
		"no inputs":     func(tx *wire.MsgTx) { tx.TxIn = nil },
		"locktime":      func(tx *wire.MsgTx) { tx.LockTime = 700_000 },
		"sequence":      func(tx *wire.MsgTx) { tx.TxIn[0].Sequence = wire.MaxTxInSequenceNum },
	} {
		tx := c.Tx.Copy()
		change(tx)
		_, ok := channel.CommitmentNumber(tx)
		require.False(t, ok, name)
	}
}

func FuzzCommitmentNumber(f *testing.F) {
	channel := newChannel(f, 100_000, [2]btcutil.Amount{354, 354})
	c := commit(f, channel, bolt3.Opener, bolt3.Spec{Number: 77, ToBroadcaster: 100_000_000})
	var b bytes.Buffer
	require.NoError(f, c.Tx.Serialize(&b))
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		tx := wire.NewMsgTx(2)
		if tx.Deserialize(bytes.NewReader(raw)) != nil {
			return
		}
		if number, ok := channel.CommitmentNumber(tx); ok {
			require.Less(t, number, uint64(keys.MaxCommitments))
		}
	})
}

// What was prepared changes nothing but the time that it takes.
func TestPreparedCommitmentsAreTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := anyState.Draw(t, "state")
		point := func(n uint64) *btcec.PublicKey {
			p, err := signers()[s.side].CommitmentPoint(channelIndex, n)
			require.NoError(t, err)
			return p
		}
		want := commit(t, s.channel, s.side, s.spec)
		again := newChannel(t, s.channel.Capacity, dustLimits(s.channel))
		// For the commitment, for another one, and for the other side.
		again.Prepare(s.side, point(s.spec.Number^rapid.Uint64Range(0, 1).Draw(t, "another")))
		again.Prepare(s.side.Other(), point(s.spec.Number))
		got := commit(t, again, s.side, s.spec)
		require.Equal(t, want.Keys, got.Keys)
		require.Equal(t, serialized(t, want.Tx), serialized(t, got.Tx))
	})
}
