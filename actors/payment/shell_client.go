package payment

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"stormcell/actors/durable"
	pb "stormcell/messages/payment"
	"stormcell/peer/wire"
)

// Client pays, and tells of payments, for those outside. What it gives must not be changed.
type Client struct{ shell *Shell }

// Client is the shell's.
func (s *Shell) Client() Client { return Client{s} }

// Pay begins a payment, or tries one again that failed, and returns when it is recorded; Track tells the rest. Limits that
// are zero get their defaults, but for the fee. The errors are those of Pay, ErrNoChain, and the kernel's.
func (c Client) Pay(ctx context.Context, hash [32]byte, want *pb.Request) (*pb.Payment, error) {
	want = withDefaults(want)
	if err := check(want); err != nil {
		return nil, fmt.Errorf("pay %x: %w", hash, err)
	}
	draft := &pb.Payment{Hash: hash[:], Request: want}
	found := c.shell.find(ctx, Query(draft, wire.MilliSatoshi(want.GetAmountMsat()), wire.MilliSatoshi(want.GetMaxFeeMsat()),
		int(want.GetMaxParts())))
	if errors.Is(found.Err, ErrNoChain) || ctx.Err() != nil {
		return nil, fmt.Errorf("pay %x: %w", hash, errors.Join(found.Err, ctx.Err()))
	}
	answer, err := c.shell.Kernel.Propose(ctx, AddressOf(hash), Pay{
		Hash: hash, Request: want, Number: c.shell.numbers.Add(1), Found: &found,
	})
	if err != nil {
		return nil, fmt.Errorf("pay %x: %w", hash, err)
	}
	p, ok := answer.(*pb.Payment)
	if !ok {
		return nil, fmt.Errorf("pay %x: the payment answers %T", hash, answer)
	}
	return p, nil
}

// Lookup gives a payment. The errors are ErrNotFound and the kernel's.
func (c Client) Lookup(ctx context.Context, hash [32]byte) (*pb.Payment, error) {
	answer, err := c.ask(ctx, hash, View{})
	if err != nil {
		return nil, fmt.Errorf("look up payment %x: %w", hash, err)
	}
	p, ok := answer.(*pb.Payment)
	if !ok {
		return nil, fmt.Errorf("look up payment %x: it answers %T", hash, answer)
	}
	return p, nil
}

// Track calls f with a payment as it is, and as it becomes, until it has ended, ctx ends, or f fails. Of many changes that f
// is too slow for it sees the later ones. The errors are ErrNotFound, f's, the context's and the kernel's.
func (c Client) Track(ctx context.Context, hash [32]byte, f func(*pb.Payment) error) error {
	follower := c.shell.follow(AddressOf(hash))
	defer c.shell.leave(follower)
	p, err := c.Lookup(ctx, hash)
	if err != nil {
		return err
	}
	told := uint64(0)
	tell := func(p *pb.Payment) (ended bool, err error) {
		if p.GetRevision() <= told {
			return false, nil
		}
		told = p.GetRevision()
		return StatusOf(p) != pb.Status_IN_FLIGHT, f(p)
	}
	if ended, err := tell(p); err != nil || ended {
		return err
	}
	return c.follow(ctx, follower, tell)
}

// TrackAll calls f with every payment each time that it changes, until ctx ends or f fails. Of changes of one payment that
// follow each other quickly it sees the last. The errors are ErrTooSlow, f's, the context's and the kernel's.
func (c Client) TrackAll(ctx context.Context, f func(*pb.Payment) error) error {
	follower := c.shell.follow("")
	defer c.shell.leave(follower)
	return c.follow(ctx, follower, func(p *pb.Payment) (bool, error) {
		if p.GetDeleted() {
			return false, nil
		}
		return false, f(p)
	})
}

// Abort launches nothing more for a payment: it fails once no attempt is live, unless one settles. The errors are ErrNotFound,
// ErrEnded and the kernel's.
func (c Client) Abort(ctx context.Context, hash [32]byte) error {
	if _, err := c.ask(ctx, hash, Abort{}); err != nil {
		return fmt.Errorf("abort payment %x: %w", hash, err)
	}
	return nil
}

// Delete forgets a payment that has ended, or its failed attempts. The errors are those of Delete, and the kernel's.
func (c Client) Delete(ctx context.Context, hash [32]byte, failedAttemptsOnly bool) error {
	if _, err := c.ask(ctx, hash, Delete{FailedAttemptsOnly: failedAttemptsOnly}); err != nil {
		return fmt.Errorf("delete payment %x: %w", hash, err)
	}
	return nil
}

// DeleteAll forgets all payments that have ended, or only those that failed, or only failed attempts of theirs; it counts them. What
// is in flight stays. When ctx ends some are gone, and some not. The errors are the context's and the kernel's.
func (c Client) DeleteAll(ctx context.Context, failedOnly, failedAttemptsOnly bool) (n uint64, err error) {
	listed, err := c.ended(ctx, failedOnly)
	if err != nil {
		return 0, fmt.Errorf("delete payments: %w", err)
	}
	for chunk := range slices.Chunk(listed, deletedAtOnce) {
		deleted, err := c.deleteEach(ctx, chunk, Delete{failedOnly, failedAttemptsOnly})
		if n += deleted; err != nil {
			return n, fmt.Errorf("delete payments: %w", err)
		}
	}
	return n, nil
}

// deletedAtOnce is how many payments are deleted at a time: they share syncs.
const deletedAtOnce = 100

func (c Client) deleteEach(ctx context.Context, payments []durable.Address, want Delete) (n uint64, err error) {
	answers := make(chan error, len(payments))
	for _, addr := range payments {
		if err := c.shell.Kernel.AskFunc(addr, want, false, func(_ any, err error) { answers <- err }); err != nil {
			answers <- err
		}
	}
	for range payments {
		select {
		case e := <-answers:
			switch {
			case e == nil:
				n++
			case errors.Is(e, ErrInFlight), errors.Is(e, ErrPaid), errors.Is(e, ErrNotFound):
				// It was begun again, paid, or deleted, meanwhile.
			default:
				err = errors.Join(err, e)
			}
		case <-ctx.Done():
			return n, ctx.Err()
		case <-c.shell.Kernel.Dead():
			return n, c.shell.Kernel.Err()
		}
	}
	return n, err
}

func (c Client) ask(ctx context.Context, hash [32]byte, question any) (any, error) {
	answer, err := c.shell.Kernel.Ask(ctx, AddressOf(hash), question)
	if errors.Is(err, durable.ErrAbsent) {
		err = ErrNotFound
	}
	return answer, err
}
