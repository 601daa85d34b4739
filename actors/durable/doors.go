package durable

import (
	"context"
	"fmt"
	"sync/atomic"
)

// question is answered at most once.
type question struct {
	answer func(body any, err error)
	done   atomic.Bool
}

// Tell sends a volatile message from outside. A session other than zero names the only incarnation that may see it.
// ErrBusy when the mailbox is full, ErrHalted, ErrRestarted when the session is over, ErrStopping, ErrUnknownKind.
func (k *Kernel) Tell(addr Address, session uint64, body any) error {
	return k.offer(addr, &item{msg: Message{Body: body}, session: session}, false)
}

// Ask sends a question and waits for the answer, which comes when all it depends on is durable. The errors are those of
// Tell, ErrAbsent, ErrRestarted, the context's, and whatever the actor refuses with.
func (k *Kernel) Ask(ctx context.Context, addr Address, body any) (any, error) {
	return k.wait(ctx, addr, body, false)
}

// Propose is Ask for new work: it is refused with ErrOverloaded while too much promised work waits for the actor.
func (k *Kernel) Propose(ctx context.Context, addr Address, body any) (any, error) {
	return k.wait(ctx, addr, body, true)
}

// AskFunc is Ask or Propose (newWork) with the answer as a call, from any goroutine, exactly once unless the kernel dies.
// An error returned is an error before anything was sent; answer is not called then.
func (k *Kernel) AskFunc(addr Address, body any, newWork bool, answer func(body any, err error)) error {
	return k.ask(addr, body, newWork, &question{answer: answer})
}

func (k *Kernel) ask(addr Address, body any, newWork bool, q *question) error {
	return k.offer(addr, &item{msg: Message{Body: body, Asker: Asker{q}}}, newWork)
}

func (k *Kernel) wait(ctx context.Context, addr Address, body any, newWork bool) (any, error) {
	type result struct {
		body any
		err  error
	}
	answers := make(chan result, 1)
	q := &question{answer: func(body any, err error) { answers <- result{body, err} }}
	if err := k.ask(addr, body, newWork, q); err != nil {
		return nil, err
	}
	select {
	case r := <-answers:
		return r.body, r.err
	case <-ctx.Done():
		q.done.Store(true) // nobody waits any more
		return nil, fmt.Errorf("%s: %w", addr, ctx.Err())
	case <-k.dead:
		return nil, k.failure()
	}
}

func (k *Kernel) offer(addr Address, it *item, newWork bool) error {
	var refused error
	if err := k.cellOf(addr, func(c *cell) { refused = c.offer(it, newWork) }); err != nil {
		return err
	}
	return refused
}
