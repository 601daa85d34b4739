package light

import (
	"testing"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightninglabs/neutrino/pushtx"
	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
	"stormcell/chain/fees"
)

func TestAverageRateIsWhatTheCoinbaseTakes(t *testing.T) {
	t.Parallel()
	const height = 850_000
	subsidy := blockchain.CalcBlockSubsidy(height, &chaincfg.MainNetParams)
	block := blockOf(subsidy+10_000_000, 3_900_000)
	require.InDelta(t, 10_000_000*1000/3_900_000, uint32(averageRate(block, height, &chaincfg.MainNetParams)), 2)

	require.Equal(t, fees.Floor, averageRate(blockOf(subsidy+10_000_000, 1_000_000), height, &chaincfg.MainNetParams),
		"there was room for more")
	require.Zero(t, averageRate(blockOf(subsidy-1, 3_900_000), height, &chaincfg.MainNetParams),
		"a miner may take less than is due")
}

func TestEstimateDependsOnTheTarget(t *testing.T) {
	t.Parallel()
	rates := []fees.SatPerKW{1000, 2000, 3000, 4000, 5000, 6000}
	for blocks, want := range map[uint32]fees.SatPerKW{0: 6000, 1: 6000, 2: 6000, 3: 4000, 6: 4000, 7: 1000, 1008: 1000} {
		require.Equal(t, want, pick(rates, blocks), blocks)
	}
}

func TestNodesRefusals(t *testing.T) {
	t.Parallel()
	low, err := publishResult(&pushtx.BroadcastError{Code: pushtx.InsufficientFee, Reason: "rejected by x: 66"})
	require.NoError(t, err)
	require.Equal(t, backend.FeeTooLow, low.Status)
	known, err := publishResult(&pushtx.BroadcastError{Reason: "rejected by x: already have transaction 5ab2"})
	require.NoError(t, err)
	require.Equal(t, backend.AlreadyKnown, known.Status)
	_, err = publishResult(pushtx.ErrBroadcasterStopped)
	require.ErrorIs(t, err, pushtx.ErrBroadcasterStopped)
}

// blockOf is a block of about that weight whose coinbase takes that many satoshis.
func blockOf(taken int64, weight int) *wire.MsgBlock {
	coinbase := wire.NewMsgTx(2)
	coinbase.AddTxIn(wire.NewTxIn(&wire.OutPoint{}, nil, nil))
	coinbase.AddTxOut(wire.NewTxOut(taken, nil))
	filler := wire.NewMsgTx(2)
	filler.AddTxIn(wire.NewTxIn(&wire.OutPoint{}, make([]byte, weight/4), nil))
	return &wire.MsgBlock{Transactions: []*wire.MsgTx{coinbase, filler}}
}
