package payments

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/actors/payment"
	pb "stormcell/messages/payment"
)

// reader gives what is stored at an address.
type reader = func(durable.Address) (proto.Message, error)

// Quiet implements sim.Process: when nothing moves any more, payer's and payee's books agree, every attempt has ended, and no
// monitor keeps a preimage.
func (w *Payments) Quiet(read reader) error {
	ids := map[uint64]bool{}
	for n := range len(w.balances) {
		if err := w.checkChannel(read, channelAddress(n)); err != nil {
			return err
		}
	}
	for hash, p := range w.payees {
		addr := payment.AddressOf(hash)
		m, err := read(addr)
		if err != nil {
			return err
		}
		stored, _ := m.(*pb.Payment)
		if stored == nil && (w.recorded[addr] || p.outstanding > 0) {
			return fmt.Errorf("%s was recorded, and is gone", addr)
		}
		if stored == nil {
			continue
		}
		if err := w.checkPayment(read, addr, p, stored); err != nil {
			return fmt.Errorf("%s {%v}: %w", addr, stored, err)
		}
		for _, a := range stored.GetAttempts() {
			if ids[a.GetId()] {
				return fmt.Errorf("%s: attempt id %d was given out twice", addr, a.GetId())
			}
			ids[a.GetId()] = true
		}
	}
	return nil
}

func (w *Payments) checkChannel(read reader, addr durable.Address) error {
	m, err := read(addr)
	if err != nil {
		return err
	}
	if s, _ := m.(*Stub); len(s.GetOffers()) > 0 {
		return fmt.Errorf("%s is not at rest: %v", addr, s)
	}
	m, err = read(channel.MonitorOf(addr))
	if err != nil {
		return err
	}
	if g, _ := m.(*Guard); len(g.GetKept()) > 0 {
		return fmt.Errorf("the monitor of %s still keeps %v: nobody said that it is recorded", addr, g.GetKept())
	}
	return nil
}

// checkPayment holds the payer's books against the payee's.
func (w *Payments) checkPayment(read reader, addr durable.Address, p *payee, stored *pb.Payment) error {
	status := payment.StatusOf(stored)
	switch {
	case status == pb.Status_IN_FLIGHT:
		return fmt.Errorf("it is in flight for ever")
	case (status == pb.Status_SUCCEEDED) != (p.claimed > 0):
		return fmt.Errorf("it is %s, and the payee has %d of %d msat", status, p.claimed, p.total)
	case p.manner == claims && p.claimed != 0 && p.claimed != p.total:
		return fmt.Errorf("the payee has %d of %d msat", p.claimed, p.total)
	}
	var settled uint64
	for _, a := range stored.GetAttempts() {
		m, err := read(durable.Address(fmt.Sprintf("shard/%s/%d", strings.TrimPrefix(string(addr), "payment/"), a.GetN())))
		if err != nil {
			return err
		}
		shard, _ := m.(*pb.Shard)
		switch {
		case shard.GetState() == pb.Shard_LIVE:
			return fmt.Errorf("shard %d is live for ever", a.GetN())
		case (shard.GetState() == pb.Shard_SETTLED) != (a.GetSettledNs() != 0):
			return fmt.Errorf("shard %d is %s, and the payment does not know", a.GetN(), shard.GetState())
		case a.GetFailedNs() != 0 && a.GetFailure() == nil:
			return fmt.Errorf("nobody knows why attempt %d failed", a.GetN())
		}
		if a.GetSettledNs() != 0 {
			settled += a.GetRoute().GetAmountMsat()
		}
	}
	if settled != p.claimed {
		return fmt.Errorf("attempts over %d msat settled, and the payee has %d", settled, p.claimed)
	}
	return nil
}
