// Package bolt3 builds the scripts and transactions of BOLT 3 for channels with option_static_remotekey and option_anchors
// (zero-fee HTLC transactions), and checks and completes them. It is arithmetic on plain values: no keys, clocks or I/O.
//
// A commitment belongs to its broadcaster, whom BOLT 3 calls "local"; the other side, whose signature makes it valid, is
// its countersigner. Both sides build both commitments, and from equal descriptions they build equal ones.
package bolt3

import (
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"

	"stormcell/chain/keys"
)

// Side is one end of a channel, named by who opened it.
type Side uint8

const (
	Opener   Side = iota // pays the commitment's fee and anchors
	Accepter             // pays nothing
)

// Other is the opposite side.
func (s Side) Other() Side { return 1 - s }

func (s Side) String() string {
	switch s {
	case Opener:
		return "opener"
	case Accepter:
		return "accepter"
	default:
		return fmt.Sprintf("side %d", uint8(s))
	}
}

// Party is what one side of a channel fixed when the channel was opened, or spliced.
type Party struct {
	FundingKey *btcec.PublicKey
	Basepoints keys.Basepoints
	// DustLimit is the amount below which this side's own commitment has no output.
	DustLimit btcutil.Amount
	// ToSelfDelay is for how many blocks this side's own outputs are locked on its own commitment. The other side chose it:
	// it is the `to_self_delay` of the message that the other side sent.
	ToSelfDelay uint16
}

// Channel is one funding of a channel, alike on both sides. It is not changed after it has been made, but for what Prepare
// remembers, which shows nowhere.
type Channel struct {
	Outpoint wire.OutPoint
	Capacity btcutil.Amount
	Parties  [2]Party // by Side

	next [2]prepared // by the Side of the broadcaster
}

// FundingScript is the witness script of the funding output.
func (c *Channel) FundingScript() []byte {
	return fundingScript(c.Parties[Opener].FundingKey, c.Parties[Accepter].FundingKey)
}

// FundingOutput is the output that the funding transaction has at the outpoint.
func (c *Channel) FundingOutput() *wire.TxOut {
	return wire.NewTxOut(int64(c.Capacity), p2wsh(c.FundingScript()))
}

// fundingInput is what a signature over the given transaction, which spends the funding output first, commits to.
func (c *Channel) fundingInput(tx *wire.MsgTx) keys.Input {
	return keys.Input{Tx: tx, Amount: c.Capacity, WitnessScript: c.FundingScript(), HashType: sigHashAll}
}
