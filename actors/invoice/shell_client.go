package invoice

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	pb "stormcell/messages/invoice"
)

// Client makes, finds and settles invoices, for those outside.
type Client struct{ shell *Shell }

// Client is the shell's.
func (s *Shell) Client() Client { return Client{s} }

// Info is an invoice, and its places in the lists.
type Info struct {
	// Invoice must not be changed.
	*pb.Invoice
	AddIndex    uint64
	SettleIndex uint64 // zero while it is not settled
}

// Add makes an invoice. With a hash it is held until somebody shows the preimage; otherwise a preimage is drawn unless the
// request has one. The errors are those of Add.
func (c Client) Add(ctx context.Context, want Request, hash *[32]byte) (Info, error) {
	if hash == nil {
		if want.Preimage == nil {
			want.Preimage = new([32]byte)
			if _, err := rand.Read(want.Preimage[:]); err != nil {
				return Info{}, fmt.Errorf("draw a preimage: %w", err)
			}
		}
		sum := sha256.Sum256(want.Preimage[:])
		hash = &sum
	}
	if _, err := c.shell.kernel.Propose(ctx, Address(*hash), Add{want}); err != nil {
		return Info{}, fmt.Errorf("add an invoice: %w", err)
	}
	return c.Lookup(ctx, *hash)
}

// Lookup gives an invoice. One that nobody paid before it expired is cancelled. The error is ErrNotFound, or the journal's.
func (c Client) Lookup(ctx context.Context, hash [32]byte) (Info, error) {
	var found Info
	err := c.shell.kernel.View(ctx, func(v durable.View) (err error) {
		found, err = lookup(v, hash, c.shell.runtime.Now())
		return err
	})
	if err != nil {
		return Info{}, fmt.Errorf("look up invoice %x: %w", hash, err)
	}
	return found, nil
}

// Settle claims the held invoice that the preimage opens. It returns when nothing can stop the claim. The errors are those of
// Settle, and ErrNotFound.
func (c Client) Settle(ctx context.Context, preimage [32]byte) error {
	return c.ask(ctx, "settle", sha256.Sum256(preimage[:]), Settle{preimage})
}

// Cancel gives back what was paid to an invoice, and takes nothing more. The errors are those of Cancel, and ErrNotFound.
func (c Client) Cancel(ctx context.Context, hash [32]byte) error {
	return c.ask(ctx, "cancel", hash, Cancel{})
}

func (c Client) ask(ctx context.Context, what string, hash [32]byte, question any) error {
	_, err := c.shell.kernel.Ask(ctx, Address(hash), question)
	if errors.Is(err, durable.ErrAbsent) {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("%s invoice %x: %w", what, hash, err)
	}
	return nil
}

// Query says which invoices are listed.
type Query struct {
	// After is the number after which the list begins, or before which, in reverse. Zero begins at the end that comes first.
	After   uint64
	Reverse bool
	Limit   int // of what is returned
	// Wanted chooses; nil takes all.
	Wanted func(*pb.Invoice) bool
}

// List gives invoices in the order in which they were added, or in reverse.
func (c Client) List(ctx context.Context, q Query) ([]Info, error) {
	if q.Limit <= 0 {
		return nil, fmt.Errorf("list invoices: %w: a limit of %d", ErrBadRequest, q.Limit)
	}
	var page []Info
	err := c.shell.kernel.View(ctx, func(v durable.View) (err error) {
		page, err = list(ctx, v, q, c.shell.runtime.Now())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list invoices: %w", err)
	}
	return page, nil
}

// Subscribe calls f with an invoice as it is, and as it becomes, until ctx ends or f fails. One that is not there yet may be
// added later. Changes that follow each other quickly may be told as one. The error is the context's, the journal's, or f's.
func (c Client) Subscribe(ctx context.Context, hash [32]byte, f func(Info) error) error {
	sub := c.shell.subscribe(&hash)
	defer c.shell.unsubscribe(sub)
	var told *pb.Invoice
	for {
		now, err := c.Lookup(ctx, hash)
		if errors.Is(err, ErrNotFound) {
			if err := c.wait(ctx, sub); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if told == nil || !proto.Equal(told, now.Invoice) {
			if err := f(now); err != nil {
				return err
			}
			told = now.Invoice
		}
		if err := c.waitOrExpire(ctx, sub, now); err != nil {
			return err
		}
	}
}

// waitOrExpire waits until an invoice changes, or, if it is open, until it expires.
func (c Client) waitOrExpire(ctx context.Context, sub *subscriber, i Info) error {
	if left := expiryOf(i.Invoice).Sub(c.shell.runtime.Now()); i.GetStatus() == pb.Status_OPEN && left >= 0 {
		defer c.shell.runtime.AfterFunc(left+time.Nanosecond, func() { sub.changed(*sub.one) })()
	}
	return c.wait(ctx, sub)
}

// Since says where a subscription to all invoices begins: after these numbers. Zero begins with what comes next.
type Since struct{ Added, Settled uint64 }

// Event is an invoice that was added, or settled.
type Event struct {
	Info
	Settled bool
}

// SubscribeAll calls f with each invoice that is added or settled, each in the order of its number, until ctx ends or f
// fails. Who subscribes again after the last numbers that it saw misses nothing. The error is the context's, the journal's,
// or f's.
func (c Client) SubscribeAll(ctx context.Context, since Since, f func(Event) error) error {
	sub := c.shell.subscribe(nil)
	defer c.shell.unsubscribe(sub)
	if err := c.fromNow(ctx, &since); err != nil {
		return err
	}
	for {
		if err := c.tellAll(ctx, &since.Added, false, f); err != nil {
			return err
		}
		if err := c.tellAll(ctx, &since.Settled, true, f); err != nil {
			return err
		}
		if err := c.wait(ctx, sub); err != nil {
			return err
		}
	}
}

// fromNow replaces what is zero by the newest numbers there are.
func (c Client) fromNow(ctx context.Context, since *Since) error {
	err := c.shell.kernel.View(ctx, func(v durable.View) error {
		for _, l := range []struct {
			prefix string
			after  *uint64
		}{{addedPrefix, &since.Added}, {settledPrefix, &since.Settled}} {
			if *l.after != 0 {
				continue
			}
			last, err := entries(v, l.prefix, Query{Reverse: true, Limit: 1})
			if err != nil {
				return err
			}
			for _, e := range last {
				*l.after = e.number
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("subscribe to invoices: %w", err)
	}
	return nil
}

// tellAll calls f with what a list has after a number.
func (c Client) tellAll(ctx context.Context, after *uint64, settled bool, f func(Event) error) error {
	for {
		var page []Info
		err := c.shell.kernel.View(ctx, func(v durable.View) (err error) {
			page, err = listed(v, settled, *after, c.shell.runtime.Now())
			return err
		})
		if err != nil {
			return fmt.Errorf("subscribe to invoices: %w", err)
		}
		for _, i := range page {
			if err := f(Event{i, settled}); err != nil {
				return err
			}
			if *after = i.AddIndex; settled {
				*after = i.SettleIndex
			}
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

func (c Client) wait(ctx context.Context, sub *subscriber) error {
	select {
	case <-sub.wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.shell.kernel.Dead():
		return c.shell.kernel.Err()
	}
}
