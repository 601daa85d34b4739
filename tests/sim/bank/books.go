package bank

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
)

// Quiet implements sim.Domain: when nothing moves any more, the books must balance to the last sat, and agree with what the
// world was shown.
func (b *Bank) Quiet(read func(durable.Address) (proto.Message, error)) error {
	if len(b.unheard) > 0 {
		return fmt.Errorf("%s never answered", b.unheard[0].to)
	}
	deposits, err := b.checkTransfers(read)
	if err != nil {
		return err
	}
	if err := b.checkAccounts(read, deposits); err != nil {
		return err
	}
	return b.checkAudit(read, deposits)
}

// flows is what shards moved.
type flows struct {
	in, out map[durable.Address]int64
	count   uint64
	sum     int64
}

// checkTransfers checks that each transfer that was asked for has ended, once, as its shards ended, and they as the world
// judged. It gives the flows that follow.
func (b *Bank) checkTransfers(read func(durable.Address) (proto.Message, error)) (flows, error) {
	f := flows{in: map[durable.Address]int64{}, out: map[durable.Address]int64{}}
	for _, addr := range slices.Sorted(maps.Keys(b.orders)) {
		t, err := load[*TransferState](read, addr)
		if err != nil {
			return f, err
		}
		if t == nil {
			if _, dropped := b.finished[addr]; dropped {
				return f, fmt.Errorf("%s has finished and is gone", addr)
			}
			continue // the plan left it out
		}
		var settled int64
		for n := range t.Launched {
			shard := durable.Address(fmt.Sprintf("shard/%s/%d", addr[len("transfer/"):], n+1))
			amount, err := b.checkShard(read, shard, addr, &f)
			if err != nil {
				return f, err
			}
			settled += amount
		}
		shown, isShown := b.finished[addr]
		if len(t.Live) > 0 || !t.Acknowledged || !isShown {
			return f, fmt.Errorf("%s has not ended: {%v}", addr, t)
		}
		if t.Settled != settled || shown != settled {
			return f, fmt.Errorf("%s settled %d, says %d, said %d to the world", addr, settled, t.Settled, shown)
		}
	}
	return f, nil
}

// checkShard gives what a shard settled.
func (b *Bank) checkShard(read func(durable.Address) (proto.Message, error), addr, transfer durable.Address, f *flows) (int64, error) {
	s, err := load[*ShardState](read, addr)
	if err != nil {
		return 0, err
	}
	if s == nil {
		return 0, fmt.Errorf("%s was launched and is not there", addr)
	}
	verdict, judged := b.verdicts[addr]
	settled := s.Phase == ShardState_SETTLED
	switch {
	case !settled && s.Phase != ShardState_FAILED:
		return 0, fmt.Errorf("%s has not ended: %v", addr, s.Phase)
	case settled != (judged && verdict):
		return 0, fmt.Errorf("%s: the world's verdict is %t (given: %t), it ended %v", addr, verdict, judged, s.Phase)
	case durable.Address(s.Transfer) != transfer:
		return 0, fmt.Errorf("%s belongs to %s, not to %s", addr, s.Transfer, transfer)
	}
	if !judged {
		return 0, nil // the account declined
	}
	to := s.Order.From
	if settled {
		to = s.Order.To
	}
	f.out[durable.Address(s.Order.From)] += s.Order.Amount
	f.in[durable.Address(to)] += s.Order.Amount
	f.count++
	f.sum += s.Order.Amount
	if settled {
		return s.Order.Amount, nil
	}
	return 0, nil
}

// checkAccounts checks that each account holds what it was opened with and what shards moved.
func (b *Bank) checkAccounts(read func(durable.Address) (proto.Message, error), f flows) error {
	for _, addr := range slices.Sorted(maps.Keys(b.accounts)) {
		a, err := load[*AccountState](read, addr)
		if err != nil {
			return err
		}
		if a == nil {
			if len(b.shown[addr]) > 0 {
				return fmt.Errorf("%s was shown to the world and is gone", addr)
			}
			a = &AccountState{}
		}
		if want := a.Opened + f.in[addr] - f.out[addr]; a.Balance != want {
			return fmt.Errorf("%s holds %d, must hold %d", addr, a.Balance, want)
		}
		for steps, balance := range b.shown[addr] {
			if steps > a.Steps {
				return fmt.Errorf("%s showed balance %d after step %d, and has only %d steps", addr, balance, steps, a.Steps)
			}
		}
	}
	return nil
}

// checkAudit checks that the auditor has posted each deposit once.
func (b *Bank) checkAudit(read func(durable.Address) (proto.Message, error), f flows) error {
	a, err := load[*AuditState](read, auditor)
	if err != nil {
		return err
	}
	if a == nil {
		a = &AuditState{}
	}
	if a.Total != f.sum || a.Entries != f.count {
		return fmt.Errorf("%s posted %d in %d entries, must be %d in %d", auditor, a.Total, a.Entries, f.sum, f.count)
	}
	return nil
}

func load[T proto.Message](read func(durable.Address) (proto.Message, error), addr durable.Address) (T, error) {
	var none T
	m, err := read(addr)
	if err != nil || m == nil {
		return none, err
	}
	t, ok := m.(T)
	if !ok {
		return none, fmt.Errorf("%s is stored as %T", addr, m)
	}
	return t, nil
}
