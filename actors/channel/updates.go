package channel

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/tlv"

	"stormcell/chain/fees"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// badOnion is the bit that a failure code of `update_fail_malformed_htlc` must have (BOLT 4, "Failure Messages").
const badOnion = 0x8000

// maxReason is the most that is kept of the reason of an `update_fail_htlc`, in bytes: honest ones have about 300, and all of
// a channel's go into one commit. What is cut short nobody can read, which is as if whoever wrote it had garbled it.
const maxReason = 2048

// offered gives the HTLC that a request would add.
func (c *Commitments) offered(add *pb.AddHTLC) (*HTLC, *Refusal) {
	h := &HTLC{
		By: Local, ID: c.nextID(Local), Amount: wire.MilliSatoshi(add.GetAmountMsat()), Expiry: add.GetExpiry(),
		Onion: add.GetOnion(), PathKey: add.GetPathKey(), Add: Proposed, Tag: add.GetTag(),
	}
	if len(add.GetPaymentHash()) != len(h.PaymentHash) {
		return nil, refuse(pb.RefusalCode_BAD_REQUEST, "a payment hash of %d bytes", len(add.GetPaymentHash()))
	}
	if len(h.Onion) != lnwire.OnionPacketSize {
		return nil, refuse(pb.RefusalCode_BAD_REQUEST, "an onion of %d bytes", len(h.Onion))
	}
	if len(h.PathKey) > 0 {
		if _, err := btcec.ParsePubKey(h.PathKey); err != nil {
			return nil, refuse(pb.RefusalCode_BAD_REQUEST, "path key: %v", err)
		}
	}
	copy(h.PaymentHash[:], add.GetPaymentHash())
	return h, nil
}

// propose gives the HTLC for an add, if no limit is in the way.
func (c *Commitments) propose(w *waiting, p *Policy, height uint32) (*HTLC, *Refusal) {
	h, r := c.offered(w.AddHTLC)
	if r != nil {
		return nil, r
	}
	h.Origin = w.from
	return h, c.checkOffer(h, p, height)
}

// updateAdd is the HTLC as it goes over the wire.
func (c *Commitments) updateAdd(h *HTLC) *wire.UpdateAddHTLC {
	m := &wire.UpdateAddHTLC{
		ChanID: c.ChannelID, ID: h.ID, Amount: h.Amount, PaymentHash: h.PaymentHash, Expiry: h.Expiry,
	}
	copy(m.OnionBlob[:], h.Onion)
	if len(h.PathKey) > 0 {
		if key, err := btcec.ParsePubKey(h.PathKey); err == nil { // it was parsed before it was stored
			m.BlindingPoint = tlv.SomeRecordT(tlv.NewPrimitiveRecord[lnwire.BlindingPointTlvType](key))
		}
	}
	return m
}

// updateRemove is a removal of ours as it goes over the wire.
func (c *Commitments) updateRemove(h *HTLC) wire.Message {
	switch r := h.Removal; {
	case r.Preimage != nil:
		return &wire.UpdateFulfillHTLC{ChanID: c.ChannelID, ID: h.ID, PaymentPreimage: *r.Preimage}
	case r.Malformed != nil:
		return &wire.UpdateFailMalformedHTLC{
			ChanID: c.ChannelID, ID: h.ID, ShaOnionBlob: r.Malformed.OnionHash, FailureCode: lnwire.FailCode(r.Malformed.Code),
		}
	default:
		return &wire.UpdateFailHTLC{ChanID: c.ChannelID, ID: h.ID, Reason: r.Reason}
	}
}

// removable finds an HTLC of the peer that we may remove, nil when it is gone or on its way out: asking again is harmless.
func (c *Commitments) removable(id uint64) *HTLC {
	if h := c.htlc(Remote, id); h != nil && h.Add == Settled && h.Removal == nil {
		return h
	}
	return nil
}

// receiveAdd gives the HTLC that the peer adds.
func (c *Commitments) receiveAdd(m *wire.UpdateAddHTLC, p *Policy) (*HTLC, *Violation) {
	h := &HTLC{
		By: Remote, ID: m.ID, Amount: m.Amount, PaymentHash: m.PaymentHash, Expiry: m.Expiry, Onion: m.OnionBlob[:],
		Add: Proposed,
	}
	m.BlindingPoint.WhenSome(func(r tlv.RecordT[lnwire.BlindingPointTlvType, *btcec.PublicKey]) {
		h.PathKey = r.Val.SerializeCompressed()
	})
	if next := c.nextID(Remote); h.ID != next {
		return nil, violation("update_add_htlc %d, where %d is next: %w", h.ID, next, ErrBadID)
	}
	if err := c.checkReceived(h); err != nil {
		return nil, violation("update_add_htlc %d: %w", h.ID, err)
	}
	h.OverExposed = c.overExposed(h, p)
	return h, nil
}

// receivedRemoval finds the HTLC of ours that the peer may remove.
func (c *Commitments) receivedRemoval(what wire.Message, id uint64) (*HTLC, *Violation) {
	h := c.htlc(Local, id)
	switch name := wire.Name(what.MsgType()); {
	case h == nil || h.Add != Settled:
		return nil, violation("%s %d: %w", name, id, ErrNoSuchHTLC)
	case h.Removal != nil:
		return nil, violation("%s %d: %w", name, id, ErrAlreadyRemoved)
	}
	return h, nil
}

// receiveRemove gives the HTLC of ours that the peer removes, and how.
func (c *Commitments) receiveRemove(m wire.Message) (*HTLC, *Removal, *Violation) {
	switch m := m.(type) {
	case *wire.UpdateFulfillHTLC:
		h, v := c.receivedRemoval(m, m.ID)
		if v != nil {
			return nil, nil, v
		}
		if sha256.Sum256(m.PaymentPreimage[:]) != h.PaymentHash {
			return nil, nil, violation("update_fulfill_htlc %d: %w", m.ID, ErrWrongPreimage)
		}
		preimage := m.PaymentPreimage
		return h, &Removal{Progress: Proposed, Preimage: &preimage}, nil
	case *wire.UpdateFailHTLC:
		h, v := c.receivedRemoval(m, m.ID)
		if v != nil {
			return nil, nil, v
		}
		return h, &Removal{Progress: Proposed, Reason: bytes.Clone(m.Reason[:min(len(m.Reason), maxReason)])}, nil
	case *wire.UpdateFailMalformedHTLC:
		h, v := c.receivedRemoval(m, m.ID)
		if v != nil {
			return nil, nil, v
		}
		if m.FailureCode&badOnion == 0 {
			return nil, nil, violation("update_fail_malformed_htlc %d: failure code %#x lacks the BADONION bit", m.ID, uint16(m.FailureCode))
		}
		return h, &Removal{Progress: Proposed, Malformed: &Malformed{OnionHash: m.ShaOnionBlob, Code: uint16(m.FailureCode)}}, nil
	default:
		panic(fmt.Sprintf("channel: %T removes nothing", m))
	}
}

// receiveFee gives the fee rate that the peer sets.
func (c *Commitments) receiveFee(m *wire.UpdateFee, p *Policy) (fees.SatPerKW, *Violation) {
	rate := fees.SatPerKW(m.FeePerKw)
	if err := c.checkReceivedFee(rate, p); err != nil {
		return 0, violation("update_fee: %w", err)
	}
	return rate, nil
}
