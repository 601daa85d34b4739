package channel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcutil"

	"stormcell/actors/durable"
	"stormcell/actors/peerbook"
	"stormcell/actors/registry"
	"stormcell/chain/fees"
	pb "stormcell/messages/channel"
	registrypb "stormcell/messages/registry"
	"stormcell/peer/wire"
)

const (
	// openTries is over how many connections an opening is tried: when both sides dial at once, one of two connections stays.
	openTries = 3
	// linkPatience is how long an opening that was interrupted waits for the peer to be back.
	linkPatience = 5 * time.Second
)

var (
	// ErrNotSynced: the node does not know yet how many blocks there are.
	ErrNotSynced = errors.New("this node is not synchronised with the chain yet")

	errNotNow = errors.New("this node cannot have another channel now")
)

// incoming takes a peer's wish for a channel. It returns when that channel has its address; until then the peer waits, so
// that there is one on its way for each connection.
func (s *Shell) incoming(ctx context.Context, link *peerbook.Link, m *wire.OpenChannel) error {
	id := wire.ChannelID(m.PendingChannelID)
	height := s.Desk.Height()
	if height == 0 {
		refuseWire(link, id, ErrNotSynced)
		return nil
	}
	p, err := s.prepare(ctx, registry.Reserve{Peer: link.Key, TemporaryID: m.PendingChannelID}, m.FundingAmount)
	switch {
	case errors.Is(err, registry.ErrTooMany), errors.Is(err, registry.ErrFull), errors.Is(err, registry.ErrTaken):
		refuseWire(link, id, err)
		return nil
	case err != nil && ctx.Err() != nil:
		return nil // the connection has ended
	case err != nil:
		s.Log.Warn("a channel that a peer wants cannot be prepared", "peer", link.Key, "error", err)
		refuseWire(link, id, errNotNow)
		return nil
	}
	return s.begin(p, link, Incoming{
		Peer: link.Key, Link: uint64(link.Number), Features: negotiated(link.Features), Chain: s.Chain,
		KeyIndex: p.index, CloseScript: p.script, Height: height, Message: m,
	}, func(_ any, err error) {
		if err != nil {
			s.cancel(p)
		}
	})
}

// place is of a channel that has its place and has not begun.
type place struct {
	index  uint32
	script []byte
	*member
}

// prepare gives a new channel its place. It waits for the answers even when nobody waits for the channel any more: a script or a
// place that came too late would be lost, and a peer could have us lose as many as it likes.
func (s *Shell) prepare(ctx context.Context, want registry.Reserve, capacity btcutil.Amount) (place, error) {
	script, err := s.closeScript(context.WithoutCancel(ctx))
	if err != nil {
		return place{}, err
	}
	index, err := s.registry.Reserve(context.WithoutCancel(ctx), want)
	if err != nil {
		s.giveBack(script)
		return place{}, err
	}
	m := s.enter(addressOf(index), &registrypb.Channel{
		KeyIndex: index, Standing: registrypb.Standing_OPENING, Peer: want.Peer[:], Opener: want.Opener,
		TemporaryId: want.TemporaryID[:], CapacitySat: uint64(capacity),
	})
	m.script.Store(&script)
	p := place{index, script, m}
	if ctx.Err() != nil {
		s.cancel(p)
		return place{}, fmt.Errorf("prepare a channel: %w", ctx.Err())
	}
	return p, nil
}

// begin asks a channel to begin over a connection. That may end at any moment: then the channel hears of it, whoever comes
// first.
func (s *Shell) begin(p place, link *peerbook.Link, question any, answer func(any, error)) error {
	if err := s.Kernel.AskFunc(p.address, question, true, answer); err != nil {
		s.cancel(p)
		return err
	}
	s.tell(p.address, Height{s.Desk.Height()})
	if s.linkOf(link.Key) != link {
		s.tell(p.address, Disconnected{Link: uint64(link.Number)})
	}
	return nil
}

// cancel takes the place of a channel back that has not begun.
func (s *Shell) cancel(p place) {
	s.withdraw(p.address)
	if err := s.registry.Forgo(p.index); err != nil && !errors.Is(err, durable.ErrStopping) {
		s.Log.Warn("a reserved place for a channel is not given back", "channel", p.address, "error", err)
	}
}

// closeScript is a script of the wallet that no peer has seen.
func (s *Shell) closeScript(ctx context.Context) ([]byte, error) {
	select {
	case script := <-s.spare:
		return script, nil
	default:
	}
	script, err := s.NewScript(ctx)
	if err != nil {
		return nil, fmt.Errorf("script to close to: %w", err)
	}
	return script, nil
}

// rate is what is wanted, or else the desk's estimate for a target in blocks.
func (s *Shell) rate(ctx context.Context, wanted fees.SatPerKW, target uint32) (fees.SatPerKW, error) {
	if wanted != 0 {
		return wanted, nil
	}
	if target == 0 {
		target = defaultTarget
	}
	return s.Desk.FeeRate(ctx, target)
}

// open is the way of our own wish for a channel.
func (s *Shell) open(ctx context.Context, want OpenRequest) (Opened, error) {
	link := s.linkOf(want.Peer)
	if link == nil {
		return Opened{}, ErrPeerNotConnected
	}
	for tries := 1; ; tries++ {
		opened, err := s.openOver(ctx, link, want)
		var failed *OpenError
		if !errors.As(err, &failed) || !failed.interrupted || tries == openTries {
			return opened, err
		}
		if link = s.nextLink(ctx, link); link == nil {
			return Opened{}, err
		}
	}
}

// nextLink waits a little for the connection that comes in place of one; nil if none does.
func (s *Shell) nextLink(ctx context.Context, old *peerbook.Link) *peerbook.Link {
	late := make(chan struct{})
	stop := s.Runtime.AfterFunc(linkPatience, func() { close(late) })
	defer stop()
	for {
		next := s.changed.Next()
		if link := s.linkOf([33]byte(old.Key)); link != nil && link != old {
			return link
		}
		select {
		case <-next:
		case <-late:
			return nil
		case <-ctx.Done():
			return nil
		case <-s.Kernel.Dead():
			return nil
		}
	}
}

// openOver opens a channel over one connection.
func (s *Shell) openOver(ctx context.Context, link *peerbook.Link, want OpenRequest) (Opened, error) {
	if s.Desk.Height() == 0 {
		return Opened{}, ErrNotSynced
	}
	features := negotiated(link.Features)
	if len(want.ShutdownScript) > 0 && !features.Offers(wire.UpfrontShutdownScript) {
		return Opened{}, refuse(pb.RefusalCode_BAD_REQUEST, "the peer does not hold anyone to a script to close to")
	}
	fundingRate, err := s.rate(ctx, want.FundingFeeRate, want.ConfTarget)
	if err != nil {
		return Opened{}, err
	}
	commitRate := want.CommitFeeRate
	if commitRate == 0 {
		estimate, err := s.rate(ctx, 0, commitTarget)
		if err != nil {
			return Opened{}, err
		}
		commitRate = commitFeeRate(estimate, s.MaxCommitFeeRate)
	}
	var temporary [32]byte
	s.Runtime.Random(temporary[:])
	p, err := s.prepare(ctx, registry.Reserve{Peer: want.Peer, TemporaryID: temporary, Opener: true}, want.Capacity)
	if err != nil {
		return Opened{}, err
	}
	type answer struct {
		body any
		err  error
	}
	answers := make(chan answer, 1)
	err = s.begin(p, link, Open{
		Peer: want.Peer, Link: uint64(link.Number), Features: features, Chain: s.Chain,
		TemporaryID: temporary, KeyIndex: p.index, Funder: s.Funder, Capacity: want.Capacity, Push: want.Push,
		FeeRate: commitRate, FundingFeeRate: fundingRate, Announce: !want.Private, ScidAlias: want.ScidAlias,
		ShutdownScript: want.ShutdownScript, CloseScript: p.script,
	}, func(body any, err error) {
		if err != nil {
			s.cancel(p)
		}
		answers <- answer{body, err}
	})
	if err != nil {
		return Opened{}, err
	}
	select {
	case a := <-answers:
		switch body := a.body.(type) {
		case Opened:
			return body, nil
		case OpenFailed:
			return Opened{}, &OpenError{Reason: body.Reason, interrupted: body.Interrupted}
		}
		return Opened{}, a.err
	case <-ctx.Done():
		return Opened{}, ctx.Err()
	case <-s.Kernel.Dead():
		return Opened{}, s.Kernel.Err()
	}
}
