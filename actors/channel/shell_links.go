package channel

import (
	"context"
	"errors"

	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/actors/durable"
	"stormcell/actors/peerbook"
	"stormcell/peer/address"
	"stormcell/peer/wire"
)

var _ peerbook.Sink = (*Shell)(nil)

// Up implements peerbook.Sink: every channel with the peer hears of the connection before anything that comes over it.
func (s *Shell) Up(link *peerbook.Link) {
	s.links.Store([33]byte(link.Key), link)
	s.changed.Raise()
	s.each(link.Key, func(m *member) { s.connect(m, link) })
}

// Down implements peerbook.Sink.
func (s *Shell) Down(link *peerbook.Link) {
	s.links.CompareAndDelete([33]byte(link.Key), link)
	s.each(link.Key, func(m *member) { s.tell(m.address, Disconnected{Link: uint64(link.Number)}) })
}

// HasChannels implements peerbook.Sink: a channel counts once it has a funding, which is not for free.
func (s *Shell) HasChannels(peer peerbook.NodeKey) (has bool) {
	s.each(peer, func(m *member) { has = has || m.outpoint.Load() != nil && !m.gone.Load() })
	return has
}

// Message implements peerbook.Sink.
func (s *Shell) Message(ctx context.Context, link *peerbook.Link, m wire.Message) error {
	select {
	case <-s.loaded:
	case <-ctx.Done():
		return nil
	}
	received := Received{Link: uint64(link.Number), Message: m}
	id, ok := wire.ChannelOf(m)
	switch m := m.(type) {
	case *wire.ChannelUpdate: // it names a channel by a short id, which each channel knows of itself
		if m.ChainHash == s.Chain {
			return s.receiveAll(ctx, link, received)
		}
		return nil
	case *wire.OpenChannel:
		return s.incoming(ctx, link, m)
	case *wire.Error, *wire.Warning:
		if id == (wire.ChannelID{}) {
			return s.receiveAll(ctx, link, received)
		}
	}
	if !ok {
		return nil // other gossip, and what else is about no channel
	}
	to, ok := s.routes.Load(route{link.Key, id})
	if !ok {
		s.unknown(link, id, m)
		return nil
	}
	if created, ok := m.(*wire.FundingCreated); ok && !s.claim(to.(*member), created.FundingPoint) {
		refuseWire(link, id, errors.New("this output funds another channel"))
		return nil
	}
	return s.receive(ctx, to.(*member), received)
}

// receiveAll brings every channel with a peer what is about all of them (BOLT 1, "The `error` and `warning` Messages"), or about
// the one that knows it.
func (s *Shell) receiveAll(ctx context.Context, link *peerbook.Link, m Received) error {
	var err error
	s.each(link.Key, func(to *member) { err = errors.Join(err, s.receive(ctx, to, m)) })
	return err
}

// receive brings a channel what its peer says. While the channel has no room, the peer waits.
func (s *Shell) receive(ctx context.Context, to *member, m Received) error {
	for {
		err := s.Kernel.Tell(to.address, 0, m)
		switch {
		case errors.Is(err, durable.ErrHalted):
			return nil // its monitor guards it; the peer's other channels go on
		case !errors.Is(err, durable.ErrBusy):
			return err
		}
		room := make(chan struct{})
		stop := s.Runtime.AfterFunc(tellAgain, func() { close(room) })
		select {
		case <-room:
		case <-ctx.Done():
			stop()
			return nil
		}
	}
}

// unknown answers a peer that speaks of a channel which is not here. It keeps nothing of it.
func (s *Shell) unknown(link *peerbook.Link, id wire.ChannelID, m wire.Message) {
	if _, ok := m.(*wire.ChannelReestablish); ok { // else it would wait for ours for ever
		refuseWire(link, id, errors.New("there is no such channel"))
		return
	}
	s.Log.Debug("message about an unknown channel ignored", "peer", link.Key, "channel", id, "message", wire.Name(m.MsgType()))
}

// send sends a message of a channel, if its connection is still there. One that gives the channel its id makes the channel
// known under it first, for the answer.
func (s *Shell) send(from durable.Address, e SendWire) {
	link := s.linkOf(e.Peer)
	if link == nil || uint64(link.Number) != e.Link {
		return
	}
	switch m := e.Message.(type) {
	case *wire.FundingCreated:
		if !s.claim(s.member(from), m.FundingPoint) {
			s.Log.Error("our own funding is in use by another channel", "channel", from, "outpoint", m.FundingPoint)
		}
		s.routes.LoadOrStore(route{e.Peer, lnwire.NewChanIDFromOutPoint(m.FundingPoint)}, s.member(from))
		s.keep(link)
	case *wire.FundingSigned:
		s.routes.LoadOrStore(route{e.Peer, m.ChanID}, s.member(from))
		s.keep(link)
	}
	if err := link.Conn.Send(e.Message); err != nil {
		s.Log.Debug("a message was not sent", "channel", from, "message", wire.Name(e.Message.MsgType()), "error", err)
	}
}

// keep has the node stay connected to a peer with which it has a channel. One that connected to us does that itself.
func (s *Shell) keep(link *peerbook.Link) {
	if link.Address == "" {
		return
	}
	at, err := address.Parse(link.Address, 0)
	if err == nil {
		err = s.Kernel.AskFunc(peerbook.Address, peerbook.Keep{Key: link.Key, Address: at}, false, func(_ any, err error) {
			if err != nil {
				s.Log.Warn("the peer of a channel is not kept connected", "peer", link.Key, "error", err)
			}
		})
	}
	if err != nil {
		s.Log.Warn("the peer of a channel is not kept connected", "peer", link.Key, "error", err)
	}
}

// refuseWire tells a peer why nothing comes of a channel.
func refuseWire(link *peerbook.Link, id wire.ChannelID, why error) {
	_ = link.Conn.Send(&wire.Error{ChanID: id, Data: lnwire.ErrorData(why.Error())}) // it fails when the connection has ended
}
