package channel

import (
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"google.golang.org/protobuf/proto"

	"stormcell/chain/bolt3"
	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// remoteCommitment builds the peer's commitment after RemoteNumber.
func (c *Commitments) remoteCommitment(a *Commitment, v view) (*bolt3.Commitment, error) {
	return a.Funding.Commitment(c.role(Remote), c.spec(a, Remote, c.RemoteNumber+1, v), c.RemoteNextPoint)
}

// localCommitment builds a commitment of ours.
func (c *Commitments) localCommitment(
	a *Commitment, number uint64, v view, signer keys.Signer,
) (*bolt3.Commitment, error) {
	point, err := signer.CommitmentPoint(c.KeyIndex, number)
	if err != nil {
		return nil, fmt.Errorf("point of commitment %d: %w", number, err)
	}
	return a.Funding.Commitment(c.role(Local), c.spec(a, Local, number, v), point)
}

// prepare derives the keys of one of the next commitments, if there is one of which they are known and not derived: once the
// time comes to build it, somebody waits. It tells whether there was one.
func (c *Commitments) prepare(signer keys.Signer) (bool, error) {
	ours, err := signer.CommitmentPoint(c.KeyIndex, c.LocalNumber+1)
	if err != nil {
		return false, fmt.Errorf("point of commitment %d: %w", c.LocalNumber+1, err)
	}
	points := [2]*btcec.PublicKey{Local: ours}
	if !c.Awaiting { // else the peer has yet to give the point
		points[Remote] = c.RemoteNextPoint
	}
	for _, a := range c.Active {
		for side, point := range points {
			if point != nil && a.Funding.Prepare(c.role(Side(side)), point) {
				return true, nil
			}
		}
	}
	return false, nil
}

// sign gives the messages that sign the peer's commitment after RemoteNumber, on every funding: the next one in the view
// remoteNext, and in the view remoteLatest once more the one that was signed already, for a peer that did not get it.
func (c *Commitments) sign(v view, signer keys.Signer) ([]wire.Message, error) {
	var messages []wire.Message
	if n := len(c.Active); n > 1 {
		of := wire.TypeCommitSig
		messages = append(messages, &wire.StartBatch{ChanID: c.ChannelID, Size: uint16(n), Of: &of})
	}
	for _, a := range c.Active {
		commitment, err := c.remoteCommitment(a, v)
		if err != nil {
			return nil, fmt.Errorf("build the peer's commitment: %w", err)
		}
		signatures, err := signer.Sign(commitment.CountersignRequests(a.FundingKey, c.KeyIndex))
		if err != nil {
			return nil, fmt.Errorf("sign the peer's commitment %d: %w", commitment.Number, err)
		}
		txid := a.Funding.Outpoint.Hash
		messages = append(messages, &wire.CommitSig{
			ChanID: c.ChannelID, CommitSig: signatures[0], HtlcSigs: signatures[1:], FundingTxID: &txid,
		})
	}
	return messages, nil
}

// proposed are the events that store what a side has proposed and nobody has signed yet. Our own removals are stored when
// they are proposed.
func (c *Commitments) proposed(by Side) []proto.Message {
	var events []proto.Message
	for _, h := range c.HTLCs[by.Other()] {
		if by == Remote && h.Removal != nil && h.Removal.Progress == Proposed {
			events = append(events, &pb.HTLCRemoved{By: h.By.proto(), Id: h.ID, Removal: h.Removal.proto()})
		}
	}
	for _, h := range c.HTLCs[by] {
		if h.Add == Proposed {
			events = append(events, &pb.HTLCAdded{Htlc: h.proto()})
		}
	}
	for _, f := range c.FeeChanges {
		if c.pays() == by && f.Progress == Proposed {
			events = append(events, &pb.FeeChanged{SatPerKw: uint32(f.Rate)})
		}
	}
	return events
}

// receiveSignatures checks what the peer signed, which must be our next commitment on every funding.
func (c *Commitments) receiveSignatures(
	batch []*wire.CommitSig, signer keys.Signer, parallel keys.Parallel,
) (*pb.CommitmentReceived, *Violation, error) {
	event := &pb.CommitmentReceived{}
	for _, a := range c.Active {
		m := c.signaturesFor(a, batch)
		if m == nil {
			v := violation("commitment_signed for funding %s is missing: %w", a.Funding.Outpoint, ErrUnexpected)
			v.Fatal = len(batch) > 1
			return nil, v, nil
		}
		commitment, err := c.localCommitment(a, c.LocalNumber+1, localNext, signer)
		if err != nil {
			return nil, nil, fmt.Errorf("build our commitment: %w", err)
		}
		if err := commitment.Verify(m.CommitSig, m.HtlcSigs, parallel); err != nil {
			return nil, violation("commitment_signed: %w: %w", ErrBadSignature, err), nil
		}
		event.Active = append(event.Active, signaturesProto(m.CommitSig, m.HtlcSigs))
	}
	return event, nil, nil
}

// signaturesFor finds those for a funding. Without a batch they need not name it.
func (c *Commitments) signaturesFor(a *Commitment, batch []*wire.CommitSig) *wire.CommitSig {
	for _, m := range batch {
		if m.FundingTxID == nil && len(batch) == 1 && len(c.Active) == 1 {
			return m
		}
		if m.FundingTxID != nil && *m.FundingTxID == a.Funding.Outpoint.Hash {
			return m
		}
	}
	return nil
}

// revocation is the `revoke_and_ack` that revokes our commitment of that number.
func (c *Commitments) revocation(number uint64, signer keys.Signer) (*wire.RevokeAndAck, error) {
	secret, err := signer.ReleaseSecret(c.KeyIndex, number)
	if err != nil {
		return nil, fmt.Errorf("secret of commitment %d: %w", number, err)
	}
	next, err := signer.CommitmentPoint(c.KeyIndex, number+2)
	if err != nil {
		return nil, fmt.Errorf("point of commitment %d: %w", number+2, err)
	}
	return &wire.RevokeAndAck{ChanID: c.ChannelID, Revocation: secret, NextRevocationKey: next}, nil
}

// receiveRevocation checks that the peer revoked the commitment before the one we signed.
func (c *Commitments) receiveRevocation(m *wire.RevokeAndAck) (*pb.RevocationReceived, *Violation) {
	secret := keys.Secret(m.Revocation)
	if last, err := c.Revealed.Secret(c.RemoteNumber - 1); c.RemoteNumber > 0 && err == nil && last == secret {
		return nil, violation("revoke_and_ack: commitment %d is revoked already: %w", c.RemoteNumber-1, ErrUnexpected)
	}
	if !c.Awaiting {
		return nil, violation("revoke_and_ack: no revocation is due: %w", ErrUnexpected)
	}
	if !secret.Point().IsEqual(c.RemotePoint) {
		return nil, fatal("revoke_and_ack: %w", ErrBadRevocation)
	}
	if err := c.Revealed.Check(c.RemoteNumber, secret); err != nil {
		return nil, fatal("revoke_and_ack: %w: %w", ErrBadRevocation, err)
	}
	return &pb.RevocationReceived{Secret: secret[:], NextPoint: m.NextRevocationKey.SerializeCompressed()}, nil
}

// settles tells whether a fact makes an update irrevocable.
func settles(p Progress, by Side, f fact) bool { return p != Settled && p.advance(by, f) == Settled }
