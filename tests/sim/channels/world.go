// Package channels is a domain to simulate: two nodes, a process each, open a channel with each other over wires that break,
// pay each other through it and close it, while blocks are found and undone and either process crashes.
package channels

import (
	"fmt"
	"math/rand/v2"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/chain/fees"
	channelpb "stormcell/messages/channel"
	"stormcell/peer/wire"
	"stormcell/tests/sim"
)

const (
	ops      = 40
	capacity = 1_000_000 // sat
)

// ending is what becomes of the channel.
type ending int

const (
	kept ending = iota
	closed
	forced
)

// Channels implements sim.Domain and sim.Several.
type Channels struct {
	rng      *rand.Rand
	sabotage Sabotage
	nodes    [2]*node // the opener and the responder
	chain    chain
	features wire.Features
	ending   ending
	closers  []int // who asks for the end; either or both
	endAt    int   // the operation at which they do

	attempt   int // to open the channel; each has an address of its own
	link      uint64
	connected bool
	paying    map[int]int // node by payment
	asked     int         // how often the end was asked for when nothing else moved
	wrong     error
}

var (
	_ sim.Several = (*Channels)(nil)
	_ sim.Idler   = (*Channels)(nil)
)

// New gives the domain before its first life.
func New(rng *rand.Rand, sabotage sim.Sabotage) *Channels {
	c := &Channels{
		rng: rng, sabotage: Sabotage(sabotage), paying: map[int]int{}, ending: ending(rng.IntN(3)),
		closers: [][]int{{0}, {1}, {0, 1}}[rng.IntN(3)], endAt: ops/2 + rng.IntN(ops/2),
	}
	if rng.IntN(2) == 0 {
		c.features = wire.Features{}.With(wire.ShutdownAnySegwit, wire.SimpleClose)
	}
	for i := range c.nodes {
		c.nodes[i] = newNode(c, i)
	}
	return c
}

// Processes implements sim.Several.
func (c *Channels) Processes() []sim.Process { return []sim.Process{c.nodes[0], c.nodes[1]} }

// channel is the address of the channel, on either node.
func (c *Channels) channel() durable.Address {
	return durable.Address(fmt.Sprintf("%s/%d", channel.Name, c.attempt))
}

// connect makes a new connection between the nodes, and begins the channel if there is none.
func (c *Channels) connect() {
	c.disconnect()
	c.link++
	c.connected = true
	for _, n := range c.nodes {
		n.tell(c.channel(), channel.Connected{Link: c.link, Features: c.features})
	}
	c.nodes[0].tell(c.channel(), channel.Open{
		Peer: c.nodes[1].id(), Link: c.link, Features: c.features, TemporaryID: [32]byte{byte(c.attempt)},
		KeyIndex: uint32(c.attempt), Funder: "wallet/main", Capacity: capacity, Push: 300_000_000, FeeRate: 1_000,
		FundingFeeRate: 1_000, CloseScript: sim.CloseScript(0),
	})
}

func (c *Channels) disconnect() {
	if !c.connected {
		return
	}
	c.connected = false
	for _, n := range c.nodes {
		n.tell(c.channel(), channel.Disconnected{Link: c.link})
	}
}

// Ops implements sim.Domain.
func (c *Channels) Ops() int { return ops }

// Do implements sim.Domain.
func (c *Channels) Do(i int) {
	if i == c.endAt {
		c.end()
		return
	}
	switch dice := c.rng.IntN(20); {
	case dice < 15 && !c.open(): // what is paid, and broken off, before there is a channel is soon seen
		c.mine(1)
	case dice < 11:
		n := c.rng.IntN(2)
		c.paying[i] = n
		c.nodes[n].tell(payer(i), pay{amount: uint64(1 + c.rng.IntN(20_000_000)), channel: c.channel()})
	case dice < 13:
		c.connect()
	case dice < 14:
		c.disconnect()
	case dice < 16:
		c.nodes[0].tell(c.channel(), channel.SetFeeRate{Rate: fees.SatPerKW(253 + c.rng.IntN(3_000))})
	case dice < 19:
		c.mine(1 + c.rng.IntN(3))
	default:
		c.reorganise(1 + c.rng.IntN(3))
	}
}

func payer(i int) durable.Address { return durable.Address(fmt.Sprintf("payer/%d", i)) }

// end has the channel closed, if that is how it is to end.
func (c *Channels) end() {
	for _, i := range c.closers {
		switch c.ending {
		case closed:
			c.nodes[i].tell(c.channel(), channel.Close{FeeRate: 500})
		case forced:
			c.nodes[i].tell(c.channel(), channel.ForceClose{})
		}
	}
}

func (c *Channels) mine(blocks int) {
	for range blocks {
		c.chain.mine()
		c.look()
	}
}

// reorganise undoes some blocks. What was in them, and what waited, comes into one more block than there were.
func (c *Channels) reorganise(blocks int) {
	for range blocks {
		c.chain.undo()
		c.look()
	}
	c.mine(blocks + 1)
}

func (c *Channels) look() {
	for _, n := range c.nodes {
		n.look()
	}
}

// Idle implements sim.Idler: peers reconnect, blocks are found, and who wants the channel closed says so until it is.
func (c *Channels) Idle() bool {
	settled := func(n *node) bool { return n.watch == nil || n.watch.settled(&c.chain) }
	switch {
	case !c.connected, c.nodes[0].phase == channelpb.Phase_NOWHERE:
		c.connect()
	case len(c.chain.pool) > 0 || !settled(c.nodes[0]) || !settled(c.nodes[1]):
		c.mine(1)
	case c.ending != kept && c.asked < 5 && !c.over():
		c.asked++
		c.end()
	default:
		return false
	}
	return true
}

// open tells whether the channel is open, on both nodes, or has been.
func (c *Channels) open() bool {
	return c.nodes[0].phase >= channelpb.Phase_NORMAL && c.nodes[1].phase >= channelpb.Phase_NORMAL
}

// over tells whether the channel is closing or closed.
func (c *Channels) over() bool {
	return c.nodes[0].phase >= channelpb.Phase_SHUTTING_DOWN && c.nodes[1].phase >= channelpb.Phase_SHUTTING_DOWN &&
		(c.ending != forced || c.nodes[0].phase >= channelpb.Phase_CLOSING)
}

func (c *Channels) fail(format string, args ...any) {
	if c.wrong == nil {
		c.wrong = fmt.Errorf(format, args...)
	}
}

// Err implements sim.Domain.
func (c *Channels) Err() error { return c.wrong }
