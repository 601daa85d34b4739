package payment

import (
	"encoding/hex"
	"fmt"
	"strings"

	"stormcell/actors/durable"
	pb "stormcell/messages/payment"
	"stormcell/peer/wire"
)

// Names of the two kinds.
const (
	Name      = "payment"
	ShardName = "shard"
)

// AddressOf is where this node's own payment of a hash lives.
func AddressOf(hash [32]byte) durable.Address {
	return durable.Address(Name + "/" + hex.EncodeToString(hash[:]))
}

// shardOf is the address of a payment's n-th attempt.
func shardOf(payment durable.Address, n uint32) durable.Address {
	return durable.Address(fmt.Sprintf("%s/%s/%d", ShardName, strings.TrimPrefix(string(payment), Name+"/"), n))
}

// paymentOf is the address of the payment that a shard belongs to.
func paymentOf(shard durable.Address) durable.Address {
	id := strings.TrimPrefix(string(shard), ShardName+"/")
	return durable.Address(Name + "/" + id[:strings.LastIndexByte(id, '/')])
}

// StatusOf is where a payment stands.
func StatusOf(p *pb.Payment) pb.Status {
	switch {
	case len(InFlightHTLCs(p)) > 0:
		return pb.Status_IN_FLIGHT
	case len(p.GetPreimage()) > 0:
		return pb.Status_SUCCEEDED
	case p.GetFailure() != pb.FailureReason_NONE:
		return pb.Status_FAILED
	default:
		return pb.Status_IN_FLIGHT
	}
}

// isLive tells whether an attempt may still settle.
func isLive(a *pb.Attempt) bool { return a.GetSettledNs() == 0 && a.GetFailedNs() == 0 }

// InFlightHTLCs are the live attempts.
func InFlightHTLCs(p *pb.Payment) []*pb.Attempt {
	var live []*pb.Attempt
	for _, a := range p.GetAttempts() {
		if isLive(a) {
			live = append(live, a)
		}
	}
	return live
}

// SentAmt is what live and settled attempts bring to the payee, and what they cost.
func SentAmt(p *pb.Payment) (sent, fees wire.MilliSatoshi) {
	for _, a := range p.GetAttempts() {
		if isLive(a) || a.GetSettledNs() != 0 {
			sent += Delivered(a.GetRoute())
			fees += Fee(a.GetRoute())
		}
	}
	return sent, fees
}

// Delivered is what the payee gets over a route.
func Delivered(r *pb.Route) wire.MilliSatoshi {
	if len(r.GetHops()) == 0 {
		return 0
	}
	return wire.MilliSatoshi(r.GetHops()[len(r.GetHops())-1].GetAmountMsat())
}

// Fee is what the nodes of a route keep.
func Fee(r *pb.Route) wire.MilliSatoshi {
	return wire.MilliSatoshi(r.GetAmountMsat()) - Delivered(r)
}

// thisTry are the attempts since the payment was last begun.
func thisTry(p *pb.Payment) []*pb.Attempt {
	for i, a := range p.GetAttempts() {
		if a.GetN() >= p.GetFirst() {
			return p.GetAttempts()[i:]
		}
	}
	return nil
}

// attempt finds an attempt; nil when it was deleted.
func attempt(p *pb.Payment, n uint32) *pb.Attempt {
	for _, a := range p.GetAttempts() {
		if a.GetN() == n {
			return a
		}
	}
	return nil
}
