package channel

import (
	"crypto/sha256"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/chain/fees"
	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// addHTLC takes an HTLC to be offered. It is left in the inbox until a signature carries it.
func (t *turn) addHTLC(add *pb.AddHTLC) error {
	if !t.m.Durable() {
		return refuse(pb.RefusalCode_BAD_REQUEST, "an HTLC is offered by a durable message")
	}
	if r := t.takesAdds(); r != nil {
		t.refuseAdd(t.m.From, add, r)
		return nil
	}
	w := &waiting{AddHTLC: add, ref: t.m.ID, from: t.m.From}
	if t.synced && t.height > 0 {
		h, r := t.c.propose(w, &t.Policy, t.height)
		if r != nil {
			t.refuseAdd(t.m.From, add, r)
			return nil
		}
		t.stage(&pb.HTLCAdded{Htlc: h.proto()})
		t.writeWithSignature(t.c.updateAdd(h))
		t.wantSign()
	} else {
		t.startPatience()
	}
	t.out.Keep = true
	t.stage(w)
	return nil
}

// takesAdds tells whether the channel can have new HTLCs of ours at all.
func (t *turn) takesAdds() *Refusal {
	switch {
	case t.phase != pb.Phase_NORMAL:
		return notOpen(t.phase)
	case t.spentBy != nil:
		return refuse(pb.RefusalCode_NOT_OPEN, "transaction %s closes the channel", t.spentBy)
	}
	return nil
}

func (t *turn) refuseAdd(to durable.Address, add *pb.AddHTLC, r *Refusal) {
	t.send(to, &pb.HTLCRefused{Tag: add.GetTag(), Code: r.Code, Reason: r.Text})
}

// refuseWaiting refuses an add that was left in the inbox.
func (t *turn) refuseWaiting(w *waiting, r *Refusal) {
	t.refuseAdd(w.from, w.AddHTLC, r)
	t.out.Also = append(t.out.Also, w.ref)
	t.stage(&answered{ref: w.ref})
}

// refuseAllWaiting refuses every add that no commitment carries.
func (t *turn) refuseAllWaiting(r *Refusal) {
	for _, w := range t.stillWaiting() {
		t.refuseWaiting(w, r)
	}
}

// stillWaiting are the adds that no commitment carries, and that this turn has not refused.
func (t *turn) stillWaiting() []*waiting {
	return slices.DeleteFunc(slices.Clone(t.waiting), func(w *waiting) bool { return slices.Contains(t.out.Also, w.ref) })
}

// refuseExpired refuses the adds that have waited for too long to be signed. What is proposed already is taken back by ending
// the connection: a peer may have kept a revocation back, to get the HTLC when what it is forwarded for has expired.
func (t *turn) refuseExpired(height uint32) {
	for _, w := range t.waiting {
		if w.GetExpiry() <= height {
			t.refuseWaiting(w, refuse(pb.RefusalCode_BAD_EXPIRY, "it expired while it waited for the peer"))
		}
	}
	if len(t.out.Also) > 0 && t.synced {
		t.hangup(errors.New("the peer did not let an HTLC be signed before it expired"))
	}
}

// proposeWaiting proposes the adds that have waited for the peer, or for the height to be known, or refuses them.
func (t *turn) proposeWaiting(height uint32) {
	if height == 0 {
		return // which have expired, nobody can tell
	}
	trial := *t.c
	trial.HTLCs[Local] = slices.Clone(trial.HTLCs[Local])
	for _, w := range t.waiting {
		h, r := trial.propose(w, &t.Policy, height)
		if closed := t.takesAdds(); closed != nil {
			r = closed
		}
		if r != nil {
			t.refuseWaiting(w, r)
			continue
		}
		trial.add(h)
		t.stage(&pb.HTLCAdded{Htlc: h.proto()})
		t.write(t.c.updateAdd(h))
	}
}

// fulfillHTLC claims an HTLC of the peer. The monitor gets the preimage even if the HTLC is on its way out: it may come to
// be claimed on the chain.
func (t *turn) fulfillHTLC(body *pb.FulfillHTLC) error {
	if t.c == nil {
		return nil
	}
	h := t.c.htlc(Remote, body.GetId())
	if h == nil || len(body.GetPreimage()) != 32 || sha256.Sum256(body.GetPreimage()) != h.PaymentHash {
		return nil
	}
	t.monitor(&pb.MonitorUpdate{Preimages: []*pb.Preimage{{By: pb.Side_REMOTE, Id: h.ID, Preimage: body.GetPreimage()}}})
	preimage := [32]byte(body.GetPreimage())
	return t.removeHTLC(h.ID, &Removal{Progress: Proposed, Preimage: &preimage})
}

func (t *turn) failMalformedHTLC(body *pb.FailMalformedHTLC) error {
	m := &Malformed{Code: uint16(body.GetMalformed().GetCode()) | badOnion}
	copy(m.OnionHash[:], body.GetMalformed().GetOnionHash())
	return t.removeHTLC(body.GetId(), &Removal{Progress: Proposed, Malformed: m})
}

// removeHTLC decides once how an HTLC of the peer ends; the peer is told when it is there. What comes later is too late.
func (t *turn) removeHTLC(id uint64, how *Removal) error {
	if t.c == nil || t.phase >= pb.Phase_CLOSING {
		return nil
	}
	h := t.c.removable(id)
	if h == nil {
		return nil
	}
	t.event(&pb.HTLCRemoved{By: pb.Side_REMOTE, Id: id, Removal: how.proto()})
	if t.synced {
		removed := *h
		removed.Removal = how
		t.writeRemoval(t.c.updateRemove(&removed))
		t.wantSign()
	}
	return nil
}

// writeRemoval tells the peer how its HTLC ends: with the signature that follows at once, and without waiting for one that
// has to wait for a revocation first. A preimage is of use before it is signed.
func (t *turn) writeRemoval(m wire.Message) {
	if t.c.Awaiting {
		t.write(m)
	} else {
		t.writeWithSignature(m)
	}
}

// setFeeRate proposes a fee rate. It is forgotten when the connection ends before it is signed.
func (t *turn) setFeeRate(rate fees.SatPerKW) error {
	if t.phase != pb.Phase_NORMAL || !t.synced {
		return refuse(pb.RefusalCode_PEER_OFFLINE, "the channel cannot change its fee rate now")
	}
	if r := t.c.checkFee(rate, &t.Policy); r != nil {
		return r
	}
	t.release(durable.Reply{To: t.m.Asker})
	if rate == t.c.feeRate(everything) {
		return nil
	}
	t.stage(&pb.FeeChanged{SatPerKw: uint32(rate)})
	t.write(&wire.UpdateFee{ChanID: t.c.ChannelID, FeePerKw: uint32(rate)})
	t.wantSign()
	return nil
}

// signNow signs what has come together.
func (t *turn) signNow() error {
	t.stage(&pb.SignWanted{})
	if !t.synced || t.c.Awaiting || !t.c.toSign() {
		if t.c != nil && !t.c.owesSignature() {
			if err := t.goOnClosing(); err != nil {
				return err
			}
		}
		t.prepareSoon()
		return nil
	}
	messages, err := t.c.sign(remoteNext, t.Signer)
	if err != nil {
		return err
	}
	t.event(t.c.proposed(Local)...)
	t.event(&pb.CommitmentSigned{})
	t.out.Also = t.refs()
	t.monitor(&pb.MonitorUpdate{Remote: t.c.signedCommitment(Remote, t.c.RemoteNumber+1, remoteNext, t.c.RemoteNextPoint, nil)})
	t.write(messages...)
	t.expectRevocation(t.c.RemoteNumber)
	t.prepareSoon()
	return t.goOnClosing()
}

// prepareSoon has the time used until the peer has answered, or somebody wants something.
func (t *turn) prepareSoon() {
	if t.synced && t.isReady() {
		t.out.Next = append(t.out.Next, prepareNow{})
	}
}

// prepareNext prepares for one commitment at a time, and on one core. Whoever comes meanwhile does not wait for the rest, and
// the disk, which the last message to the peer may still wait for, is not kept from beginning.
func (t *turn) prepareNext() error {
	if !t.synced || !t.isReady() {
		return nil
	}
	did, err := t.c.prepare(t.Signer)
	if did {
		t.prepareSoon()
	}
	return err
}

// updateReceived stages an update of the peer: its signature stores it.
func (t *turn) updateReceived(m wire.Message) error {
	switch m := m.(type) {
	case *wire.UpdateAddHTLC:
		if len(t.shutdown.GetRemoteScript()) > 0 {
			return violation("update_add_htlc after shutdown: %w", ErrUnexpected)
		}
		h, v := t.c.receiveAdd(m, &t.Policy)
		if v != nil {
			return v
		}
		t.stage(&pb.HTLCAdded{Htlc: h.proto()})
	case *wire.UpdateFee:
		rate, v := t.c.receiveFee(m, &t.Policy)
		if v != nil {
			return v
		}
		t.stage(&pb.FeeChanged{SatPerKw: uint32(rate)})
	default:
		h, removal, v := t.c.receiveRemove(m)
		if v != nil {
			return v
		}
		t.stage(&pb.HTLCRemoved{By: pb.Side_LOCAL, Id: h.ID, Removal: removal.proto()})
		if removal.Preimage != nil && h.Preimage == nil {
			t.learn(h, removal.Preimage)
		}
	}
	return nil
}

// learn passes a preimage on at once: whoever waits for it need not wait for signatures, since it is good on the chain.
func (t *turn) learn(h *HTLC, preimage *[32]byte) {
	t.event(&pb.PreimageLearned{Id: h.ID, Preimage: preimage[:]})
	t.monitor(&pb.MonitorUpdate{Preimages: []*pb.Preimage{{By: pb.Side_LOCAL, Id: h.ID, Preimage: preimage[:]}}})
	t.send(h.Origin, &pb.HTLCSettled{Tag: h.Tag, Preimage: preimage[:], Id: h.ID})
}

// batchStarted prepares for signatures that belong together (BOLT 2, "Batching channel messages").
func (t *turn) batchStarted(m *wire.StartBatch) error {
	const most = 20
	switch {
	case m.Size > most:
		return violation("start_batch of %d messages: %w", m.Size, ErrLimit)
	case m.Size <= 1 || m.Of == nil || *m.Of != wire.TypeCommitSig:
		return nil
	}
	t.stage(&pb.BatchStarted{Size: uint32(m.Size)})
	return nil
}

// signaturesReceived takes the peer's signatures of our next commitment, and revokes the present one.
func (t *turn) signaturesReceived(m *wire.CommitSig) error {
	batch := append(t.batch[:len(t.batch):len(t.batch)], m)
	if len(batch) < t.batchSize {
		t.stage(&batched{message: m})
		return nil
	}
	event, wrong, err := t.c.receiveSignatures(batch, t.Signer, keys.Parallel(t.env.Parallel))
	if err != nil {
		return err
	}
	if wrong != nil {
		return wrong
	}
	revocation, err := t.c.revocation(t.c.LocalNumber, t.Signer)
	if err != nil {
		return err
	}
	point, err := t.Signer.CommitmentPoint(t.c.KeyIndex, t.c.LocalNumber+1)
	if err != nil {
		return err
	}
	signed := t.c.proposed(Remote)
	t.event(signed...)
	t.event(event)
	t.monitor(&pb.MonitorUpdate{Local: t.c.signedCommitment(Local, t.c.LocalNumber+1, localNext, point, event.GetActive())})
	if !t.c.Awaiting && (len(signed) > 0 || t.c.toSign()) {
		t.writeWithSignature(revocation)
	} else {
		t.write(revocation)
	}
	t.wantSign()
	return nil
}

// revocationReceived passes on what the peer's revocation made irrevocable.
func (t *turn) revocationReceived(m *wire.RevokeAndAck) error {
	event, v := t.c.receiveRevocation(m)
	if v != nil {
		return v
	}
	t.event(event)
	t.monitor(&pb.MonitorUpdate{Revocation: &pb.Revocation{Number: t.c.RemoteNumber, Secret: event.GetSecret()}})
	for _, h := range t.c.HTLCs[Remote] {
		if settles(h.Add, Remote, theyRevoked) {
			in := incoming(h)
			in.Closing = len(t.shutdown.GetLocalScript()) > 0
			t.send(t.Resolver(in), in)
		}
	}
	for _, h := range t.c.HTLCs[Local] {
		if h.Removal != nil && settles(h.Removal.Progress, Remote, theyRevoked) && h.Preimage == nil {
			t.send(h.Origin, failure(h))
		}
	}
	t.wantSign()
	return nil
}

func incoming(h *HTLC) *pb.IncomingHTLC {
	return &pb.IncomingHTLC{
		Id: h.ID, AmountMsat: uint64(h.Amount), PaymentHash: h.PaymentHash[:], Expiry: h.Expiry, Onion: h.Onion,
		PathKey: h.PathKey, OverExposed: h.OverExposed,
	}
}

func failure(h *HTLC) proto.Message {
	out := &pb.HTLCFailed{Tag: h.Tag, Id: h.ID}
	if h.Removal.Malformed != nil {
		out.Failure = &pb.HTLCFailed_Malformed{Malformed: h.Removal.Malformed.proto()}
	} else {
		out.Failure = &pb.HTLCFailed_Reason{Reason: h.Removal.Reason}
	}
	return out
}

// figures answers who asks what there is in the channel.
func (t *turn) figures() error {
	if t.c == nil {
		return refuse(pb.RefusalCode_NOT_OPEN, "the channel has no funding yet")
	}
	balance := t.c.walk(t.c.Active[0], everything, func(*HTLC) {})
	b := Balances{Local: balance[Local], Remote: balance[Remote], Sent: t.c.Sent, Received: t.c.Received}
	if t.takesAdds() == nil && t.synced {
		b.Room = t.c.room(&t.Policy)
	}
	t.release(durable.Reply{To: t.m.Asker, Body: b})
	return nil
}
