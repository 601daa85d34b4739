package channel

import (
	"fmt"

	"stormcell/actors/durable"
	pb "stormcell/messages/channel"
)

// startPatience gives adds that wait for the peer some time, from when the first of them began to.
func (t *turn) startPatience() {
	if !t.patience.GetRunning() {
		t.stage(&pb.Patience{Running: true})
		t.release(durable.SetTimer{Key: patience, After: t.Policy.OfflinePatience, Body: outOfReach{}})
	}
}

// bePatient is for when the connection ends: adds that nobody signed wait for the next one. A peer that comes and goes does not
// make them wait for longer.
func (t *turn) bePatient() {
	switch {
	case len(t.stillWaiting()) == 0:
	case t.patience.GetOver():
		t.refuseAllWaiting(refuse(pb.RefusalCode_PEER_OFFLINE, "the peer comes and goes"))
	default:
		t.startPatience()
	}
}

// giveUpWaiting refuses the adds that wait for a peer that does not come, or for a chain that is not there. What is proposed
// already waits for as long as this connection lasts.
func (t *turn) giveUpWaiting() error {
	switch {
	case len(t.waiting) == 0:
		t.stage(&pb.Patience{})
	case !t.synced:
		t.refuseAllWaiting(refuse(pb.RefusalCode_PEER_OFFLINE, "the peer is offline"))
	case t.height == 0:
		t.refuseAllWaiting(refuse(pb.RefusalCode_PEER_OFFLINE, "this node does not know the height of the chain"))
	default:
		t.stage(&pb.Patience{Running: true, Over: true})
	}
	return nil
}

// expectRevocation gives the peer some time to revoke its commitment of that number: until then we can sign no other.
func (t *turn) expectRevocation(number uint64) {
	t.release(durable.SetTimer{
		Key: unrevoked, After: t.Policy.RevocationPatience, Body: revocationLate{link: t.link, number: number},
	})
}

// giveUpRevocation ends a connection over which no revocation comes: the next one may be better.
func (t *turn) giveUpRevocation(body revocationLate) error {
	if t.c != nil && t.c.Awaiting && t.link == body.link && t.c.RemoteNumber == body.number {
		t.hangup(fmt.Errorf("%w: number %d, within %v", ErrNotRevoked, body.number, t.Policy.RevocationPatience))
	}
	return nil
}
