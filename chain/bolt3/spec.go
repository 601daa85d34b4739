package bolt3

import (
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/chain/fees"
	"stormcell/chain/keys"
)

var (
	// ErrUnbalanced refuses a description whose amounts do not sum up to the capacity of the channel.
	ErrUnbalanced = errors.New("balances and HTLCs do not sum up to the capacity")
	// ErrCannotPayAnchors refuses a description whose opener has less than the two anchors cost, so that the outputs would
	// exceed the funding.
	ErrCannotPayAnchors = errors.New("the opener cannot pay for the anchors")
	// ErrExpiryIsATime refuses an HTLC whose expiry Bitcoin would read as a time rather than a height.
	ErrExpiryIsATime = errors.New("cltv expiry is not a block height")
)

// Direction is the way an HTLC goes, as its commitment's broadcaster sees it.
type Direction uint8

const (
	Offered  Direction = iota // the broadcaster pays
	Received                  // the broadcaster is paid
)

func (d Direction) String() string {
	switch d {
	case Offered:
		return "offered"
	case Received:
		return "received"
	default:
		return fmt.Sprintf("direction %d", uint8(d))
	}
}

// HTLC is one HTLC of a commitment. Each side numbers those that it offers, so Direction and ID together name it.
type HTLC struct {
	ID          uint64
	Direction   Direction
	Amount      lnwire.MilliSatoshi
	PaymentHash [32]byte
	Expiry      uint32 // block height
}

// Trimmed tells whether the HTLC has no output on a commitment with the given dust limit; its amount then goes to fees.
func (h *HTLC) Trimmed(dustLimit btcutil.Amount) bool { return h.Amount.ToSatoshis() < dustLimit }

// Spec describes one commitment as its broadcaster sees it. Balances are before fee and anchors, and without the HTLCs.
type Spec struct {
	Number          uint64
	FeeRate         fees.SatPerKW
	ToBroadcaster   lnwire.MilliSatoshi
	ToCountersigner lnwire.MilliSatoshi
	HTLCs           []HTLC // in any order
}

// Mirror is the same state on the other side's commitment. The two commitments of a channel differ in number, and for a
// while in fee rate and HTLCs, too: those stay as they are here.
func (s Spec) Mirror() Spec {
	s.ToBroadcaster, s.ToCountersigner = s.ToCountersigner, s.ToBroadcaster
	s.HTLCs = slices.Clone(s.HTLCs)
	for i := range s.HTLCs {
		s.HTLCs[i].Direction = 1 - s.HTLCs[i].Direction
	}
	return s
}

// Untrimmed is how many HTLCs have an output on the commitment, which is what its fee depends on.
func (s Spec) Untrimmed(dustLimit btcutil.Amount) int {
	n := 0
	for i := range s.HTLCs {
		if !s.HTLCs[i].Trimmed(dustLimit) {
			n++
		}
	}
	return n
}

// check refuses what no commitment can be built from.
func (s Spec) check(capacity btcutil.Amount) error {
	if s.Number >= keys.MaxCommitments {
		return fmt.Errorf("commitment %d: %w", s.Number, keys.ErrNoSuchCommitment)
	}
	// Amounts come off the capacity one by one, so that no sum of them can overflow.
	left := lnwire.NewMSatFromSatoshis(capacity)
	take := func(amount lnwire.MilliSatoshi) bool {
		if amount > left {
			return false
		}
		left -= amount
		return true
	}
	fits := take(s.ToBroadcaster) && take(s.ToCountersigner)
	for _, h := range s.HTLCs {
		if h.Expiry >= txscript.LockTimeThreshold {
			return fmt.Errorf("%s HTLC %d expires at %d: %w", h.Direction, h.ID, h.Expiry, ErrExpiryIsATime)
		}
		fits = fits && take(h.Amount)
	}
	if !fits || left != 0 {
		return fmt.Errorf("commitment %d of a channel of %v: %w", s.Number, capacity, ErrUnbalanced)
	}
	return nil
}
