package channel

import (
	"errors"
	"fmt"

	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// connected begins a connection with `channel_reestablish`.
func (t *turn) connected(body Connected) error {
	if body.Link != t.link {
		t.interrupt("the peer reconnected")
	}
	if t.c == nil || t.phase == pb.Phase_ABANDONED || t.phase == pb.Phase_CLOSED || body.Link == t.link {
		return nil
	}
	if t.link != 0 {
		t.stage(&pb.Unlinked{})
		t.bePatient()
	}
	t.via = body.Link
	t.stage(&pb.Linked{Link: body.Link, Features: body.Features.Bytes()})
	if t.phase == pb.Phase_CLOSING {
		t.write(t.wireError(errors.New(t.closing.GetReason())))
		return nil
	}
	reestablish, err := t.c.reestablish(t.Signer)
	if err != nil {
		return err
	}
	t.write(reestablish)
	return nil
}

// disconnected drops what nobody signed. Adds go on waiting in the inbox, for a while.
func (t *turn) disconnected(body Disconnected) error {
	if body.Link == t.link {
		t.interrupt("the peer disconnected")
		t.stage(&pb.Unlinked{})
		t.bePatient()
	}
	return nil
}

// reestablish says where we stand (BOLT 2, "Message Retransmission").
func (c *Commitments) reestablish(signer keys.Signer) (*wire.ChannelReestablish, error) {
	point, err := signer.CommitmentPoint(c.KeyIndex, c.LocalNumber)
	if err != nil {
		return nil, fmt.Errorf("point of commitment %d: %w", c.LocalNumber, err)
	}
	m := &wire.ChannelReestablish{
		ChanID: c.ChannelID, NextCommitment: c.LocalNumber + 1, NextRevocation: c.RemoteNumber, CurrentPoint: point,
	}
	if c.RemoteNumber > 0 {
		last, err := c.Revealed.Secret(c.RemoteNumber - 1)
		if err != nil {
			return nil, err
		}
		m.LastSecret = last
	}
	return m, nil
}

// missed is what the peer lacks after a reconnection.
type missed struct {
	revocation, signatures bool
}

// errBehind says that the peer has proved that we lost state.
var errBehind = errors.New("we have lost state of this channel")

// errPeerBehind says that the peer has lost state, or says so.
var errPeerBehind = errors.New("the peer has lost state of this channel")

// compare holds where the peer stands against where we do. It fails with errBehind, errPeerBehind or a *Violation.
func (c *Commitments) compare(m *wire.ChannelReestablish, signer keys.Signer) (missed, error) {
	var out missed
	if m.NextCommitment == 0 {
		return out, fatal("channel_reestablish: next_commitment_number is 0: %w", ErrOutOfSync)
	}
	if m.NextRevocation > 0 {
		if m.NextRevocation > keys.MaxCommitments {
			return out, fatal("channel_reestablish: next_revocation_number is %d: %w", m.NextRevocation, ErrOutOfSync)
		}
		secret, err := signer.ReleaseSecret(c.KeyIndex, m.NextRevocation-1)
		switch {
		case err != nil:
			return out, fmt.Errorf("secret of commitment %d: %w", m.NextRevocation-1, err)
		case secret != keys.Secret(m.LastSecret):
			return out, fatal("channel_reestablish: your_last_per_commitment_secret is wrong: %w", ErrOutOfSync)
		case m.NextRevocation > c.LocalNumber:
			return out, errBehind
		}
	}
	signed := c.RemoteNumber // the last commitment of the peer that we signed
	if c.Awaiting {
		signed++
	}
	switch {
	case m.NextRevocation+1 < c.LocalNumber, m.NextCommitment < signed, m.NextCommitment == signed && !c.Awaiting:
		return out, errPeerBehind
	case m.NextCommitment > signed+1:
		return out, fatal("channel_reestablish: next_commitment_number is %d, and %d is next: %w", m.NextCommitment, signed+1,
			ErrOutOfSync)
	}
	out.revocation = m.NextRevocation+1 == c.LocalNumber
	out.signatures = m.NextCommitment == signed
	return out, nil
}

// reestablished answers the peer's `channel_reestablish` with all that it lacks.
func (t *turn) reestablished(m *wire.ChannelReestablish) error {
	lacks, err := t.c.compare(m, t.Signer)
	switch {
	case errors.Is(err, errBehind):
		t.write(t.wireError(err))
		t.fail(&pb.Closing{Reason: "the peer proved that this node lost state of the channel: its funds come back when " +
			"the peer publishes its commitment", Behind: true})
		return nil
	case errors.Is(err, errPeerBehind):
		// It sees from our channel_reestablish what is the matter, and may find its state yet, or ask us to publish ours.
		t.write(&wire.Warning{ChanID: t.c.ChannelID, Data: lnwire.WarningData(err.Error())})
		return nil
	case err != nil:
		return err
	}
	t.vouch()
	t.stage(&pb.Synced{})
	if t.setup.GetScid() != 0 && t.c.LocalNumber == 0 && m.NextCommitment == 1 {
		if err := t.sayReady(t.setup.GetLocalAlias()); err != nil {
			return err
		}
	}
	if err := t.retransmit(lacks); err != nil {
		return err
	}
	for _, h := range t.c.HTLCs[Remote] {
		if h.Removal != nil && h.Removal.Progress == Proposed {
			t.write(t.c.updateRemove(h))
		}
	}
	t.proposeWaiting(t.height)
	if t.c.Awaiting {
		t.expectRevocation(t.c.RemoteNumber)
	}
	t.wantSign()
	return nil
}

// retransmit sends what the peer lacks, in the order in which it was sent first.
func (t *turn) retransmit(lacks missed) error {
	revoke := func() error {
		if !lacks.revocation {
			return nil
		}
		revocation, err := t.c.revocation(t.c.LocalNumber-1, t.Signer)
		if err != nil {
			return err
		}
		t.write(revocation)
		return nil
	}
	signedFirst := t.c.Awaiting && t.c.LocalNumber > t.c.SignedAfter
	if !signedFirst {
		if err := revoke(); err != nil {
			return err
		}
	}
	if lacks.signatures {
		t.writeSigned()
		messages, err := t.c.sign(remoteLatest, t.Signer)
		if err != nil {
			return err
		}
		t.write(messages...)
	}
	if signedFirst {
		return revoke()
	}
	return nil
}

// writeSigned sends once more the updates of ours that are signed and not acknowledged. Removals go first and adds last, so
// that each of them fits the limits as it comes: in the end they all do.
func (t *turn) writeSigned() {
	for _, h := range t.c.HTLCs[Remote] {
		if h.Removal != nil && h.Removal.Progress == Signed {
			t.write(t.c.updateRemove(h))
		}
	}
	for _, f := range t.c.FeeChanges {
		if t.c.Opener && f.Progress == Signed {
			t.write(&wire.UpdateFee{ChanID: t.c.ChannelID, FeePerKw: uint32(f.Rate)})
		}
	}
	for _, h := range t.c.HTLCs[Local] {
		if h.Add == Signed {
			t.write(t.c.updateAdd(h))
		}
	}
}
