package channel

import (
	"bytes"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"

	"stormcell/actors/durable"
	"stormcell/actors/peerbook"
	"stormcell/chain/watch"
	channelpb "stormcell/messages/channel"
	registrypb "stormcell/messages/registry"
	"stormcell/peer/wire"
)

// member is what the shell knows of a channel.
type member struct {
	address durable.Address
	// entry is as the registry had it when the channel was entered; nil for a channel that has not been.
	entry atomic.Pointer[registrypb.Channel]
	// script is where the channel closes to; nil if a restart came between.
	script atomic.Pointer[[]byte]
	// outpoint is of the funding, nil while there is none.
	outpoint atomic.Pointer[btcwire.OutPoint]

	seenAt   atomic.Uint32                    // height of the block with the funding, 0 while there is none
	closings atomic.Pointer[[]chainhash.Hash] // transactions that were published to close the channel, oldest first
	spentBy  atomic.Pointer[chainhash.Hash]   // what spends the funding in a block
	gone     atomic.Bool
}

// peer is who the channel is with, zero for a channel that has not been entered.
func (m *member) peer() (key [33]byte) {
	copy(key[:], m.entry.Load().GetPeer())
	return key
}

// route is how a peer names a channel.
type route struct {
	peer [33]byte
	id   wire.ChannelID
}

// member is what is known of a channel, which may be nothing yet.
func (s *Shell) member(addr durable.Address) *member {
	if m, ok := s.members.Load(addr); ok {
		return m.(*member)
	}
	m, _ := s.members.LoadOrStore(addr, &member{address: addr})
	return m.(*member)
}

// enter makes a channel known to its peer. One that comes up in the same moment tells it of the connection, or this does.
func (s *Shell) enter(addr durable.Address, c *registrypb.Channel) *member {
	m := s.member(addr)
	m.entry.Store(c)
	peer := [33]byte(c.GetPeer())
	if out := c.GetOutpoint(); out != nil {
		s.claim(m, outpointOf(out))
		s.routes.Store(route{peer, wire.ChannelID(c.GetChannelId())}, m)
	} else {
		s.routes.LoadOrStore(route{peer, wire.ChannelID(c.GetTemporaryId())}, m)
	}
	if link := s.linkOf(peer); link != nil && c.GetOutpoint() != nil {
		s.connect(m, link)
	}
	return m
}

// claim is what a peer says that a channel with it is funded by. Which of several peers that name the same output is right, the
// chain shows: until then none may keep the others from having their channels.
type claim struct {
	peer  [33]byte
	point btcwire.OutPoint
}

// claim notes the funding of a channel. It is false when another channel with the peer has it: then this one must not come
// about.
func (s *Shell) claim(m *member, point btcwire.OutPoint) bool {
	if m.outpoint.Load() != nil {
		return true // whatever the peer tries, the channel knows better
	}
	if other, taken := s.claims.LoadOrStore(claim{m.peer(), point}, m); taken && other != m {
		return false
	}
	m.outpoint.Store(&point)
	return true
}

// withdraw forgets a channel that is gone, or never came about.
func (s *Shell) withdraw(addr durable.Address) {
	known, ok := s.members.LoadAndDelete(addr)
	if !ok {
		return
	}
	m := known.(*member)
	m.gone.Store(true)
	for _, id := range []watch.ID{watchConfirmed, watchSeen, watchSpent, watchSpend} {
		s.Desk.Forget(addr, id)
	}
	point := m.outpoint.Load()
	if point != nil {
		s.claims.CompareAndDelete(claim{m.peer(), *point}, m)
		s.Desk.Unpublish(addr, point.Hash)
	}
	if closings := m.closings.Load(); closings != nil {
		for _, txid := range *closings {
			s.Desk.Unpublish(addr, txid)
		}
	}
	s.routes.Range(func(key, to any) bool {
		if to == m {
			s.routes.Delete(key)
		}
		return true
	})
	if script := m.script.Load(); script != nil && point == nil {
		s.giveBack(*script)
	}
	s.changed.Raise()
}

// giveBack keeps a script that no peer has seen for the next channel.
func (s *Shell) giveBack(script []byte) {
	select {
	case s.spare <- script:
	default:
	}
}

// each calls f for every channel with a peer.
func (s *Shell) each(peer [33]byte, f func(*member)) {
	s.members.Range(func(_, value any) bool {
		if m := value.(*member); bytes.Equal(m.entry.Load().GetPeer(), peer[:]) {
			f(m)
		}
		return true
	})
}

// connect tells a channel of a connection, and first the height, by which it knows which HTLCs have expired. Without the
// connection nothing would come of it, so a channel that has no room ends that.
func (s *Shell) connect(m *member, link *peerbook.Link) {
	s.tell(m.address, Height{s.Desk.Height()})
	err := s.Kernel.Tell(m.address, 0, Connected{Link: uint64(link.Number), Features: negotiated(link.Features)})
	if err != nil {
		s.Log.Warn("a channel was not told of the connection to its peer", "channel", m.address, "error", err)
	}
	if errors.Is(err, durable.ErrBusy) {
		link.Conn.Close(err)
	}
}

// negotiated are the features that both sides have.
func negotiated(n wire.Negotiated) wire.Features {
	var both wire.Features
	for _, bit := range n.Ours.Bits() {
		if f := wire.Feature(bit &^ 1); n.Theirs.Offers(f) {
			both = both.With(f)
		}
	}
	return both
}

// publishes notes that a transaction was published, in case it closes the channel.
func (m *member) publishes(tx *btcwire.MsgTx) bool {
	point := m.outpoint.Load()
	if point == nil || len(tx.TxIn) == 0 || tx.TxIn[0].PreviousOutPoint != *point {
		return false
	}
	var closings []chainhash.Hash
	if old := m.closings.Load(); old != nil {
		closings = slices.Clone(*old)
	}
	if txid := tx.TxHash(); !slices.Contains(closings, txid) {
		closings = append(closings, txid)
	}
	m.closings.Store(&closings)
	return true
}

// outpointOf reads an outpoint as it is stored.
func outpointOf(p *channelpb.Outpoint) btcwire.OutPoint {
	var out btcwire.OutPoint
	copy(out.Hash[:], p.GetTxid())
	out.Index = p.GetIndex()
	return out
}
