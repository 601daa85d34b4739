package channels

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/actors/monitor"
	"stormcell/actors/registry"
	channelpb "stormcell/messages/channel"
	"stormcell/peer/wire"
	"stormcell/tests/sim"
)

// node is one of the two: a sim.Process.
type node struct {
	*Channels
	i       int
	core    *channel.Core
	monitor *monitor.Core
	kernel  *durable.Kernel
	watch   *watch // of this incarnation's channel
	phase   channelpb.Phase
	books   books
	log     sim.Log
}

var (
	_ sim.Process = (*node)(nil)
	_ sim.Auditor = (*node)(nil)
)

func newNode(c *Channels, i int) *node {
	signer := sim.Signer(i)
	n := &node{Channels: c, i: i, monitor: &monitor.Core{Signer: signer, MaxKept: 1 + c.rng.IntN(20)}}
	n.core = &channel.Core{
		Signer: signer, Policy: channel.DefaultPolicy(),
		Resolver: func(*channelpb.IncomingHTLC) durable.Address { return "payee/main" }, Registry: registry.Address,
	}
	return n
}

func (n *node) id() (id [33]byte) {
	copy(id[:], n.core.Signer.NodeKey().SerializeCompressed())
	return id
}

func (n *node) other() *node { return n.nodes[1-n.i] }

// Register implements sim.Process.
func (n *node) Register(k *durable.Kernel) error {
	n.kernel, n.watch = k, nil
	kind := channel.Kind()
	kind.SnapshotEvery = 8
	if err := durable.Register(k, kind, n.sabotage.core(n.core)); err != nil {
		return err
	}
	if err := durable.Register(k, monitor.Kind(), n.monitor); err != nil {
		return err
	}
	if err := durable.Register(k, registry.Kind(), registry.Core{Limits: registry.DefaultLimits()}); err != nil {
		return err
	}
	if err := durable.Register(k, durable.Kind{Name: "payer"}, payers{}); err != nil {
		return err
	}
	for _, name := range []string{"payee", "wallet"} {
		if err := durable.Register(k, durable.Kind{Name: name}, helpers{}); err != nil {
			return err
		}
	}
	return nil
}

// Started implements sim.Process.
func (n *node) Started() {
	if n.other().kernel != nil {
		n.connect()
	}
}

// tell sends what may be lost.
func (n *node) tell(to durable.Address, body any) { _ = n.kernel.Tell(to, 0, body) }

// Victims implements sim.Process.
func (n *node) Victims() []durable.Address { return []durable.Address{n.channel()} }

// Poison implements sim.Process: no message at all is more than a channel can bear.
func (n *node) Poison() any { return channel.Received{Link: n.link} }

// Release implements durable.World.
func (n *node) Release(from durable.Address, _ uint64, e durable.Effect) {
	if from != n.channel() {
		return // of an attempt that has been given up
	}
	switch e := e.(type) {
	case channel.SendWire:
		n.carry(e)
	case channel.Hangup:
		if errors.Is(e.Reason, channel.ErrNotRevoked) { // the clock may leap before messages arrive
			if e.Link == n.link {
				n.connect()
			}
			return
		}
		n.fail("node %d hangs up: %v", n.i, e.Reason)
	case channel.Publish:
		n.published(e)
	case channel.WatchFunding:
		n.watch = watchFor(e)
		n.look()
	case channel.Changed, channel.Failing: // nobody watches; what a channel that fails publishes is looked at
	case durable.Refused: // what was asked again or too early
	default:
		n.fail("node %d releases an unknown %T", n.i, e)
	}
}

// published takes a transaction. What a channel that fails publishes must be what its monitor would.
func (n *node) published(e channel.Publish) {
	n.chain.publish(e.Tx)
	if n.watch == nil || !spends(e.Tx, n.watch.Outpoint) {
		return
	}
	if err := validSpend(e.Tx, n.watch.Output); err != nil {
		n.fail("node %d: %w", n.i, err)
	}
	if n.phase != channelpb.Phase_CLOSING {
		return
	}
	err := n.kernel.AskFunc(channel.MonitorOf(n.channel()), monitor.Latest{}, false, func(body any, err error) {
		if signed, ok := body.(monitor.Signed); err == nil && (!ok || signed.Txs[0].WitnessHash() != e.Tx.WitnessHash()) {
			n.fail("node %d publishes %s, its monitor would publish %+v", n.i, e.Tx.TxHash(), body)
		}
	})
	if err != nil {
		n.fail("node %d has no monitor: %w", n.i, err)
	}
}

// carry brings a message to the other side, if that connection is still there.
func (n *node) carry(e channel.SendWire) {
	if e.Link != n.link || !n.connected {
		return
	}
	switch m := e.Message.(type) {
	case *wire.Warning:
		n.fail("node %d warns: %s", n.i, m.Data)
	case *wire.Error: // an opening may be given up: it takes too long, say
		funded := n.phase >= channelpb.Phase_WAIT_CONFIRMED && n.phase != channelpb.Phase_ABANDONED
		if n.ending != forced && funded {
			n.fail("node %d sends an error: %s", n.i, m.Data)
		}
	}
	data, err := wire.Encode(e.Message)
	if err != nil {
		n.fail("node %d sends %T: %w", n.i, e.Message, err)
		return
	}
	m, err := wire.Decode(data)
	if err != nil {
		n.fail("node %d sends %T: %w", n.i, e.Message, err)
		return
	}
	if open, ok := m.(*wire.OpenChannel); ok {
		n.other().tell(n.channel(), channel.Incoming{
			Peer: n.id(), Link: n.link, Features: n.features, KeyIndex: uint32(n.attempt), CloseScript: sim.CloseScript(1 - n.i),
			Height: n.chain.height(), Message: open,
		})
		return
	}
	n.other().tell(n.channel(), channel.Received{Link: n.link, Message: m})
}

// look tells the channel what is new on the chain.
func (n *node) look() {
	n.tell(n.channel(), channel.Height{Height: n.chain.height()})
	if n.watch != nil {
		for _, fact := range n.watch.news(&n.chain) {
			n.tell(n.channel(), fact)
		}
	}
}

// Ended implements durable.World: the connection goes with the incarnation, if that had a channel to see to.
func (n *node) Ended(addr durable.Address, _ uint64) {
	if addr != n.channel() {
		return
	}
	n.watch = nil
	switch n.phase {
	case channelpb.Phase_NOWHERE, channelpb.Phase_ABANDONED, channelpb.Phase_CLOSED:
	default:
		n.connect()
	}
}

// Observe implements sim.Process: an opening that was abandoned is tried again, under a new address.
func (n *node) Observe(addr durable.Address, snapshot proto.Message) {
	s, ok := snapshot.(*channelpb.Snapshot)
	if !ok || addr != n.channel() {
		return
	}
	n.phase = s.GetPhase()
	if n.i == 0 && n.phase == channelpb.Phase_ABANDONED {
		n.attempt++
		for _, n := range n.nodes {
			n.watch, n.phase = nil, channelpb.Phase_NOWHERE
		}
		n.connect()
	}
	if n.phase == channelpb.Phase_CLOSING && n.ending != forced {
		n.fail("node %d closes: %s", n.i, s.GetClosing().GetReason())
	}
}

// Audit implements sim.Auditor.
func (n *node) Audit(stepped durable.Address, log sim.Log) error {
	n.log = log
	if stepped != n.channel() {
		return nil
	}
	return n.books.audit(n)
}

// stored is an actor as its log gives it, and the messages that wait for it.
func (n *node) stored(addr durable.Address) (proto.Message, []proto.Message, error) {
	st, err := n.log.ReadAhead(addr)
	if err != nil {
		return nil, nil, err
	}
	var m proto.Message
	if st.Head != nil {
		if m, err = n.kernel.Rebuild(addr, st); err != nil {
			return nil, nil, err
		}
	}
	waiting, err := decodeAll(st.Inbox)
	if err != nil {
		return nil, nil, fmt.Errorf("inbox of %s: %w", addr, err)
	}
	return m, waiting, nil
}
