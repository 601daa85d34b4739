package channel

import (
	"time"

	"github.com/btcsuite/btcd/btcutil"

	"stormcell/chain/fees"
	"stormcell/peer/wire"
)

// Policy is what the operator risks. Its zero value risks nothing: use DefaultPolicy.
type Policy struct {
	// MaxDustExposure bounds the HTLCs without an output on a commitment: a unilateral close loses them.
	MaxDustExposure wire.MilliSatoshi
	// MaxExpiryDelta is how many blocks ahead an HTLC that we offer may expire, and so how long it can lock funds.
	MaxExpiryDelta uint32
	// TimeoutGrace is how many blocks after its expiry an HTLC of ours may still be in a commitment before we publish ours.
	TimeoutGrace uint32
	// FulfillDeadline is how many blocks before its expiry an HTLC that we have claimed must be gone, else we publish ours.
	FulfillDeadline uint32
	// MinFeeRate and MaxFeeRate bound what an opener may set. With anchors a low rate is harmless, so they are wide.
	MinFeeRate, MaxFeeRate fees.SatPerKW
	// MinCapacity is the smallest channel worth its fees.
	MinCapacity btcutil.Amount
	// HTLCMinimum and MaxAcceptedHTLCs are what we lay down for HTLCs of the peer.
	HTLCMinimum      wire.MilliSatoshi
	MaxAcceptedHTLCs uint16
	// ToSelfDelay (blocks) and depth (confirmations) go from the smaller to the larger as capacity goes up to 2^24 sat.
	MinToSelfDelay, MaxToSelfDelay uint16
	MinDepth, MaxDepth             uint32
	// OfflinePatience is how long an HTLC waits for a peer that is away before it is refused.
	OfflinePatience time.Duration
	// RevocationPatience is how long the peer may take to revoke what we signed anew before the connection is ended: it may be
	// half dead, and nothing can be signed meanwhile.
	RevocationPatience time.Duration
	// OpeningPatience is how long an opening may take until both sides have signed.
	OpeningPatience time.Duration
}

// DefaultPolicy is what most nodes want.
func DefaultPolicy() Policy {
	return Policy{
		MaxDustExposure: wire.MilliSatoshi(50_000_000),
		MaxExpiryDelta:  2016,
		TimeoutGrace:    3,
		FulfillDeadline: 18,
		MinFeeRate:      250,
		MaxFeeRate:      fees.Cap,
		MinCapacity:     20_000,
		HTLCMinimum:     1, MaxAcceptedHTLCs: maxHTLCs,
		MinToSelfDelay: 144, MaxToSelfDelay: 2016,
		MinDepth: 3, MaxDepth: 6,
		OfflinePatience: 10 * time.Second, RevocationPatience: time.Minute,
		OpeningPatience: 10 * time.Minute,
	}
}
