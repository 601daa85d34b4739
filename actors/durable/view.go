package durable

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"stormcell/messages/record"
	"stormcell/persistence"
)

// View reads what is stored, without waking an actor.
type View struct{ k *Kernel }

// View calls read, and returns when all that it may have seen is durable: what it found may be told outside. Steps whose
// effects have left are seen.
func (k *Kernel) View(ctx context.Context, read func(View) error) error {
	if err := k.closed(); err != nil {
		return err
	}
	if err := read(View{k}); err != nil {
		return err
	}
	durable := make(chan struct{})
	k.out.add(k.journal.Last(), parcel{then: func() { close(durable) }})
	select {
	case <-durable:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("read the journal: %w", ctx.Err())
	case <-k.dead:
		return k.failure()
	}
}

// Columns gives a page of columns.
func (v View) Columns(p persistence.Page) ([]Column, error) { return v.k.columns(p) }

// State is an actor's state as it was stored last: its snapshot, with the events that came after. Nil where nothing is
// stored.
func (v View) State(addr Address) (proto.Message, error) {
	stored, err := v.k.journal.Read(addr)
	if err != nil || stored.Head == nil {
		return nil, err
	}
	if !stored.Head.GetHasSnapshot() && stored.Head.GetLastEvent() == 0 {
		return nil, nil // the head counts failures, and nothing else
	}
	return v.k.Rebuild(addr, stored)
}

// columns reads and decodes a page.
func (k *Kernel) columns(p persistence.Page) ([]Column, error) {
	stored, err := k.journal.Columns(p)
	if err != nil {
		return nil, err
	}
	page := make([]Column, len(stored))
	for i, c := range stored {
		value, err := record.Decode(*c.Value)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", c.Key, err)
		}
		page[i] = Column{Key: c.Key, Value: value}
	}
	return page, nil
}
