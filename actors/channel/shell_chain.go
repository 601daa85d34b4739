package channel

import (
	"context"

	"stormcell/actors/durable"
	"stormcell/actors/onchain"
	"stormcell/chain/backend"
	"stormcell/chain/fees"
	"stormcell/chain/watch"
)

// Watches of a channel.
const (
	watchConfirmed watch.ID = "funding confirmed"
	watchSeen      watch.ID = "funding in a block"
	watchSpent     watch.ID = "funding spent for good"
	watchSpend     watch.ID = "funding spent in a block"
)

const (
	// commitTarget is within how many blocks a commitment should confirm by itself.
	commitTarget = 3
	// defaultTarget is for funding and closing transactions of users who do not say.
	defaultTarget = 6
)

// watchFunding has the desk tell a channel, and those who look at it, what becomes of its funding.
func (s *Shell) watchFunding(owner onchain.Owner, e WatchFunding) {
	m := s.member(owner.Address)
	since := e.Since
	if since == 0 {
		since = s.Desk.Height()
	}
	created := watch.Transaction{TxID: e.Outpoint.Hash, Script: e.Output.PkScript}
	spent := watch.Spend{OutPoint: e.Outpoint, Script: e.Output.PkScript}
	for _, w := range []struct {
		watch.Watch
		as func(watch.Fact) any
	}{
		{watch.Watch{ID: watchSeen, Target: created, Depth: 1}, m.fundingSeen},
		{watch.Watch{ID: watchConfirmed, Target: created, Depth: e.Depth, Told: e.Told.sighting()}, confirmed},
		{watch.Watch{ID: watchSpend, Target: spent, Depth: 1}, func(f watch.Fact) any {
			m.spendSeen(f)
			s.changed.Raise()
			return FundingSpend{TxID: m.spentBy.Load()}
		}},
		{watch.Watch{ID: watchSpent, Target: spent, Depth: e.Spent}, spentForGood},
	} {
		w.Since = since
		if err := s.Desk.Watch(owner, w.Watch, w.as); err != nil {
			s.Log.Error("the funding of a channel is not watched", "channel", owner.Address, "error", err)
		}
	}
	if err := s.Kernel.Tell(owner.Address, owner.Session, Height{s.Desk.Height()}); err != nil {
		s.Log.Debug("a channel was not told the height", "channel", owner.Address, "error", err)
	}
}

func confirmed(fact watch.Fact) any {
	if found, ok := fact.(watch.Found); ok {
		return FundingConfirmed{Tx: found.Tx, Block: found.Block.Hash, Height: found.Block.Height, TxIndex: found.TxIndex}
	}
	return FundingUndone{}
}

// sighting is the fact as the watcher knows it.
func (c *FundingConfirmed) sighting() *watch.Sighting {
	if c == nil {
		return nil
	}
	return &watch.Sighting{Block: backend.BlockRef{Height: c.Height, Hash: c.Block}, TxIndex: c.TxIndex}
}

func spentForGood(fact watch.Fact) any {
	if found, ok := fact.(watch.Found); ok {
		return FundingSpent{Tx: found.Tx, Height: found.Block.Height}
	}
	return nil
}

// fundingSeen notes where the funding is.
func (m *member) fundingSeen(fact watch.Fact) any {
	if found, ok := fact.(watch.Found); ok {
		m.seenAt.Store(found.Block.Height)
	} else {
		m.seenAt.Store(0)
	}
	return nil
}

// spendSeen notes what spends the funding.
func (m *member) spendSeen(fact watch.Fact) {
	if found, ok := fact.(watch.Found); ok {
		txid := found.Tx.TxHash()
		m.spentBy.Store(&txid)
	} else {
		m.spentBy.Store(nil)
	}
}

// publish publishes a transaction of a channel until it, or one that spends the same, is safe in the chain. After a restart
// that may be so already.
func (s *Shell) publish(owner onchain.Owner, e Publish) {
	height := s.Desk.Height()
	s.Desk.Publish(owner, onchain.Publication{Tx: e.Tx, Since: height - min(height, watch.SafeDepth)})
	if s.member(owner.Address).publishes(e.Tx) {
		s.changed.Raise()
	}
}

// height tells all channels how many blocks there are, and follows the market of fees.
func (s *Shell) height(height uint32) {
	s.members.Range(func(_, value any) bool {
		s.tell(value.(*member).address, Height{height}) // a peer that keeps the channel busy must not keep it from its deadlines
		return true
	})
	if s.adjusting.CompareAndSwap(false, true) {
		s.Runtime.Go(func() {
			defer s.adjusting.Store(false)
			s.adjustFees()
		})
	}
}

// adjustFees brings the commitments of the channels that we opened to what they should pay now.
func (s *Shell) adjustFees() {
	ctx := context.Background()
	estimate, err := s.Desk.FeeRate(ctx, commitTarget)
	if err != nil {
		s.Log.Debug("the fee rates of commitments stay as they are", "error", err)
		return
	}
	wanted := commitFeeRate(estimate, s.MaxCommitFeeRate)
	s.members.Range(func(_, value any) bool {
		m := value.(*member)
		entry := m.entry.Load()
		if !entry.GetOpener() || s.linkOf([33]byte(entry.GetPeer())) == nil {
			return true
		}
		if err := s.adjustFee(ctx, m.address, wanted); err != nil {
			s.Log.Debug("the fee rate of a channel stays as it is", "channel", m.address, "error", err)
		}
		return true
	})
}

// adjustFee proposes a fee rate to the peer of a channel if it makes a difference.
func (s *Shell) adjustFee(ctx context.Context, channel durable.Address, wanted fees.SatPerKW) error {
	body, err := s.Kernel.Ask(ctx, channel, Describe{})
	if err != nil {
		return err
	}
	if info, ok := body.(Info); !ok || !info.Active || !worthChanging(info.FeeRate, wanted) {
		return nil
	}
	_, err = s.Kernel.Ask(ctx, channel, SetFeeRate{Rate: wanted})
	return err
}
