package rpc

import (
	"context"
	"errors"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
)

// shortIDs are short channel ids as one call has learned them, so that it asks for each once.
type shortIDs struct {
	channels Channels
	known    map[durable.Address]uint64
}

func (s *Server) shortIDs() *shortIDs {
	return &shortIDs{s.node.Load().Channels, map[durable.Address]uint64{}}
}

// of is that of the channel whose actor is named; zero while there is none. Channels that are gone have kept theirs.
func (s *shortIDs) of(ctx context.Context, actor string) (uint64, error) {
	addr := durable.Address(actor)
	if id, known := s.known[addr]; known {
		return id, nil
	}
	scid, err := s.channels.Scid(ctx, addr)
	if errors.Is(err, channel.ErrNoChannel) {
		return s.ofGone(ctx, addr)
	}
	if err != nil {
		return 0, refused(err)
	}
	id := scid.ToUint64()
	if id != 0 { // else it may get one
		s.known[addr] = id
	}
	return id, nil
}

func (s *shortIDs) ofGone(ctx context.Context, addr durable.Address) (uint64, error) {
	closed, err := s.channels.Closed(ctx)
	if err != nil {
		return 0, refused(err)
	}
	s.known[addr] = 0
	for _, c := range closed {
		s.known[c.Address] = c.Scid.ToUint64()
	}
	return s.known[addr], nil
}
