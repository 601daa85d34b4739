package backend

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
)

// ErrReorgTooDeep says that the best chain forks off below all blocks that a stream knows, and the backend no longer has
// the headers of the branch that was left.
var ErrReorgTooDeep = errors.New("the chain was reorganised deeper than it is known")

const (
	// streamMemory is how many blocks a stream remembers: two weeks, as deep as any backend reorganises.
	streamMemory = 2016

	// streamPoll is how often a stream looks at the backend without being told, in case a notification was lost.
	streamPoll = 30 * time.Second
)

// Event is one step of the best chain: a block was put on its tip, or taken from it.
type Event struct {
	Connected bool // false: disconnected
	Block     BlockRef
	Previous  chainhash.Hash // the block below it
}

// Tip is the tip of the chain after the event.
func (e Event) Tip() BlockRef {
	if e.Connected {
		return e.Block
	}
	return BlockRef{Height: e.Block.Height - 1, Hash: e.Previous}
}

// Stream follows the best chain from a block on. Every event follows from the one before it: a connected block lies on the
// tip, a disconnected one is the tip. A best chain that is lower than the stream's tip is a backend that is still catching
// up: the stream waits until it is as high, and only then believes in a reorganisation.
//
// A Stream is for one goroutine.
type Stream struct {
	chain Chain
	known []BlockRef // each on the one before it; the last is the tip. Never empty
}

// NewStream makes a stream that goes on after the last of the known blocks, which lie on each other, the highest last. If
// that block has left the best chain, the stream begins with disconnecting it. The more blocks are known, the deeper it can
// do so with a light client; other backends remember the branches that they left.
func NewStream(chain Chain, known ...BlockRef) (*Stream, error) {
	if len(known) == 0 {
		return nil, errors.New("follow the chain: no block to begin after")
	}
	for i := 1; i < len(known); i++ {
		if known[i].Height != known[i-1].Height+1 {
			return nil, fmt.Errorf("follow the chain: %s cannot lie on %s", known[i], known[i-1])
		}
	}
	return &Stream{chain: chain, known: append([]BlockRef(nil), known...)}, nil
}

// Tip is the block of the last event.
func (s *Stream) Tip() BlockRef { return s.known[len(s.known)-1] }

// Known are up to n blocks that end in Tip. A stream that is made with them goes on where this one is.
func (s *Stream) Known(n int) []BlockRef {
	return append([]BlockRef(nil), s.known[len(s.known)-min(n, len(s.known)):]...)
}

// Next waits for the next event. After an error the stream is where it was, and Next may be called again, unless the error
// is ErrReorgTooDeep.
func (s *Stream) Next(ctx context.Context) (Event, error) {
	for {
		changed := s.chain.Changed()
		event, ok, err := s.Poll(ctx)
		if ok || err != nil {
			return event, err
		}
		poll := time.NewTimer(streamPoll)
		select {
		case <-ctx.Done():
			poll.Stop()
			return Event{}, ctx.Err()
		case <-changed:
			poll.Stop()
		case <-poll.C:
		}
	}
}

// Poll gives the next event, or false when there is none yet. Errors are as for Next.
func (s *Stream) Poll(ctx context.Context) (Event, bool, error) {
	tip := s.Tip()
	best, err := s.chain.BestBlock(ctx)
	if err != nil {
		return Event{}, false, fmt.Errorf("follow the chain after %s: %w", tip, err)
	}
	switch {
	case best.Height < tip.Height || best == tip:
		return Event{}, false, nil
	case best.Height == tip.Height:
		return s.disconnect(ctx)
	}
	next, err := s.chain.HashAt(ctx, tip.Height+1)
	if errors.Is(err, ErrNotFound) { // the tip was disconnected since
		return Event{}, false, nil
	}
	if err != nil {
		return Event{}, false, fmt.Errorf("follow the chain after %s: %w", tip, err)
	}
	header, err := s.chain.Header(ctx, next)
	if errors.Is(err, ErrNotFound) {
		return Event{}, false, nil
	}
	if err != nil {
		return Event{}, false, fmt.Errorf("follow the chain after %s: %w", tip, err)
	}
	if header.PrevBlock != tip.Hash {
		return s.disconnect(ctx)
	}
	if len(s.known) >= 2*streamMemory { // trimmed rarely, because it copies
		s.known = append(s.known[:0], s.known[len(s.known)-streamMemory:]...)
	}
	connected := BlockRef{Height: tip.Height + 1, Hash: next}
	s.known = append(s.known, connected)
	return Event{Connected: true, Block: connected, Previous: tip.Hash}, true, nil
}

// disconnect takes the tip off.
func (s *Stream) disconnect(ctx context.Context) (Event, bool, error) {
	tip := s.Tip()
	if tip.Height == 0 {
		return Event{}, false, fmt.Errorf("disconnect %s: %w", tip, ErrWrongNetwork)
	}
	if len(s.known) == 1 {
		header, err := s.chain.Header(ctx, tip.Hash)
		if errors.Is(err, ErrNotFound) {
			return Event{}, false, fmt.Errorf("disconnect %s: %w", tip, ErrReorgTooDeep)
		}
		if err != nil {
			return Event{}, false, fmt.Errorf("disconnect %s: %w", tip, err)
		}
		s.known = []BlockRef{{Height: tip.Height - 1, Hash: header.PrevBlock}, tip}
	}
	s.known = s.known[:len(s.known)-1]
	return Event{Block: tip, Previous: s.Tip().Hash}, true, nil
}
