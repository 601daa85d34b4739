package mesh

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/invoice"
	"stormcell/actors/payment"
	channelpb "stormcell/messages/channel"
	invoicepb "stormcell/messages/invoice"
	pb "stormcell/messages/payment"
)

// reader gives what is stored at an address.
type reader = func(durable.Address) (proto.Message, error)

func load[T proto.Message](read reader, addr durable.Address) (T, error) {
	m, err := read(addr)
	t, _ := m.(T)
	return t, err
}

// sent is what each node's payments say that it sent through each channel, in msat.
type sent map[end]uint64

// end is a node's end of a channel.
type end struct {
	node    *node
	channel string
}

// balance checks that all nodes' books agree, and that everything has come to its end.
func (w *Mesh) balance() error {
	through := sent{}
	for _, d := range w.deals {
		if err := d.check(through); err != nil {
			return err
		}
	}
	for _, l := range w.lanes {
		for _, index := range l.slots {
			if err := l.check(channelAt(index), through); err != nil {
				return err
			}
		}
	}
	return nil
}

// check: a payer succeeded if and only if the payee settled, and every part of the set did. The set may be of two payers, and the
// part that completes it may be all that one of them pays.
func (d *deal) check(through sent) error {
	made, err := load[*invoicepb.Invoice](d.payee.read, invoice.Address(d.hash))
	if err != nil {
		return err
	}
	var total, succeeded uint64
	for _, payer := range d.payers {
		paid, err := load[*pb.Payment](payer.read, payment.AddressOf(d.hash))
		if err != nil {
			return err
		}
		if paid == nil {
			continue // nobody got to it
		}
		if payment.StatusOf(paid) == pb.Status_IN_FLIGHT {
			return fmt.Errorf("payment {%v} is in flight for ever; invoice {%v}", paid, made)
		}
		var parts uint64
		for _, a := range paid.GetAttempts() {
			if a.GetSettledNs() != 0 {
				through[end{payer, a.GetRoute().GetChannel()}] += a.GetRoute().GetAmountMsat()
				parts += a.GetRoute().GetAmountMsat()
			}
		}
		if payment.StatusOf(paid) == pb.Status_SUCCEEDED {
			succeeded++
		}
		if (parts > 0) != (payment.StatusOf(paid) == pb.Status_SUCCEEDED) {
			return fmt.Errorf("payment {%v} came to %d msat", paid, parts)
		}
		total += parts
	}
	settled := made.GetStatus() == invoicepb.Status_SETTLED
	switch {
	case made.GetStatus() == invoicepb.Status_HELD:
		return fmt.Errorf("nobody decides on invoice {%v}", made)
	case settled != (succeeded > 0):
		return fmt.Errorf("%d payers succeeded, and the payee does not agree: {%v}", succeeded, made)
	case total != made.GetPaidMsat():
		return fmt.Errorf("the payers sent %d msat, and the payee has another amount: {%v}", total, made)
	case settled && (total < d.paid || total >= 2*d.paid || total > d.paid && len(d.payers) == 1):
		return fmt.Errorf("%d msat were paid for {%v}, and not %d", total, made, d.paid)
	}
	return nil
}

// check: the two ends of a channel agree, nothing is on its way, and each sent what its payments say.
func (l *lane) check(addr durable.Address, through sent) error {
	var ends [2]*channelpb.Commitments
	for i, n := range l.ends {
		s, err := load[*channelpb.Snapshot](n.read, addr)
		if err != nil {
			return err
		}
		if ends[i] = s.GetCommitments(); s.GetPhase() != channelpb.Phase_NORMAL || len(ends[i].GetHtlcs()) > 0 {
			return fmt.Errorf("%s is not at rest on node %d: %v", addr, n.i, s)
		}
		if says := through[end{n, string(addr)}]; ends[i].GetSentMsat() != says {
			return fmt.Errorf("node %d sent %d msat through %s, and its payments say %d", n.i, ends[i].GetSentMsat(), addr, says)
		}
	}
	if ends[0].GetActive()[0].GetLocalMsat() != ends[1].GetActive()[0].GetRemoteMsat() {
		return fmt.Errorf("the ends of %s do not agree", addr)
	}
	return nil
}
