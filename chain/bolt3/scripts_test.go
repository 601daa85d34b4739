package bolt3_test

import (
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/lightningnetwork/lnd/input"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/chain/bolt3"
)

// Every script that a commitment has is the one that lnd's input package makes.
func TestScriptsAreThoseOfLnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := anyState.Draw(t, "state")
		own, other := s.channel.Parties[s.side], s.channel.Parties[s.side.Other()]
		c := commit(t, s.channel, s.side, s.spec)
		for _, output := range c.Outputs {
			var want []byte
			var err error
			switch output.Kind {
			case bolt3.ToBroadcaster:
				want, err = input.CommitScriptToSelf(uint32(own.ToSelfDelay), c.Keys.BroadcasterDelayed, c.Keys.Revocation)
			case bolt3.ToCountersigner:
				want, err = input.CommitScriptToRemoteConfirmed(other.Basepoints.Payment)
			case bolt3.BroadcasterAnchor:
				want, err = input.CommitScriptAnchor(own.FundingKey)
			case bolt3.CountersignerAnchor:
				want, err = input.CommitScriptAnchor(other.FundingKey)
			case bolt3.HTLCOutput:
				if h := output.HTLC; h.Direction == bolt3.Offered {
					want, err = input.SenderHTLCScript(c.Keys.BroadcasterHTLC, c.Keys.CountersignerHTLC, c.Keys.Revocation,
						h.PaymentHash[:], true)
				} else {
					want, err = input.ReceiverHTLCScript(h.Expiry, c.Keys.CountersignerHTLC, c.Keys.BroadcasterHTLC,
						c.Keys.Revocation, h.PaymentHash[:], true)
				}
			}
			require.NoError(t, err)
			require.Equal(t, want, output.WitnessScript, "%s", output.Kind)
			pkScript, err := input.WitnessScriptHash(want)
			require.NoError(t, err)
			require.Equal(t, pkScript, output.PkScript)
		}
		second, err := input.SecondLevelHtlcScript(c.Keys.Revocation, c.Keys.BroadcasterDelayed, uint32(own.ToSelfDelay))
		require.NoError(t, err)
		pkScript, err := input.WitnessScriptHash(second)
		require.NoError(t, err)
		for _, tx := range c.HTLCTxs() {
			require.Equal(t, pkScript, tx.Tx.TxOut[0].PkScript)
		}
		funding, err := input.GenMultiSigScript(
			other.FundingKey.SerializeCompressed(), own.FundingKey.SerializeCompressed())
		require.NoError(t, err)
		require.Equal(t, funding, s.channel.FundingScript())
	})
}

// A delay or expiry of 16 or less is a single opcode in a script.
func TestSmallNumbersInScripts(t *testing.T) {
	t.Parallel()
	for _, small := range []uint32{0, 1, 16, 17, 127, 128} {
		channel := newChannel(t, 100_000, [2]btcutil.Amount{354, 354})
		channel.Parties[bolt3.Opener].ToSelfDelay = uint16(small)
		c := commit(t, channel, bolt3.Opener, bolt3.Spec{
			ToBroadcaster: 96_000_000, HTLCs: []bolt3.HTLC{newHTLC(1, bolt3.Received, 4_000_000, 1, small)},
		})
		for _, output := range c.Outputs {
			switch output.Kind {
			case bolt3.ToBroadcaster:
				want, err := input.CommitScriptToSelf(small, c.Keys.BroadcasterDelayed, c.Keys.Revocation)
				require.NoError(t, err)
				require.Equal(t, want, output.WitnessScript)
			case bolt3.HTLCOutput:
				want, err := input.ReceiverHTLCScript(small, c.Keys.CountersignerHTLC, c.Keys.BroadcasterHTLC,
					c.Keys.Revocation, output.HTLC.PaymentHash[:], true)
				require.NoError(t, err)
				require.Equal(t, want, output.WitnessScript)
			}
			require.True(t, txscript.IsPayToWitnessScriptHash(output.PkScript))
		}
	}
}
