// Package onchain is where actors meet the chain. The Desk follows it, tells actors what their watches find, publishes their
// transactions until these are safe in the chain, and knows what a transaction costs.
//
// It decides nothing and stores nothing: after a restart actors ask again in their Resume, and say what they were told.
package onchain

import (
	"context"
	"log/slog"
	"sync/atomic"

	"stormcell/actors/durable"
	"stormcell/chain/backend"
	"stormcell/chain/fees"
	"stormcell/chain/watch"
)

// Owner is who asked, as an effect names its actor: nobody else is told. A Session of 0 is whatever incarnation there is.
type Owner struct {
	Address durable.Address
	Session uint64
}

// Teller hands volatile messages to actors, as the kernel does.
type Teller interface {
	Tell(to durable.Address, session uint64, body any) error
}

// Options of a desk. All must be set but FallbackFeeRate.
type Options struct {
	Kernel  Teller
	Backend backend.Backend
	Runtime durable.Runtime
	// FallbackFeeRate is used while the backend has no estimate; 0 is none.
	FallbackFeeRate fees.SatPerKW
	Log             *slog.Logger
}

// Desk is the door between actors and the chain. Its methods are safe for concurrent use, and return at once, but FeeRate. They
// wait for Run to begin, and do nothing after it has ended.
type Desk struct {
	Options
	watcher *watch.Watcher
	asked   chan func()
	ended   chan struct{}
	tip     atomic.Pointer[backend.BlockRef]

	// What follows belongs to Run's goroutine.
	heights      []func(height uint32)
	watches      watches
	publications publications
	estimates    map[uint32]estimate // by target
	undelivered  map[durable.Address][]parcel
}

// NewDesk makes a desk.
func NewDesk(o Options) *Desk {
	d := &Desk{
		Options: o, asked: make(chan func()), ended: make(chan struct{}),
		watches: newWatches(), publications: newPublications(),
		estimates: map[uint32]estimate{}, undelivered: map[durable.Address][]parcel{},
	}
	d.watcher = watch.NewWatcher(o.Backend, d.update, o.Log)
	return d
}

// Run serves until the context ends, which it returns, or the chain cannot be followed any more (backend.ErrReorgTooDeep,
// backend.ErrWrongNetwork). It is called once.
func (d *Desk) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer close(d.ended)
	d.publications.ctx = ctx
	followed := make(chan error, 1)
	go func() { followed <- d.watcher.Run(ctx) }()
	for {
		select {
		case f := <-d.asked:
			f()
		case err := <-followed:
			return err
		}
	}
}

// do runs f on Run's goroutine, and returns when it has run. It is false when Run has ended.
func (d *Desk) do(f func()) bool {
	done := make(chan struct{})
	select {
	case d.asked <- func() { f(); close(done) }:
		<-done
		return true
	case <-d.ended:
		return false
	}
}

// Heights subscribes to the height of the best chain: f is called after each change, when all that the new block told the
// watches has been handed on. Calls come one after the other, and the next block waits until f returns.
func (d *Desk) Heights(f func(height uint32)) {
	d.do(func() { d.heights = append(d.heights, f) })
}

// Height is that of the best chain, 0 while it is not known.
func (d *Desk) Height() uint32 {
	tip, _ := d.Tip()
	return tip.Height
}

// Tip is the tip of the best chain, false while it is not known.
func (d *Desk) Tip() (backend.BlockRef, bool) {
	if tip := d.tip.Load(); tip != nil {
		return *tip, true
	}
	return backend.BlockRef{}, false
}

// update hands on what one block changed.
func (d *Desk) update(u watch.Update) {
	old, known := d.Tip()
	moved := !known || old != u.Tip
	var subscribers []func(uint32)
	d.do(func() {
		d.tip.Store(&u.Tip)
		for _, fact := range u.Facts {
			d.found(fact)
		}
		if moved {
			d.publishAgain()
			subscribers = d.heights
		}
	})
	for _, f := range subscribers {
		f(u.Tip.Height)
	}
}
