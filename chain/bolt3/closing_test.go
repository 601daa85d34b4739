package bolt3_test

import (
	"testing"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/chain/bolt3"
	"stormcell/chain/keys"
)

var (
	openerScript   = append([]byte{txscript.OP_0, 20}, make([]byte, 20)...) // 294 sat are its dust threshold
	accepterScript = append([]byte{txscript.OP_1, 32}, make([]byte, 32)...) // 330 sat
	opReturn       = append([]byte{txscript.OP_RETURN, 6}, make([]byte, 6)...)
)

type paid struct {
	amount int64
	script []byte
}

func outputsOf(tx *wire.MsgTx) []paid {
	var outputs []paid
	for _, output := range tx.TxOut {
		outputs = append(outputs, paid{output.Value, output.PkScript})
	}
	return outputs
}

func TestLegacyClosing(t *testing.T) {
	t.Parallel()
	const dust = 354
	for name, test := range map[string]struct {
		opener, accepter lnwire.MilliSatoshi
		fee              btcutil.Amount
		signer           bolt3.Side
		want             [][]paid
		err              error
	}{
		"both": {
			opener: 60_000_999, accepter: 40_000_001, fee: 500, signer: bolt3.Opener,
			want: [][]paid{{{40_000, accepterScript}, {59_500, openerScript}}, {{40_000, accepterScript}}},
		},
		"the signer may leave out its own": {
			opener: 60_000_999, accepter: 40_000_001, fee: 500, signer: bolt3.Accepter,
			want: [][]paid{{{40_000, accepterScript}, {59_500, openerScript}}, {{59_500, openerScript}}},
		},
		"equal amounts are ordered by script": {
			opener: 60_500_000, accepter: 60_000_000, fee: 500, signer: bolt3.Opener,
			want: [][]paid{{{60_000, openerScript}, {60_000, accepterScript}}, {{60_000, accepterScript}}},
		},
		"dust is left out": {
			opener: 99_647_000, accepter: 353_999, fee: 500, signer: bolt3.Opener,
			want: [][]paid{{{99_147, openerScript}}},
		},
		"dust by the fee": {
			opener: 853_000, accepter: 99_000_000, fee: 500, signer: bolt3.Opener,
			want: [][]paid{{{99_000, accepterScript}}},
		},
		"all of the opener's": {
			opener: 500_000, accepter: 99_000_000, fee: 500, signer: bolt3.Opener,
			want: [][]paid{{{99_000, accepterScript}}},
		},
		"fee too high": {opener: 499_999, accepter: 99_000_000, fee: 500, err: bolt3.ErrFeeTooHigh},
		"negative fee": {opener: 499_999, accepter: 99_000_000, fee: -1, err: bolt3.ErrFeeTooHigh},
		"nothing left": {opener: 600_000, accepter: 100_000, fee: 500, err: bolt3.ErrNothingLeft},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			channel := newChannel(t, 100_000, [2]btcutil.Amount{dust, dust})
			txs, err := channel.LegacyClosingTxs(bolt3.LegacyClosing{
				Payouts: [2]bolt3.Payout{
					{Balance: test.opener, PkScript: openerScript}, {Balance: test.accepter, PkScript: accepterScript},
				},
				Fee: test.fee,
			}, test.signer)
			require.ErrorIs(t, err, test.err)
			var got [][]paid
			for _, tx := range txs {
				require.Equal(t, uint32(0), tx.LockTime)
				require.Equal(t, uint32(0xffffffff), tx.TxIn[0].Sequence)
				require.Equal(t, int32(2), tx.Version)
				got = append(got, outputsOf(tx))
			}
			require.Equal(t, test.want, got)
		})
	}
}

// Each side leaves out what its own dust limit says: where they differ, the signature tells which transaction is meant.
func TestLegacyClosingUsesTheSignersDustLimit(t *testing.T) {
	t.Parallel()
	channel := newChannel(t, 100_000, [2]btcutil.Amount{bolt3.Opener: 354, bolt3.Accepter: 1000})
	closing := bolt3.LegacyClosing{
		Payouts: [2]bolt3.Payout{{Balance: 99_300_000, PkScript: openerScript}, {Balance: 700_000, PkScript: accepterScript}},
		Fee:     300,
	}
	openers, err := channel.LegacyClosingTxs(closing, bolt3.Opener)
	require.NoError(t, err)
	require.Len(t, openers[0].TxOut, 2)
	accepters, err := channel.LegacyClosingTxs(closing, bolt3.Accepter)
	require.NoError(t, err)
	require.Len(t, accepters, 1)
	require.Len(t, accepters[0].TxOut, 1)
}

func TestClosingTransactionsAreSignedByBoth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		channel := newChannel(t, 100_000, [2]btcutil.Amount{354, 354})
		openers := rapid.Uint64Range(1_000_000, 99_000_000).Draw(t, "opener")
		payouts := [2]bolt3.Payout{
			{Balance: lnwire.MilliSatoshi(openers), PkScript: openerScript},
			{Balance: lnwire.MilliSatoshi(100_000_000 - openers), PkScript: accepterScript},
		}
		var tx *wire.MsgTx
		if rapid.Bool().Draw(t, "simple") {
			var err error
			tx, err = channel.SimpleClosingTx(bolt3.SimpleClosing{
				Closer: payouts[bolt3.Accepter], Closee: payouts[bolt3.Opener], Fee: 500, LockTime: 600_000,
			}, bolt3.CloserAndCloseeOutputs)
			require.NoError(t, err)
		} else {
			txs, err := channel.LegacyClosingTxs(bolt3.LegacyClosing{Payouts: payouts, Fee: 500}, bolt3.Opener)
			require.NoError(t, err)
			tx = txs[0]
		}
		side := rapid.SampledFrom(sides).Draw(t, "side")
		own := signOne(t, side, channel.ClosingSignRequest(tx, fundingIndex))
		other := signOne(t, side.Other(), channel.ClosingSignRequest(tx, fundingIndex))
		require.NoError(t, channel.VerifyClosing(tx, side, own))
		require.NoError(t, channel.VerifyClosing(tx, side.Other(), other))
		require.ErrorIs(t, channel.VerifyClosing(tx, side, other), keys.ErrInvalidSignature)
		signed := channel.SignedClosing(tx, side, own, other)
		require.NoError(t, execute(signed, 0, channel.FundingOutput()))
		weight := lntypes.WeightUnit(blockchain.GetTransactionWeight(btcutil.NewTx(signed)))
		require.LessOrEqual(t, weight, bolt3.ClosingWeight(tx))
		require.LessOrEqual(t, bolt3.ClosingWeight(tx)-weight, lntypes.WeightUnit(12), "the bound is not generous")
		_, ok := channel.CommitmentNumber(signed)
		require.False(t, ok, "a closing transaction is no commitment")
	})
}

func TestSimpleClosingOffersAndChoice(t *testing.T) {
	t.Parallel()
	const closerOnly, closeeOnly, both = bolt3.CloserOutputOnly, bolt3.CloseeOutputOnly, bolt3.CloserAndCloseeOutputs
	type variants = []bolt3.ClosingVariant
	for name, test := range map[string]struct {
		closer, closee             lnwire.MilliSatoshi
		closerScript, closeeScript []byte
		fee                        btcutil.Amount
		closerWaives, closeeWaives bool
		offers                     variants
		offersErr                  error
		choice                     bolt3.ClosingVariant
		choiceErr                  error
	}{
		"the closer has more": {
			closer: 60_000_000, closee: 40_000_000, fee: 100, offers: variants{closerOnly, both}, choice: both,
		},
		"equal balances": {
			closer: 50_000_000, closee: 50_000_000, fee: 100, offers: variants{closerOnly, both}, choice: both,
		},
		"the closee gives up its output": {
			closer: 60_000_000, closee: 40_000_000, fee: 100, closeeWaives: true,
			offers: variants{closerOnly, both}, choice: closerOnly,
		},
		"the closee has dust": {
			closer: 99_671_000, closee: 329_999, fee: 100, offers: variants{closerOnly}, choice: closerOnly,
		},
		"the closee has just no dust": {
			closer: 99_670_000, closee: 330_000, fee: 100, offers: variants{closerOnly, both}, choice: both,
		},
		"the closer has less": {
			closer: 40_000_000, closee: 60_000_000, fee: 100, offers: variants{both}, choice: both,
		},
		"the closer has less by a millisatoshi": {
			closer: 49_999_999, closee: 50_000_001, fee: 100, offers: variants{both}, choice: both,
		},
		"the closer with less gives up its output": {
			closer: 40_000_000, closee: 60_000_000, fee: 100, closerWaives: true,
			offers: variants{closeeOnly, both}, choice: both,
		},
		"the closer with more cannot give up its output": {
			closer: 60_000_000, closee: 40_000_000, fee: 100, closerWaives: true,
			offers: variants{closerOnly, both}, choice: both,
		},
		"the closer with less has dust after the fee": {
			closer: 393_000, closee: 99_607_000, fee: 100, offers: variants{closeeOnly}, choice: closeeOnly,
		},
		"a closee with more cannot give up its output": {
			closer: 393_000, closee: 99_607_000, fee: 100, closeeWaives: true,
			offers: variants{closeeOnly}, choiceErr: bolt3.ErrVariantMissing,
		},
		"an OP_RETURN is never dust and never given up": {
			closer: 10_000, closee: 99_990_000, closerScript: opReturn, fee: 10, closerWaives: true,
			offers: variants{both}, choice: both,
		},
		"the closee's OP_RETURN is not given up": {
			closer: 99_990_000, closee: 10_000, closeeScript: opReturn, fee: 10, closeeWaives: true,
			offers: variants{closerOnly, both}, choice: both,
		},
		"everything is dust": {
			closer: 99_671_000, closee: 329_000, fee: 99_500, offersErr: bolt3.ErrNothingLeft, choiceErr: bolt3.ErrVariantMissing,
		},
		"fee too high": {
			closer: 999_999, closee: 99_000_000, fee: 1000, offersErr: bolt3.ErrFeeTooHigh, choiceErr: bolt3.ErrFeeTooHigh,
		},
		"negative fee": {
			closer: 999_999, closee: 99_000_000, fee: -1, offersErr: bolt3.ErrFeeTooHigh, choiceErr: bolt3.ErrFeeTooHigh,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closing := bolt3.SimpleClosing{
				Closer: bolt3.Payout{Balance: test.closer, PkScript: openerScript},
				Closee: bolt3.Payout{Balance: test.closee, PkScript: accepterScript},
				Fee:    test.fee,
			}
			if test.closerScript != nil {
				closing.Closer.PkScript = test.closerScript
			}
			if test.closeeScript != nil {
				closing.Closee.PkScript = test.closeeScript
			}
			offers, err := closing.Offers(test.closerWaives)
			require.ErrorIs(t, err, test.offersErr)
			require.Equal(t, test.offers, offers)
			choice, err := closing.Choose(offers, test.closeeWaives)
			require.ErrorIs(t, err, test.choiceErr)
			require.Equal(t, test.choice, choice)
		})
	}
}

func TestSimpleClosingTransactions(t *testing.T) {
	t.Parallel()
	channel := newChannel(t, 100_000, [2]btcutil.Amount{354, 354})
	closing := bolt3.SimpleClosing{
		Closer: bolt3.Payout{Balance: 60_000_999, PkScript: openerScript},
		Closee: bolt3.Payout{Balance: 39_999_001, PkScript: accepterScript},
		Fee:    700, LockTime: 654_321,
	}
	build := func(variant bolt3.ClosingVariant) []paid {
		tx, err := channel.SimpleClosingTx(closing, variant)
		require.NoError(t, err)
		require.Equal(t, uint32(654_321), tx.LockTime)
		require.Equal(t, uint32(0xfffffffd), tx.TxIn[0].Sequence)
		return outputsOf(tx)
	}
	require.Equal(t, []paid{{59_300, openerScript}}, build(bolt3.CloserOutputOnly))
	require.Equal(t, []paid{{39_999, accepterScript}}, build(bolt3.CloseeOutputOnly))
	require.Equal(t, []paid{{39_999, accepterScript}, {59_300, openerScript}}, build(bolt3.CloserAndCloseeOutputs))
	closing.Closer.PkScript = opReturn
	require.Equal(t, []paid{{0, opReturn}, {39_999, accepterScript}}, build(bolt3.CloserAndCloseeOutputs))

	_, err := channel.SimpleClosingTx(closing, 0)
	require.Error(t, err)
	closing.Fee = 60_001
	_, err = channel.SimpleClosingTx(closing, bolt3.CloserOutputOnly)
	require.ErrorIs(t, err, bolt3.ErrFeeTooHigh)
}
