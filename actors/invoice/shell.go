package invoice

import (
	"errors"
	"log/slog"
	"sync"

	"stormcell/actors/durable"
)

// Shell is the world of invoices: it tells heights to those that hold HTLCs, and wakes who waits for changes.
type Shell struct {
	kernel  *durable.Kernel
	runtime durable.Runtime
	height  func() uint32
	log     *slog.Logger

	holders     sync.Map // durable.Address to the session that holds
	subscribers sync.Map // *subscriber to nothing
	counters
}

// NewShell makes the world of a kernel's invoices, with the clock that the kernel has. height gives how many blocks the chain
// has, zero while that is not known.
func NewShell(kernel *durable.Kernel, runtime durable.Runtime, height func() uint32, log *slog.Logger) *Shell {
	return &Shell{kernel: kernel, runtime: runtime, height: height, log: log, counters: newCounters()}
}

// Release carries out an effect of an invoice.
func (s *Shell) Release(from durable.Address, session uint64, e durable.Effect) {
	switch e := e.(type) {
	case Holding:
		if !e.On {
			s.holders.CompareAndDelete(from, session)
			return
		}
		s.holders.Store(from, session)
		if height := s.height(); height != 0 {
			s.tell(from, session, height)
		}
	case Changed:
		if e.Settled {
			s.count(e.Invoice)
		}
		hash := [32]byte(e.Invoice.GetPaymentHash())
		s.subscribers.Range(func(key, _ any) bool {
			key.(*subscriber).changed(hash)
			return true
		})
	default:
		s.log.Error("an invoice released an unknown effect", "actor", from, "effect", e)
	}
}

// Ended forgets an incarnation that has ended. The next one says again that it holds.
func (s *Shell) Ended(addr durable.Address, session uint64) {
	s.holders.CompareAndDelete(addr, session)
}

// NewHeight tells those that hold HTLCs how many blocks the chain has.
func (s *Shell) NewHeight(height uint32) {
	s.holders.Range(func(addr, session any) bool {
		s.tell(addr.(durable.Address), session.(uint64), height)
		return true
	})
}

// tell reports a height. Who does not hear of this one hears of the next.
func (s *Shell) tell(to durable.Address, session uint64, height uint32) {
	err := s.kernel.Tell(to, session, Height{height})
	if err != nil && !errors.Is(err, durable.ErrRestarted) && !errors.Is(err, durable.ErrStopping) {
		s.log.Warn("an invoice was not told of a block", "actor", to, "height", height, "error", err)
	}
}

// subscriber waits for changes of one invoice, or of all.
type subscriber struct {
	one  *[32]byte     // nil for all
	wake chan struct{} // holds one: changes that nobody has looked at yet are as good as one
}

func (s *Shell) subscribe(one *[32]byte) *subscriber {
	sub := &subscriber{one: one, wake: make(chan struct{}, 1)}
	s.subscribers.Store(sub, nil)
	return sub
}

func (s *Shell) unsubscribe(sub *subscriber) { s.subscribers.Delete(sub) }

func (sub *subscriber) changed(hash [32]byte) {
	if sub.one != nil && *sub.one != hash {
		return
	}
	select {
	case sub.wake <- struct{}{}:
	default:
	}
}
