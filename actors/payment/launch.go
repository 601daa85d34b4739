package payment

import (
	"encoding/binary"
	"errors"
	"fmt"

	"stormcell/actors/durable"
	"stormcell/actors/router"
	pb "stormcell/messages/payment"
	"stormcell/peer/wire"
)

// proceed decides what is next: nothing, once the payment has come to an end or while all of it is on its way.
func (t *turn) proceed() {
	if t.ended() {
		return
	}
	left, _ := t.left()
	switch {
	case left == 0:
	case t.nowNs() >= t.p.GetDeadlineNs():
		t.fail(pb.FailureReason_TIMEOUT)
	case len(thisTry(t.p)) >= maxAttempts:
		t.fail(pb.FailureReason_NO_ROUTE)
	case t.asked == 0 && t.partsLeft() > 0 && !t.later:
		t.ask(left)
	}
}

// ended tells whether nothing is launched any more: a shard settled, or the payment as a whole failed.
func (t *turn) ended() bool {
	return len(t.p.GetPreimage()) > 0 || t.p.GetFailure() != pb.FailureReason_NONE
}

// left is what remains to be sent, and what may be spent on it.
func (t *turn) left() (amount, fees wire.MilliSatoshi) {
	sent, spent := SentAmt(t.p)
	r := t.p.GetRequest()
	total, most := wire.MilliSatoshi(r.GetAmountMsat()), wire.MilliSatoshi(r.GetMaxFeeMsat())
	return total - min(sent, total), most - min(spent, most)
}

func (t *turn) partsLeft() int {
	return int(t.p.GetRequest().GetMaxParts()) - len(InFlightHTLCs(t.p))
}

// ask asks for routes.
func (t *turn) ask(amount wire.MilliSatoshi) {
	_, fees := t.left()
	round := t.p.GetRevision() + 1
	t.out.Release = append(t.out.Release, FindRoutes{Round: round, Query: Query(t.p, amount, fees, t.partsLeft())})
	t.stage(round)
}

// gather asks the live shards for their outcomes, and for nothing else until it is answered.
func (t *turn) gather(live []*pb.Attempt) {
	wanted := Gather{Round: t.p.GetRevision() + 1}
	for _, a := range live {
		wanted.Shards = append(wanted.Shards, shardOf(t.env.Self(), a.GetN()))
	}
	t.out.Release = append(t.out.Release, wanted)
	t.stage(wanted.Round)
}

func (t *turn) stage(round uint64) {
	if t.asked != round {
		t.asked = round
		t.out.Stage = append(t.out.Stage, &pb.RoutesAsked{Round: round})
	}
}

// Query is what the router is asked for a payment that has so much left to send.
func Query(p *pb.Payment, amount, fees wire.MilliSatoshi, parts int) router.Query {
	r := p.GetRequest()
	q := router.Query{
		Payee: [33]byte(r.GetPayee().GetNode()), Amount: amount, MaxFee: fees, MaxParts: parts,
		MaxPart: wire.MilliSatoshi(r.GetMaxPartMsat()), FinalDelta: r.GetFinalDelta(), MaxDelta: r.GetMaxDelta(),
		First: r.GetFirstChannels(), Spread: binary.BigEndian.Uint64(p.GetHash()),
	}
	for _, a := range thisTry(p) {
		if bound, learned := lesson(a); learned {
			q.Learned = append(q.Learned, bound)
		} else if isFull(a.GetFailure()) {
			q.Spread++ // it may be full for long, and others not
		}
	}
	return q
}

// found takes the answer to the latest question.
func (t *turn) found(found Found) durable.Outcome {
	if found.Round != t.asked || t.asked == 0 {
		return durable.Outcome{}
	}
	t.stage(0)
	t.launch(&found)
	t.proceed()
	return t.done()
}

// launch sends an attempt on its way for each route, unless the payment has come to its end meanwhile.
func (t *turn) launch(found *Found) {
	if t.ended() || t.nowNs() >= t.p.GetDeadlineNs() {
		return
	}
	switch {
	case t.passes(found.Err):
		t.askLater()
		return
	case errors.Is(found.Err, router.ErrInsufficientBalance):
		t.fail(pb.FailureReason_INSUFFICIENT_BALANCE)
		return
	case errors.Is(found.Err, router.ErrNoRoute):
		t.fail(pb.FailureReason_NO_ROUTE)
		return
	case found.Err != nil || t.check(found.Routes) != nil:
		t.fail(pb.FailureReason_ERROR)
		return
	}
	for _, r := range found.Routes {
		t.launchOn(r)
	}
}

// passes tells whether what is wrong may pass by itself: the channels are full, or the node has just started, so that the chain is
// not known or peers are not back. The deadline of the payment bounds the wait.
func (t *turn) passes(err error) bool {
	noWay := errors.Is(err, router.ErrNoRoute) || errors.Is(err, router.ErrInsufficientBalance)
	return errors.Is(err, ErrNoChain) || errors.Is(err, router.ErrBusy) || noWay && t.nowNs() < t.until
}

// askLater puts the next question off.
func (t *turn) askLater() {
	t.later = true
	t.out.Release = append(t.out.Release, durable.SetTimer{Key: laterTimer, After: askAgainAfter, Body: goOn{}})
}

// check holds routes against what is left of amount, fee and parts.
func (t *turn) check(routes []*pb.Route) error {
	var amount, fees wire.MilliSatoshi
	for _, r := range routes {
		amount += Delivered(r)
		fees += Fee(r)
	}
	left, budget := t.left()
	if len(routes) > t.partsLeft() || amount > left || fees > budget {
		return fmt.Errorf("%d routes for %v and %v of fees, with %d, %v and %v left", len(routes), amount, fees,
			t.partsLeft(), left, budget)
	}
	return nil
}

func (t *turn) launchOn(r *pb.Route) {
	p := t.change()
	p.Launched++
	a := &pb.Attempt{
		N: p.GetLaunched(), Id: p.GetNumber()<<16 | uint64(p.GetLaunched()), SessionKey: t.sessionKey(), Route: r,
		LaunchedNs: t.nowNs(),
	}
	p.Attempts = append(p.Attempts, a)
	t.send(shardOf(t.env.Self(), a.GetN()), &pb.Launch{
		Hash: p.GetHash(), TotalMsat: p.GetRequest().GetAmountMsat(), Payee: p.GetRequest().GetPayee(), Attempt: a,
	})
}

// sessionKey draws the key that an onion is made with. It is stored with the attempt, so that the onion can be made again.
func (t *turn) sessionKey() []byte {
	key := make([]byte, 32)
	t.env.Random(key)
	return key
}
