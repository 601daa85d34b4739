package channel

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"

	"stormcell/chain/fees"
	"stormcell/peer/wire"
)

// What reaches a channel besides durable messages; all of it volatile.
type (
	// Connected says that the peer is there. Link numbers the connection, from 1, and is never used again in this process.
	Connected struct {
		Link     uint64
		Features wire.Features // negotiated
	}
	// Disconnected says that a connection is gone.
	Disconnected struct{ Link uint64 }
	// Received is a wire message about this channel. It must not be changed afterwards.
	Received struct {
		Link    uint64
		Message wire.Message
	}
	// Height says how many blocks the chain has.
	Height struct{ Height uint32 }
	// FundingSpend names a transaction in a block that spends the funding, but may be reorganised out; nil takes that back.
	FundingSpend struct{ TxID *chainhash.Hash }
	// SetFeeRate asks for another fee rate of the commitments.
	SetFeeRate struct{ Rate fees.SatPerKW }
	// ForceClose asks to close by publishing our commitment.
	ForceClose struct{}
	// Figures asks for a channel's figures; the answer is Balances.
	Figures struct{}
	// Describe asks for all that people may want to know; the answer is an Info.
	Describe struct{}
)

// Balances answers Figures.
type Balances struct {
	Local, Remote  wire.MilliSatoshi // without HTLCs, before fee
	Room           Room
	Sent, Received wire.MilliSatoshi
}

// What leaves a channel, for the World to carry out.
type (
	// SendWire sends a message to the peer, if that connection is still there.
	SendWire struct {
		Peer    [33]byte
		Link    uint64
		Message wire.Message
	}
	// Hangup closes a connection, if it is still there.
	Hangup struct {
		Peer   [33]byte
		Link   uint64
		Reason error
	}
	// Publish broadcasts a transaction, again and again until it or a conflicting one confirms.
	Publish struct{ Tx *btcwire.MsgTx }
	// Failing says why the channel closes without the peer's consent.
	Failing struct{ Reason string }
	// Withheld says why our commitment would be published, were it not in doubt whether it is the latest; Proved, that it is.
	Withheld struct{ Reason string }
	Proved   struct{}
	// Changed says that the channel has come further, or that its peer came or went: who lists channels may look again.
	Changed struct{}
	// WatchFunding asks for FundingConfirmed, FundingUndone and FundingSpent, from a height on.
	WatchFunding struct {
		Outpoint btcwire.OutPoint
		Output   *btcwire.TxOut
		Depth    uint32 // confirmations of the funding
		Spent    uint32 // confirmations of what spends it
		Since    uint32 // height
		// Told is what the channel was told and nobody has taken back, without the transaction; nil for nothing.
		Told *FundingConfirmed
	}
)

// Messages to itself.
type (
	signNow    struct{}
	prepareNow struct{}
	outOfReach struct{} // the peer has been away for too long
	publishNow struct{}
	// revocationLate ends a connection over which the peer has not revoked its commitment of that number.
	revocationLate struct{ link, number uint64 }
)

// Timers: patience ends the waiting of adds, late an opening that takes too long, unrevoked the waiting for a revocation, retry
// tries again what the signer could not do.
const (
	patience  = "patience"
	late      = "late opening"
	unrevoked = "unrevoked"
	retry     = "retry"
)
