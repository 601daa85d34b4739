package bolt3_test

import (
	"slices"
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

var somewhere = append([]byte{txscript.OP_0, 20}, make([]byte, 20)...)

// sweep takes an output alone, and gives the transaction, unsigned.
func sweep(spend *bolt3.Spend) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	tx.LockTime = spend.LockTime
	tx.AddTxIn(spend.TxIn())
	tx.AddTxOut(wire.NewTxOut(1, somewhere))
	return tx
}

// requireSpends shows that the spender's signature takes the output, that nobody else's does, and that no lock can be
// left out.
func requireSpends(t require.TestingT, spender bolt3.Side, spend *bolt3.Spend, spent *wire.TxOut) {
	try := func(side bolt3.Side, change func(tx *wire.MsgTx)) (*wire.MsgTx, error) {
		tx := sweep(spend)
		change(tx)
		tx.TxIn[0].Witness = spend.Witness(signOne(t, side, spend.SignRequest(tx, 0)))
		return tx, execute(tx, 0, spent)
	}
	require.Equal(t, spent.Value, int64(spend.Amount))
	tx, err := try(spender, func(*wire.MsgTx) {})
	require.NoError(t, err)
	bound := lntypes.WeightUnit(4*tx.SerializeSizeStripped()+2) + spend.WitnessWeight()
	weight := lntypes.WeightUnit(blockchain.GetTransactionWeight(btcutil.NewTx(tx)))
	require.LessOrEqual(t, weight, bound)
	require.LessOrEqual(t, bound-weight, lntypes.WeightUnit(8), "the bound is not generous")

	_, err = try(spender.Other(), func(*wire.MsgTx) {})
	require.Error(t, err, "the other side's key")
	if spend.Sequence < wire.SequenceLockTimeDisabled && spend.Sequence > 0 {
		_, err = try(spender, func(tx *wire.MsgTx) { tx.TxIn[0].Sequence-- })
		require.Error(t, err, "a block too early")
		_, err = try(spender, func(tx *wire.MsgTx) { tx.Version = 1 })
		require.Error(t, err, "version 1 has no relative locks")
	}
	if spend.LockTime > 0 {
		_, err = try(spender, func(tx *wire.MsgTx) { tx.LockTime-- })
		require.Error(t, err, "before the expiry")
	}
}

func find(t require.TestingT, c *bolt3.Commitment, kind bolt3.OutputKind) (int, bool) {
	found := -1
	for i, output := range c.Outputs {
		if output.Kind == kind {
			require.Equal(t, -1, found, "one output of %s", kind)
			found = i
		}
	}
	return found, found >= 0
}

// In any state, either side's commitment can be published, and every output taken by whom it is for, on every path that
// it has: current or revoked, with a preimage or after its expiry, directly or through an HTLC transaction.
func TestEverySpendPathOfEveryOutput(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := anyState.Draw(t, "state")
		c := commit(t, s.channel, s.side, s.spec)
		broadcaster, countersigner := s.side, s.side.Other()
		secret, err := signers()[broadcaster].ReleaseSecret(channelIndex, s.spec.Number)
		require.NoError(t, err)
		signature, htlcSignatures := countersign(t, c)

		published := c.Signed(signOne(t, broadcaster, c.SignRequest(fundingIndex)), signature)
		require.NoError(t, execute(published, 0, s.channel.FundingOutput()))
		require.Equal(t, c.TxID, published.TxHash())
		require.Empty(t, c.Tx.TxIn[0].Witness, "Signed works on a copy")
		weight := lntypes.WeightUnit(blockchain.GetTransactionWeight(btcutil.NewTx(published)))
		require.LessOrEqual(t, weight, bolt3.CommitmentWeight+
			bolt3.HTLCOutputWeight*lntypes.WeightUnit(len(c.HTLCTxs())))

		if i, ok := find(t, c, bolt3.ToBroadcaster); ok {
			spend, err := c.DelayedSpend(i, channelIndex)
			require.NoError(t, err)
			require.Equal(t, uint32(s.channel.Parties[broadcaster].ToSelfDelay), spend.Sequence)
			requireSpends(t, broadcaster, spend, c.Tx.TxOut[i])
			spend, err = c.PenaltySpend(i, channelIndex, secret)
			require.NoError(t, err)
			requireSpends(t, countersigner, spend, c.Tx.TxOut[i])
		}
		if i, ok := find(t, c, bolt3.ToCountersigner); ok {
			spend, err := c.PaymentSpend(i, channelIndex)
			require.NoError(t, err)
			requireSpends(t, countersigner, spend, c.Tx.TxOut[i])
		}
		for kind, owner := range map[bolt3.OutputKind]bolt3.Side{
			bolt3.BroadcasterAnchor: broadcaster, bolt3.CountersignerAnchor: countersigner,
		} {
			if i, ok := find(t, c, kind); ok {
				spend, err := c.AnchorSpend(i, fundingIndex)
				require.NoError(t, err)
				requireSpends(t, owner, spend, c.Tx.TxOut[i])
				requireAnyoneTakesTheAnchor(t, c, i)
			}
		}
		for n, tx := range c.HTLCTxs() {
			requireHTLCSpends(t, s, c, &tx, htlcSignatures[n], secret)
		}
	})
}

func requireHTLCSpends(
	t require.TestingT, s state, c *bolt3.Commitment, tx *bolt3.HTLCTx, countersigner lnwire.Sig, secret keys.Secret,
) {
	spent := c.Tx.TxOut[tx.Output]
	preimage := preimageFor(t, tx.HTLC)

	penalty, err := c.PenaltySpend(tx.Output, channelIndex, secret)
	require.NoError(t, err)
	requireSpends(t, s.side.Other(), penalty, spent)
	claim, err := c.PreimageSpend(tx.Output, channelIndex, preimage)
	if tx.HTLC.Direction == bolt3.Offered {
		require.NoError(t, err)
		requireSpends(t, s.side.Other(), claim, spent)
		wrong, err := c.PreimageSpend(tx.Output, channelIndex, [32]byte{1})
		require.NoError(t, err)
		attempt := sweep(wrong)
		attempt.TxIn[0].Witness = wrong.Witness(signOne(t, s.side.Other(), wrong.SignRequest(attempt, 0)))
		require.Error(t, execute(attempt, 0, spent), "another preimage")
	} else {
		require.ErrorIs(t, err, bolt3.ErrWrongOutput)
	}
	timeout, err := c.TimeoutSpend(tx.Output, channelIndex)
	if tx.HTLC.Direction == bolt3.Received {
		require.NoError(t, err)
		requireSpends(t, s.side.Other(), timeout, spent)
	} else {
		require.ErrorIs(t, err, bolt3.ErrWrongOutput)
	}

	// The broadcaster's own way: the HTLC transaction, alone or with an input and an output more that pay its fee.
	require.NoError(t, tx.Verify(countersigner))
	alone := tx.Tx.Copy()
	alone.TxIn[0].Witness = tx.Witness(signOne(t, s.side, tx.SignRequest(channelIndex, alone, 0)), countersigner, preimage)
	require.NoError(t, execute(alone, 0, spent))
	limit := bolt3.HTLCTimeoutWeight
	if tx.HTLC.Direction == bolt3.Received {
		limit = bolt3.HTLCSuccessWeight
	}
	require.LessOrEqual(t, lntypes.WeightUnit(blockchain.GetTransactionWeight(btcutil.NewTx(alone))), limit)

	bumped := tx.Tx.Copy()
	bumped.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: 5}})
	bumped.AddTxOut(wire.NewTxOut(1_000, somewhere))
	own := signOne(t, s.side, tx.SignRequest(channelIndex, bumped, 0))
	bumped.TxIn[0].Witness = tx.Witness(own, countersigner, preimage)
	require.NoError(t, execute(bumped, 0, spent))

	if tx.HTLC.Direction == bolt3.Offered {
		early := tx.Tx.Copy()
		early.LockTime--
		early.TxIn[0].Witness = tx.Witness(
			signOne(t, s.side, tx.SignRequest(channelIndex, early, 0)), countersigner, preimage)
		require.Error(t, execute(early, 0, spent), "the countersigner signed the expiry")
	} else {
		without := tx.Tx.Copy()
		without.TxIn[0].Witness = tx.Witness(
			signOne(t, s.side, tx.SignRequest(channelIndex, without, 0)), countersigner, [32]byte{1})
		require.Error(t, execute(without, 0, spent), "another preimage")
	}

	outpoint := wire.OutPoint{Hash: bumped.TxHash()}
	requireSpends(t, s.side, c.HTLCTxSpend(outpoint, tx.HTLC, channelIndex), bumped.TxOut[0])
	requireSpends(t, s.side.Other(), c.HTLCTxPenaltySpend(outpoint, tx.HTLC, channelIndex, secret), bumped.TxOut[0])
}

// preimageFor finds the preimage among the few that anyState uses.
func preimageFor(t require.TestingT, htlc bolt3.HTLC) [32]byte {
	for secret := range uint64(3) {
		if newHTLC(0, 0, 0, secret, 0).PaymentHash == htlc.PaymentHash {
			return preimageOf(secret)
		}
	}
	require.FailNow(t, "no preimage")
	return [32]byte{}
}

func requireAnyoneTakesTheAnchor(t require.TestingT, c *bolt3.Commitment, output int) {
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{
		PreviousOutPoint: wire.OutPoint{Hash: c.TxID, Index: uint32(output)},
		Sequence:         16, Witness: wire.TxWitness{nil, c.Outputs[output].WitnessScript},
	})
	tx.AddTxOut(wire.NewTxOut(1, somewhere))
	require.NoError(t, execute(tx, 0, c.Tx.TxOut[output]))
	tx.TxIn[0].Sequence = 15
	require.Error(t, execute(tx, 0, c.Tx.TxOut[output]))
}

func TestSpendsRefuseOutputsOfOtherKinds(t *testing.T) {
	t.Parallel()
	channel := newChannel(t, 100_000, [2]btcutil.Amount{354, 354})
	c := commit(t, channel, bolt3.Opener, bolt3.Spec{
		ToBroadcaster: 50_000_000, ToCountersigner: 46_000_000,
		HTLCs: []bolt3.HTLC{newHTLC(1, bolt3.Offered, 4_000_000, 1, 501)},
	})
	allowed := map[string][]bolt3.OutputKind{
		"delayed": {bolt3.ToBroadcaster},
		"payment": {bolt3.ToCountersigner},
		"anchor":  {bolt3.BroadcasterAnchor, bolt3.CountersignerAnchor},
		"claim":   {bolt3.HTLCOutput},
		"timeout": {}, // there is no received HTLC
		"penalty": {bolt3.ToBroadcaster, bolt3.HTLCOutput},
	}
	for name, spend := range map[string]func(output int) (*bolt3.Spend, error){
		"delayed": func(output int) (*bolt3.Spend, error) { return c.DelayedSpend(output, 0) },
		"payment": func(output int) (*bolt3.Spend, error) { return c.PaymentSpend(output, 0) },
		"anchor":  func(output int) (*bolt3.Spend, error) { return c.AnchorSpend(output, 0) },
		"claim":   func(output int) (*bolt3.Spend, error) { return c.PreimageSpend(output, 0, [32]byte{}) },
		"timeout": func(output int) (*bolt3.Spend, error) { return c.TimeoutSpend(output, 0) },
		"penalty": func(output int) (*bolt3.Spend, error) { return c.PenaltySpend(output, 0, keys.Secret{}) },
	} {
		for _, output := range []int{-1, len(c.Outputs)} {
			_, err := spend(output)
			require.ErrorIs(t, err, bolt3.ErrWrongOutput, name)
		}
		for i, output := range c.Outputs {
			_, err := spend(i)
			if slices.Contains(allowed[name], output.Kind) {
				require.NoError(t, err, "%s of %s", name, output.Kind)
			} else {
				require.ErrorIs(t, err, bolt3.ErrWrongOutput, "%s of %s", name, output.Kind)
			}
		}
	}
}
