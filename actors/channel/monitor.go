package channel

import (
	"github.com/btcsuite/btcd/btcec/v2"

	pb "stormcell/messages/channel"
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
