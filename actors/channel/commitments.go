package channel

import (
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"

	"stormcell/actors/durable"
	"stormcell/chain/bolt3"
	"stormcell/chain/fees"
	"stormcell/chain/keys"
	"stormcell/peer/wire"
)

// Terms are what one side laid down in `open_channel` or `accept_channel`. DustLimit is of its own commitment; all else
// binds the other side.
type Terms struct {
	DustLimit            btcutil.Amount
	MaxHTLCValueInFlight wire.MilliSatoshi
	Reserve              btcutil.Amount
	HTLCMinimum          wire.MilliSatoshi
	MaxAcceptedHTLCs     uint16
	ToSelfDelay          uint16 // blocks
}

// Contract is what the two sides fixed when they opened the channel.
type Contract struct {
	Peer       [33]byte // node id
	Opener     bool     // we opened it
	KeyIndex   uint32   // of our keys
	Terms      [2]Terms // by the Side that laid them down
	Basepoints [2]keys.Basepoints
	ChannelID  wire.ChannelID
}

// Commitment is one funding of the channel, and what is its own: balances, and the signatures of our latest commitment.
type Commitment struct {
	Funding    *bolt3.Channel
	FundingKey uint32 // index of our key
	// Balance is what each side has, without fee and anchors and without the HTLCs it offered that are still there.
	Balance        [2]wire.MilliSatoshi
	Signature      wire.Sig
	HTLCSignatures []wire.Sig
}

// FeeChange is a fee rate on its way into both commitments.
type FeeChange struct {
	Rate     fees.SatPerKW
	Progress Progress
}

// Commitments is a channel that has a funding.
type Commitments struct {
	Contract
	// Active has one entry, and one more for each funding that could replace it. Every rule holds on each of them.
	Active []*Commitment
	// HTLCs are those that either side offered, by id, from proposal until their removal is irrevocable.
	HTLCs  [2][]*HTLC
	NextID [2]uint64 // of the first HTLC that is in no commitment

	FeeRate    fees.SatPerKW
	FeeChanges []FeeChange // by the opener, oldest first

	LocalNumber  uint64 // of our latest commitment
	RemoteNumber uint64 // of the peer's latest commitment that is not revoked
	// Awaiting says that we signed RemoteNumber+1 and wait for the revocation of RemoteNumber. SignedAfter is what
	// LocalNumber was then: it tells which of commitment_signed and revoke_and_ack went first.
	Awaiting    bool
	SignedAfter uint64

	RemotePoint     *btcec.PublicKey // of commitment RemoteNumber
	RemoteNextPoint *btcec.PublicKey // of the one after
	Revealed        *keys.RevealedSecrets

	Sent, Received wire.MilliSatoshi // totals of settled HTLCs
}

// HTLC is one HTLC.
type HTLC struct {
	By          Side // who offered it
	ID          uint64
	Amount      wire.MilliSatoshi
	PaymentHash [32]byte
	Expiry      uint32 // block height
	Onion       []byte // until the add is irrevocable
	PathKey     []byte // of a blinded route

	Add     Progress
	Removal *Removal // proposed by the other side

	// Of HTLCs we offered: who asked for it, what they call it, and the preimage once they have been told.
	Origin   durable.Address
	Tag      uint64
	Preimage *[32]byte
	// OverExposed marks an HTLC of the peer that is dust beyond what we risk: it must be failed.
	OverExposed bool
}

// Removal takes an HTLC out of the commitments. One of Preimage, Malformed and Reason says how.
type Removal struct {
	Progress  Progress
	Preimage  *[32]byte
	Reason    []byte // onion-encrypted
	Malformed *Malformed
}

// Malformed says that the onion could not be read.
type Malformed struct {
	OnionHash [32]byte
	Code      uint16
}

// in tells whether a commitment has the HTLC, and whether it has had it and not any more.
func (h *HTLC) in(v view) (present, removed bool) {
	if h.Add < v[h.By] {
		return false, false
	}
	removed = h.Removal != nil && h.Removal.Progress >= v[h.By.Other()]
	return !removed, removed
}

// htlc finds an HTLC, nil when there is none.
func (c *Commitments) htlc(by Side, id uint64) *HTLC {
	i, ok := slices.BinarySearchFunc(c.HTLCs[by], id, func(h *HTLC, id uint64) int {
		switch {
		case h.ID < id:
			return -1
		case h.ID > id:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return c.HTLCs[by][i]
}

// nextID is the id of the next HTLC that a side may propose. Those already proposed stand at the end of the list.
func (c *Commitments) nextID(by Side) uint64 {
	if list := c.HTLCs[by]; len(list) > 0 && list[len(list)-1].ID >= c.NextID[by] {
		return list[len(list)-1].ID + 1
	}
	return c.NextID[by]
}

// feeRate is the rate of a commitment.
func (c *Commitments) feeRate(v view) fees.SatPerKW {
	rate := c.FeeRate
	for _, change := range c.FeeChanges {
		if change.Progress >= v[c.pays()] {
			rate = change.Rate
		}
	}
	return rate
}

// walk calls f for every HTLC on a commitment, and gives the balances beside them.
func (c *Commitments) walk(a *Commitment, v view, f func(*HTLC)) [2]wire.MilliSatoshi {
	balance := a.Balance
	for _, list := range c.HTLCs {
		for _, h := range list {
			present, removed := h.in(v)
			switch {
			case present:
				balance[h.By] -= h.Amount
				f(h)
			case removed && h.Removal.Preimage != nil:
				balance[h.By] -= h.Amount
				balance[h.By.Other()] += h.Amount
			}
		}
	}
	return balance
}

// spec describes a commitment of the owner.
func (c *Commitments) spec(a *Commitment, owner Side, number uint64, v view) bolt3.Spec {
	spec := bolt3.Spec{Number: number, FeeRate: c.feeRate(v)}
	balance := c.walk(a, v, func(h *HTLC) {
		direction := bolt3.Received
		if h.By == owner {
			direction = bolt3.Offered
		}
		spec.HTLCs = append(spec.HTLCs, bolt3.HTLC{
			ID: h.ID, Direction: direction, Amount: h.Amount, PaymentHash: h.PaymentHash, Expiry: h.Expiry,
		})
	})
	spec.ToBroadcaster, spec.ToCountersigner = balance[owner], balance[owner.Other()]
	return spec
}

// clean tells whether nothing is on its way: no HTLC, no update, no revocation owed by the peer.
func (c *Commitments) clean() bool {
	return len(c.HTLCs[Local]) == 0 && len(c.HTLCs[Remote]) == 0 && len(c.FeeChanges) == 0 && !c.Awaiting
}

// owesSignature tells whether there are updates of ours that no signature carries.
func (c *Commitments) owesSignature() bool {
	return slices.ContainsFunc(c.HTLCs[Local], func(h *HTLC) bool { return h.Add == Proposed }) ||
		slices.ContainsFunc(c.HTLCs[Remote], func(h *HTLC) bool { return h.Removal != nil && h.Removal.Progress == Proposed }) ||
		c.Opener && slices.ContainsFunc(c.FeeChanges, func(f FeeChange) bool { return f.Progress == Proposed })
}

// toSign tells whether the peer's next commitment would have anything new.
func (c *Commitments) toSign() bool {
	fresh := func(by Side, p Progress) bool { return by == Local && p == Proposed || by == Remote && p == Acked }
	for _, list := range c.HTLCs {
		for _, h := range list {
			if fresh(h.By, h.Add) || h.Removal != nil && fresh(h.By.Other(), h.Removal.Progress) {
				return true
			}
		}
	}
	return slices.ContainsFunc(c.FeeChanges, func(f FeeChange) bool { return fresh(c.pays(), f.Progress) })
}
