package channel

import (
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"

	"stormcell/chain/bolt3"
	"stormcell/chain/fees"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// signedCommitment is a commitment of the owner as its monitor has to know it.
func (c *Commitments) signedCommitment(
	owner Side, number uint64, v view, point *btcec.PublicKey, signatures []*pb.Signatures,
) *pb.SignedCommitment {
	out := &pb.SignedCommitment{Number: number, Point: keyBytes(point), SatPerKw: uint32(c.feeRate(v))}
	for i, a := range c.Active {
		out.Htlcs = nil // alike on every funding
		balance := c.walk(a, v, func(h *HTLC) {
			out.Htlcs = append(out.Htlcs, &pb.CommittedHTLC{
				By: h.By.proto(), Id: h.ID, AmountMsat: uint64(h.Amount), PaymentHash: h.PaymentHash[:], Expiry: h.Expiry,
				Origin: string(h.Origin), Tag: h.Tag,
			})
		})
		on := c.commitmentProto(a, balance)
		if owner == Local {
			on.Signature, on.HtlcSignatures = signatures[i].GetSignature(), signatures[i].GetHtlcSignatures()
		}
		out.Active = append(out.Active, on)
	}
	return out
}

// Rebuild gives the commitments of the owner that a monitor was told of, one for each funding, from the owner's
// per-commitment point.
func Rebuild(
	contract *pb.Contract, owner Side, told *pb.SignedCommitment, point *btcec.PublicKey,
) ([]*bolt3.Commitment, error) {
	r := &reader{}
	c := Commitments{Contract: r.contract(contract)}
	spec := bolt3.Spec{Number: told.GetNumber(), FeeRate: fees.SatPerKW(told.GetSatPerKw())}
	for _, p := range told.GetHtlcs() {
		h := bolt3.HTLC{
			ID: p.GetId(), Direction: bolt3.Received, Amount: wire.MilliSatoshi(p.GetAmountMsat()), Expiry: p.GetExpiry(),
		}
		if sideOf(p.GetBy()) == owner {
			h.Direction = bolt3.Offered
		}
		r.bytes("payment hash", h.PaymentHash[:], p.GetPaymentHash())
		spec.HTLCs = append(spec.HTLCs, h)
	}
	out := make([]*bolt3.Commitment, 0, len(told.GetActive()))
	for _, p := range told.GetActive() {
		a := r.fundingOf(&c.Contract, p)
		if r.err != nil {
			return nil, r.err
		}
		spec.ToBroadcaster, spec.ToCountersigner = a.Balance[owner], a.Balance[owner.Other()]
		built, err := a.Funding.Commitment(c.role(owner), spec, point)
		if err != nil {
			return nil, fmt.Errorf("rebuild %s commitment %d: %w", owner, told.GetNumber(), err)
		}
		out = append(out, built)
	}
	return out, r.err
}
