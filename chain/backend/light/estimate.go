package light

import (
	"context"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lntypes"

	"stormcell/chain/backend"
	"stormcell/chain/fees"
)

const (
	// sampled is how many blocks an estimate is made from.
	sampled = 6

	// fullWeight is the weight from which on a block counts as full: 90 % of what a block may weigh. One that is not had room
	// for everything that paid the minimum.
	fullWeight = blockchain.MaxBlockWeight / 10 * 9
)

// EstimateFee judges by what the last blocks paid on average, which it downloads whole: for up to two blocks by the dearest of
// the last six, for up to six by the one in the middle, beyond by the cheapest. What waits in mempools it cannot see, so whoever
// is in a hurry should bump the fee of what does not confirm.
func (c *Client) EstimateFee(ctx context.Context, blocks uint32) (fees.SatPerKW, error) {
	best, err := c.BestBlock(ctx)
	if err != nil {
		return 0, err
	}
	if best.Height < sampled {
		return 0, backend.ErrNoEstimate
	}
	var rates []fees.SatPerKW
	for height := best.Height - sampled + 1; height <= best.Height; height++ {
		hash, err := c.HashAt(ctx, height)
		if err != nil {
			return 0, fmt.Errorf("estimate a fee: %w", err)
		}
		block, err := c.Block(ctx, hash)
		if err != nil {
			return 0, fmt.Errorf("estimate a fee: %w", err)
		}
		rates = append(rates, averageRate(block, height, c.config.Network.Params()))
	}
	slices.Sort(rates)
	return pick(rates, blocks).Clamp(), nil
}

// pick takes the rate for a target out of sorted ones.
func pick(rates []fees.SatPerKW, blocks uint32) fees.SatPerKW {
	switch {
	case blocks <= 2:
		return rates[len(rates)-1]
	case blocks <= 6:
		return rates[len(rates)/2]
	default:
		return rates[0]
	}
}

// averageRate is what a block's transactions paid: all that its coinbase takes beyond the subsidy. In a block that is not full
// it is the minimum.
func averageRate(block *wire.MsgBlock, height uint32, params *chaincfg.Params) fees.SatPerKW {
	weight := blockchain.GetBlockWeight(btcutil.NewBlock(block))
	if weight < fullWeight {
		return fees.Floor
	}
	var taken int64
	for _, out := range block.Transactions[0].TxOut {
		taken += out.Value
	}
	subsidy := blockchain.CalcBlockSubsidy(int32(height), params)
	return fees.Of(btcutil.Amount(taken-subsidy), lntypes.WeightUnit(weight))
}
