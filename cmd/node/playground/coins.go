package playground

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
)

// anybody is the script of coins that whoever wants can spend; the blocks' are such.
var anybody = []byte{txscript.OP_TRUE}

// nobody is the address of these coins.
func nobody() btcutil.Address {
	hash := sha256.Sum256(anybody)
	address, err := btcutil.NewAddressWitnessScriptHash(hash[:], &chaincfg.RegressionNetParams)
	if err != nil {
		panic(err) // a hash has always the right length
	}
	return address
}

// gift is what Alice gets of the first block, and giftFee what its transaction costs.
const (
	gift    = btcutil.SatoshiPerBitcoin
	giftFee = 1000
)

// fund gives Alice some of the first block's coins, if she has none.
func (p *playground) fund(ctx context.Context) error {
	has, err := p.hasMoney(ctx, p.alice)
	if has || err != nil {
		return err
	}
	var answer struct{ Address string }
	if err := p.ask(ctx, p.alice, &answer, "newaddress"); err != nil {
		return err
	}
	to, err := btcutil.DecodeAddress(answer.Address, &chaincfg.RegressionNetParams)
	if err != nil {
		return err
	}
	p.say("\nAlice gets 1 BTC of the first block:")
	if err := p.chain.give(to, gift); err != nil {
		return err
	}
	err = p.until(ctx, &p.alice.process, func() bool {
		has, err = p.hasMoney(ctx, p.alice)
		return has || err != nil
	})
	if err != nil {
		return err
	}
	return p.enter(ctx, p.alice, "balance")
}

// hasMoney tells whether a node has confirmed coins or money in channels.
func (p *playground) hasMoney(ctx context.Context, d *daemon) (bool, error) {
	var answer struct {
		Wallet struct {
			Confirmed string `json:"confirmed_balance"`
		}
		Channels struct{ Balance string }
	}
	err := p.ask(ctx, d, &answer, "balance")
	return answer.Wallet.Confirmed != "0" || answer.Channels.Balance != "0", err
}

// give pays from the first block's coins. It works once.
func (c *chain) give(to btcutil.Address, amount btcutil.Amount) error {
	hash, err := c.client.GetBlockHash(1)
	if err != nil {
		return fmt.Errorf("the first block: %w", err)
	}
	block, err := c.client.GetBlock(hash)
	if err != nil {
		return fmt.Errorf("the first block: %w", err)
	}
	coinbase := block.Transactions[0]
	script, err := txscript.PayToAddrScript(to)
	if err != nil {
		return err
	}
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: coinbase.TxHash()}, nil, wire.TxWitness{anybody}))
	tx.AddTxOut(wire.NewTxOut(int64(amount), script))
	tx.AddTxOut(wire.NewTxOut(coinbase.TxOut[0].Value-int64(amount)-giftFee, coinbase.TxOut[0].PkScript))
	if _, err := c.client.SendRawTransaction(tx, true); err != nil {
		return fmt.Errorf("give coins: %w", err)
	}
	return nil
}
