package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"stormcell/chain/backend"
)

const (
	// retryAfter is how long the watcher leaves a backend alone that failed.
	retryAfter = 2 * time.Second

	// lookAgainAfter is how often it looks for blocks without being told of any.
	lookAgainAfter = 30 * time.Second

	// progressEvery is after how many old blocks it logs how far it has searched.
	progressEvery = 1000
)

// Update is what one block changed.
type Update struct {
	Tip   backend.BlockRef // of the best chain, as far as facts were told
	Facts []Fact           // in the order in which they came about
}

// Watcher runs a Tracker on a backend. It begins at the tip of the best chain, and searches older blocks for watches that ask
// for it, new ones first.
type Watcher struct {
	backend backend.Backend
	deliver func(Update)
	log     *slog.Logger

	mu    sync.Mutex
	asked []func(*run, context.Context) (done bool, err error) // in order, not yet begun
	wake  chan struct{}
}

// NewWatcher makes a watcher that tells everything to deliver: one update at a time, in order, first the tip at which it
// begins, then one for each block that is connected or disconnected, and one for each older block that had facts. New blocks
// wait until deliver returns.
func NewWatcher(b backend.Backend, deliver func(Update), log *slog.Logger) *Watcher {
	return &Watcher{backend: b, deliver: deliver, log: log, wake: make(chan struct{}, 1)}
}

// Watch registers a watch, in place of one with the same ID. It may be called before Run and from deliver. A watch that cannot
// work is ErrInvalidWatch.
func (w *Watcher) Watch(watch Watch) error {
	if err := watch.validate(); err != nil {
		return err
	}
	w.ask(func(r *run, ctx context.Context) (bool, error) { return r.register(ctx, watch) })
	return nil
}

// Forget drops a watch. What was found before may still be told.
func (w *Watcher) Forget(id ID) {
	w.ask(func(r *run, _ context.Context) (bool, error) {
		r.tracker.Forget(id)
		return true, nil
	})
}

func (w *Watcher) ask(change func(*run, context.Context) (bool, error)) {
	w.mu.Lock()
	w.asked = append(w.asked, change)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// next is the oldest change that was asked for, nil when there is none. It stays until it is done.
func (w *Watcher) next() func(*run, context.Context) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.asked) == 0 {
		return nil
	}
	return w.asked[0]
}

func (w *Watcher) done() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = w.asked[1:]
}

// Run follows the chain until ctx ends, which it returns, or the chain cannot be followed any more (backend.ErrReorgTooDeep).
// Other failures of the backend are logged, and what failed is tried again.
func (w *Watcher) Run(ctx context.Context) error {
	var r *run
	for ctx.Err() == nil {
		changed := w.backend.Changed()
		progress, err := false, error(nil)
		if r == nil {
			if r, err = w.begin(ctx); err == nil {
				progress = true
			}
		} else {
			progress, err = r.step(ctx)
		}
		pause := lookAgainAfter
		switch {
		case ctx.Err() != nil:
			continue
		case errors.Is(err, backend.ErrReorgTooDeep), errors.Is(err, backend.ErrWrongNetwork), errors.Is(err, ErrNotNext):
			return err
		case err != nil:
			w.log.WarnContext(ctx, "the chain backend failed; trying again", "error", err, "after", retryAfter)
			pause, changed = retryAfter, nil
		case progress:
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-w.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	return ctx.Err()
}

// run is a watcher that has begun.
type run struct {
	*Watcher
	stream   *backend.Stream
	tracker  *Tracker
	event    *backend.Event // that the stream gave and the tracker has not seen
	searched int            // old blocks, for the log
}

func (w *Watcher) begin(ctx context.Context) (*run, error) {
	tip, err := w.backend.BestBlock(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin to watch: %w", err)
	}
	stream, err := backend.NewStream(w.backend, tip)
	if err != nil {
		return nil, fmt.Errorf("begin to watch: %w", err)
	}
	w.deliver(Update{Tip: tip})
	return &run{Watcher: w, stream: stream, tracker: NewTracker(tip)}, nil
}

// step does the next thing: a new block before a change that was asked for, that before an old block. It is false when there
// is nothing to do.
func (r *run) step(ctx context.Context) (bool, error) {
	if r.event == nil {
		event, ok, err := r.stream.Poll(ctx)
		if err != nil {
			return false, err
		}
		if ok {
			r.event = &event
		}
	}
	if r.event != nil {
		return true, r.follow(ctx)
	}
	if change := r.next(); change != nil {
		done, err := change(r, ctx)
		if done {
			r.done()
		}
		return done, err
	}
	return r.search(ctx)
}

// follow gives the tracker the event of the stream.
func (r *run) follow(ctx context.Context) error {
	var facts []Fact
	event := *r.event
	if event.Connected {
		block, err := r.read(ctx, event.Block, event.Previous, r.tracker.Scripts())
		if err != nil {
			return err
		}
		if facts, err = r.tracker.Connect(block); err != nil {
			return err
		}
	} else {
		var err error
		if facts, err = r.tracker.Disconnect(event.Block, event.Previous); err != nil {
			return err
		}
	}
	r.event = nil
	r.deliver(Update{Tip: r.tracker.Tip(), Facts: facts})
	return nil
}

// register adds a watch. What the watch was told is looked up on the chain that the tracker is on. That has to wait while the
// backend's best chain is another, or does not reach as high yet: a backend that is catching up has undone nothing.
func (r *run) register(ctx context.Context, w Watch) (bool, error) {
	tip := r.tracker.Tip()
	var there chainhash.Hash
	if w.Told != nil {
		if w.Told.Block.Height > tip.Height {
			return false, nil
		}
		var err error
		if there, err = r.backend.HashAt(ctx, w.Told.Block.Height); err != nil {
			return false, fmt.Errorf("register watch %q: %w", w.ID, err)
		}
		best, err := r.backend.BestBlock(ctx)
		if err != nil || best != tip {
			return false, err
		}
	}
	facts, err := r.tracker.Register(w, func(uint32) (chainhash.Hash, error) { return there, nil })
	if err != nil {
		return false, err
	}
	if len(facts) > 0 {
		r.deliver(Update{Tip: tip, Facts: facts})
	}
	return true, nil
}

// search reads the next old block.
func (r *run) search(ctx context.Context) (bool, error) {
	height, scripts, ok := r.tracker.Behind()
	if !ok {
		return false, nil
	}
	hash, err := r.backend.HashAt(ctx, height)
	if err != nil {
		return false, fmt.Errorf("search block %d: %w", height, err)
	}
	header, err := r.backend.Header(ctx, hash)
	if err != nil {
		return false, fmt.Errorf("search block %d: %w", height, err)
	}
	block, err := r.read(ctx, backend.BlockRef{Height: height, Hash: hash}, header.PrevBlock, scripts)
	if err != nil {
		return false, err
	}
	facts, err := r.tracker.Search(block)
	if err != nil {
		return false, err
	}
	if r.searched++; r.searched%progressEvery == 0 {
		r.log.InfoContext(ctx, "searching old blocks", "height", height, "tip", r.tracker.Tip().Height)
	}
	if len(facts) > 0 {
		r.deliver(Update{Tip: r.tracker.Tip(), Facts: facts})
	}
	return true, nil
}

// read fetches what touches the scripts. A block that cannot be fetched because it has left the best chain since is given
// empty: it is disconnected next.
func (r *run) read(ctx context.Context, ref backend.BlockRef, previous chainhash.Hash, scripts [][]byte) (Block, error) {
	block := Block{BlockRef: ref, Previous: previous}
	full, err := r.backend.BlockIfTouches(ctx, ref.Hash, scripts)
	if err != nil {
		now, lookupErr := r.backend.HashAt(ctx, ref.Height)
		if lookupErr != nil || now == ref.Hash {
			return Block{}, fmt.Errorf("read %s: %w", ref, err)
		}
	}
	if full != nil {
		block.Txs = full.Transactions
	}
	return block, nil
}
