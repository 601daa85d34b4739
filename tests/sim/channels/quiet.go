package channels

import (
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/actors/monitor"
	"stormcell/actors/registry"
	channelpb "stormcell/messages/channel"
	monitorpb "stormcell/messages/monitor"
	"stormcell/messages/record"
	registrypb "stormcell/messages/registry"
)

// Quiet implements sim.Process: every payment has one outcome; and once the second node is asked, both agree on every msat.
func (n *node) Quiet(read func(durable.Address) (proto.Message, error)) error {
	m, err := read(n.channel())
	if err != nil {
		return err
	}
	s, ok := m.(*channelpb.Snapshot)
	if !ok || s.GetPhase() != n.lastPhase() {
		return fmt.Errorf("node %d: the channel is in phase %s in the end", n.i, s.GetPhase())
	}
	n.books.seen = s
	if n.books.held, err = n.holdings(); err != nil {
		return err
	}
	if err := n.outcomes(read); err != nil {
		return err
	}
	if err := n.registered(read); err != nil {
		return err
	}
	if n.i == 0 {
		return nil
	}
	for _, n := range n.nodes {
		if err := n.canPunish(); err != nil {
			return fmt.Errorf("node %d: %w", n.i, err)
		}
	}
	if n.ending == forced {
		return n.forcedRight()
	}
	return n.agreed()
}

// registered checks that the registry knows where the channel stands, and the abandoned attempts before it no more.
func (n *node) registered(read func(durable.Address) (proto.Message, error)) error {
	m, err := read(registry.Address)
	if err != nil {
		return err
	}
	want := [...]registrypb.Standing{registrypb.Standing_OPEN, registrypb.Standing_GONE, registrypb.Standing_CLOSING}[n.ending]
	standing := registrypb.Standing_GONE // of those it does not know
	for _, c := range m.(*registrypb.Registry).GetChannels() {
		switch {
		case int(c.GetKeyIndex()) == n.attempt:
			standing = c.GetStanding()
		case n.i == 0:
			return fmt.Errorf("the registry still has attempt %d: %v", c.GetKeyIndex(), c)
		}
	}
	if standing != want {
		return fmt.Errorf("node %d: the registry has the channel as %s", n.i, standing)
	}
	return nil
}

func (c *Channels) lastPhase() channelpb.Phase {
	return [...]channelpb.Phase{channelpb.Phase_NORMAL, channelpb.Phase_CLOSED, channelpb.Phase_CLOSING}[c.ending]
}

// outcomes checks that every payer has one, and that they add up to what the channel sent. What is on the commitments of a
// channel that was forced closed is decided on the chain.
func (n *node) outcomes(read func(durable.Address) (proto.Message, error)) error {
	c := n.books.seen.GetCommitments()
	undecided := map[string]bool{}
	for _, h := range c.GetHtlcs() {
		if n.ending == forced && h.GetBy() == local {
			undecided[h.GetOrigin()] = true
		}
	}
	var sent uint64
	for i, by := range n.paying {
		if by != n.i {
			continue
		}
		m, err := read(payer(i))
		if err != nil {
			return err
		}
		p, ok := m.(*PayerState)
		if !ok {
			continue // it was never asked, or the crash took that
		}
		if len(p.GetOutcomes()) != 1 && (len(p.GetOutcomes()) > 1 || !undecided[string(payer(i))]) {
			return fmt.Errorf("node %d: payer %d has outcomes %q", n.i, i, p.GetOutcomes())
		}
		if p.GetChannel() == string(n.channel()) && len(p.GetOutcomes()) > 0 && p.GetOutcomes()[0] == "settled" {
			sent += p.GetAmount()
		}
	}
	if n.ending != forced && sent != c.GetSentMsat() {
		return fmt.Errorf("node %d sent %d msat, its payers paid %d", n.i, c.GetSentMsat(), sent)
	}
	return nil
}

// agreed compares the two ends of a channel that is open, or was closed by both.
func (n *node) agreed() error {
	for _, n := range n.nodes {
		own, other := n.books.seen.GetCommitments(), n.other().books.seen.GetCommitments()
		switch {
		case len(own.GetHtlcs()) > 0 || own.GetAwaiting() || len(own.GetFeeChanges()) > 0:
			return fmt.Errorf("node %d is not at rest: %v", n.i, own)
		case own.GetActive()[0].GetLocalMsat() != other.GetActive()[0].GetRemoteMsat(),
			own.GetLocalNumber() != other.GetRemoteNumber(), own.GetSatPerKw() != other.GetSatPerKw(),
			own.GetSentMsat() != other.GetReceivedMsat():
			return fmt.Errorf("the ends do not agree: %v and %v", own, other)
		case len(n.books.held.GetPreimages()) > 0:
			return fmt.Errorf("node %d: the monitor keeps %d preimages", n.i, len(n.books.held.GetPreimages()))
		case n.books.held.GetFinished() != (n.ending == closed):
			return fmt.Errorf("node %d: the monitor is finished: %t", n.i, n.books.held.GetFinished())
		}
		if err := n.monitorRests(); err != nil {
			return err
		}
	}
	if n.ending != closed {
		return nil
	}
	tx, _, there := n.chain.spender(n.funding())
	if !there {
		return fmt.Errorf("no closing transaction is on the chain")
	}
	return closingPays(tx, n.nodes[0].books.seen.GetCommitments(), len(n.features.Bytes()) == 0)
}

// funding is the outpoint of the channel.
func (n *node) funding() btcwire.OutPoint {
	p := n.books.seen.GetCommitments().GetActive()[0].GetOutpoint()
	return btcwire.OutPoint{Hash: chainhash.Hash(p.GetTxid()), Index: p.GetIndex()}
}

// canPunish: from its columns the node can build every commitment that the peer has revoked, as the peer has it.
func (n *node) canPunish() error {
	held := n.books.held
	for number := held.GetSwept(); number < held.GetRevoked(); number++ {
		column, err := n.revoked(number)
		if err != nil || column == nil {
			return err // it is in the monitor's inbox yet
		}
		built, _, err := monitor.Rebuild(held.GetContract(), column)
		if err != nil {
			return err
		}
		if theirs := n.other().books.txids[number]; built[0].TxID != theirs {
			return fmt.Errorf("revoked commitment %d is %s, and the peer had %s", number, built[0].TxID, theirs)
		}
	}
	return nil
}

// revoked is the column of a revoked state, nil when it is not written yet.
func (n *node) revoked(number uint64) (*monitorpb.Revoked, error) {
	stored, err := n.log.Column(monitor.RevokedKey(channel.MonitorOf(n.channel()), number))
	if err != nil || stored == nil {
		return nil, err
	}
	m, err := record.Decode(*stored)
	if err != nil {
		return nil, err
	}
	return m.(*monitorpb.Revoked), nil
}

// monitorRests: a monitor of a channel that is closed has nothing to do any more, and is not woken at the next start.
func (n *node) monitorRests() error {
	st, err := n.log.ReadAhead(channel.MonitorOf(n.channel()))
	if err != nil {
		return err
	}
	if st.Head.GetDone() != (n.ending == closed) {
		return fmt.Errorf("node %d: the monitor is done: %t", n.i, st.Head.GetDone())
	}
	return nil
}

// forcedRight: a commitment is on the chain, and both monitors know it.
func (n *node) forcedRight() error {
	tx, _, there := n.chain.spender(n.funding())
	if !there {
		return fmt.Errorf("no commitment is on the chain")
	}
	for _, n := range n.nodes {
		h, known := n.books.held, false
		candidates := map[channel.Side][]*channelpb.SignedCommitment{
			channel.Local: {h.GetLocal()}, channel.Remote: {h.GetRemote(), h.GetNext()},
		}
		for owner, told := range candidates {
			for _, told := range told {
				if told == nil {
					continue
				}
				built, err := rebuild(h.GetContract(), owner, told)
				if err != nil {
					return err
				}
				known = known || built.TxID == tx.TxHash()
			}
		}
		if !known {
			return fmt.Errorf("node %d: the monitor does not know %s", n.i, tx.TxHash())
		}
	}
	return nil
}
