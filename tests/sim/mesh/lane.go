package mesh

import (
	"slices"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	channelpb "stormcell/messages/channel"
	"stormcell/peer/wire"
	"stormcell/tests/sim"
)

// lane is what two peers have between them: one connection at a time, and channels.
type lane struct {
	*Mesh
	ends      [2]*node
	slots     []uint32 // key index of the channel that is open, or being opened, in each
	link      uint64
	connected bool
	onions    *onions
}

// other is the peer of a node.
func (l *lane) other(n *node) *node {
	if l.ends[0] == n {
		return l.ends[1]
	}
	return l.ends[0]
}

// isOpen tells whether all channels are.
func (l *lane) isOpen() bool {
	for _, n := range l.ends {
		for _, index := range l.slots {
			if n.phases[channelAt(index)] != channelpb.Phase_NORMAL {
				return false
			}
		}
	}
	return true
}

func (l *lane) isDown() bool { return !l.connected || !l.isOpen() }

// connect makes a new connection, and begins the channels that are not there.
func (l *lane) connect() {
	l.disconnect()
	l.links++
	l.link, l.connected = l.links, true
	for _, index := range l.slots {
		l.connectTo(index)
	}
}

func (l *lane) connectTo(index uint32) {
	for _, n := range l.ends {
		n.tell(channelAt(index), channel.Height{Height: height})
		n.tell(channelAt(index), channel.Connected{Link: l.link})
	}
	opener, accepter := l.ends[0], l.ends[1]
	opener.tell(channelAt(index), channel.Open{
		Peer: accepter.id(), Link: l.link, TemporaryID: [32]byte{byte(index)}, KeyIndex: index, Funder: wallet,
		Capacity: capacity, Push: capacity * 400, FeeRate: 500, FundingFeeRate: 1_000, CloseScript: sim.CloseScript(opener.i),
	})
}

func (l *lane) disconnect() {
	if !l.connected {
		return
	}
	l.connected = false
	l.onions.forgetUnsigned()
	for _, n := range l.ends {
		for _, index := range l.slots {
			n.tell(channelAt(index), channel.Disconnected{Link: l.link})
		}
	}
}

// replace gives the slot of a channel that was abandoned to another one.
func (l *lane) replace(index uint32) {
	l.used++
	l.slots[slices.Index(l.slots, index)] = l.used
	if l.connected {
		l.connectTo(l.used)
	}
}

// carry brings a message to the other side, if that connection is still there.
func (l *lane) carry(from *node, addr durable.Address, e channel.SendWire) {
	if e.Link != l.link || !l.connected {
		return
	}
	data, err := wire.Encode(e.Message)
	if err != nil {
		l.fail("node %d sends %T: %w", from.i, e.Message, err)
		return
	}
	m, err := wire.Decode(data)
	switch m := m.(type) {
	case nil:
		l.fail("node %d sends %T: %w", from.i, e.Message, err)
	case *wire.Warning:
		l.fail("node %d warns: %s", from.i, m.Data)
	case *wire.OpenChannel:
		index := m.PendingChannelID[0]
		to := l.other(from)
		to.tell(addr, channel.Incoming{
			Peer: from.id(), Link: l.link, KeyIndex: uint32(index), CloseScript: sim.CloseScript(to.i), Height: height, Message: m,
		})
	default:
		if err := l.onions.see(addr, from, m); err != nil {
			l.fail("node %d: %w", from.i, err)
		}
		l.other(from).tell(addr, channel.Received{Link: l.link, Message: m})
	}
}
