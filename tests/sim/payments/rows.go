package payments

import (
	"fmt"
	"strings"

	"stormcell/actors/durable"
	"stormcell/actors/payment"
	pb "stormcell/messages/payment"
	"stormcell/tests/sim"
)

// Row is a named situation in which the process dies, and what of its log it leaves behind.
type Row struct {
	Name string
	Keep sim.Keep
	is   func(*Payments, moment) bool
}

// moment is one attempt of a payment, as all who have to do with it know it.
type moment struct {
	payment *pb.Payment
	attempt *pb.Attempt
	shard   *pb.Shard // nil before its launch has reached it
	stub    *Stub     // the channel it goes through
	offer   *Offer    // nil when the channel has not signed it, or not any more
	arrived bool      // the payee has it
	verdict *verdict  // the payee's; nil while there is none
}

func (m moment) live() bool {
	return m.attempt.GetSettledNs() == 0 && m.attempt.GetFailedNs() == 0
}

func (m moment) liveShard() bool { return m.shard != nil && m.shard.GetState() == pb.Shard_LIVE }

// unsigned: the shard lives, and no commitment holds its HTLC, now or before.
func (m moment) unsigned() bool {
	return m.liveShard() && m.offer == nil && m.verdict == nil && !m.arrived
}

func (m moment) claimed() bool { return m.verdict != nil && m.verdict.preimage != nil }

// Rows are the crash points of sending. Sx names the situation; the books must be right in the end.
var Rows = []Row{
	{"S1", sim.KeepNothing, func(w *Payments, m moment) bool { return !w.recorded[payment.AddressOf([32]byte(m.payment.GetHash()))] }},
	{"S2", sim.KeepAll, func(_ *Payments, m moment) bool { return m.live() && m.shard == nil }},
	{"S3", sim.KeepAll, func(_ *Payments, m moment) bool { return m.unsigned() }},
	{"S4", sim.KeepAll, func(_ *Payments, m moment) bool { return m.offer != nil && !m.arrived && m.verdict == nil }},
	{"S5", sim.KeepAll, func(_ *Payments, m moment) bool { return m.live() && m.offer != nil && m.arrived }},
	{"S6", sim.KeepAll, func(_ *Payments, m moment) bool { return m.unsigned() && m.stub.GetClosed() }},
	{"S7", sim.KeepAll, func(_ *Payments, m moment) bool { return m.claimed() && m.offer != nil && m.offer.GetPreimage() == nil }},
	{"S8", sim.KeepAll, func(_ *Payments, m moment) bool { return m.live() && m.offer.GetPreimage() != nil }},
	{"S9", sim.KeepAll, func(_ *Payments, m moment) bool { return m.live() && m.claimed() && m.offer == nil && m.stub != nil }},
	{"S10", sim.KeepAll, func(_ *Payments, m moment) bool { return payment.StatusOf(m.payment) == pb.Status_SUCCEEDED }},
	{"S11", sim.KeepAll, func(_ *Payments, m moment) bool {
		return m.live() && m.verdict != nil && !m.claimed() && m.offer == nil && m.stub != nil
	}},
	{"S12", sim.KeepAll, func(_ *Payments, m moment) bool { return m.live() && len(m.payment.GetPreimage()) > 0 }},
	{"S13", sim.KeepAll, func(_ *Payments, m moment) bool {
		return m.live() && len(m.payment.GetPreimage()) == 0 && m.payment.GetFailure() != pb.FailureReason_NONE
	}},
}

// In has the process die in the n-th move, from 0, that finds it in the situation of a row.
func (w *Payments) In(row Row, n int) *Payments {
	w.row, w.passes = &row, n
	return w
}

// Hit tells whether it died there.
func (w *Payments) Hit() bool { return w.hit }

// CrashNow implements sim.Crasher.
func (w *Payments) CrashNow() bool {
	if w.row == nil || w.hit || !w.inRow() {
		return false
	}
	w.passes--
	w.hit = w.passes < 0
	return w.hit
}

// inRow tells whether any attempt is in the situation of the row.
func (w *Payments) inRow() bool {
	for addr, p := range w.payments {
		for _, a := range p.GetAttempts() {
			if w.row.is(w, w.momentOf(addr, p, a)) {
				return true
			}
		}
	}
	return false
}

func (w *Payments) momentOf(addr durable.Address, p *pb.Payment, a *pb.Attempt) moment {
	id := strings.TrimPrefix(string(addr), payment.Name+"/")
	shard := durable.Address(fmt.Sprintf("%s/%s/%d", payment.ShardName, id, a.GetN()))
	channel := durable.Address(a.GetRoute().GetChannel())
	m := moment{payment: p, attempt: a, shard: w.shards[shard], stub: w.stubs[channel]}
	for _, o := range m.stub.GetOffers() {
		if o.GetOrigin() == string(shard) {
			m.offer = o
		}
	}
	if key, ok := w.arrivals[shard]; ok {
		m.arrived, m.verdict = true, w.verdicts[key]
	}
	return m
}

// Afresh tells whether a payment of which the crash left nothing was begun again, as if it never had been.
func (w *Payments) Afresh() bool { return w.afresh }

// LateSettle tells whether a payment that had failed as a whole succeeded in the end.
func (w *Payments) LateSettle() bool {
	for _, p := range w.shown {
		if payment.StatusOf(p) == pb.Status_SUCCEEDED && p.GetFailure() != pb.FailureReason_NONE {
			return true
		}
	}
	return false
}
