package wallet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/btcsuite/btcd/txscript"

	"stormcell/actors/durable"
	"stormcell/actors/onchain"
	"stormcell/chain/backend"
	chainwallet "stormcell/chain/wallet"
	"stormcell/chain/watch"
)

// lookAgainAfter is how often the shell looks whether the wallet has caught up with the chain.
const lookAgainAfter = time.Second

// tellAgainAfter is how long an actor with a full mailbox is left alone.
const tellAgainAfter = 100 * time.Millisecond

// ShellOptions are what a shell works with. All must be set.
type ShellOptions struct {
	Kernel  *durable.Kernel
	Runtime durable.Runtime
	Desk    *onchain.Desk
	Chain   *chainwallet.Wallet
	// Channels is how many channels there are whose closing may have to be paid for.
	Channels func(context.Context) (int, error)
	Log      *slog.Logger
}

// Shell is the world of the wallet: it carries out what the wallet releases, on chain/wallet and the desk.
type Shell struct {
	ShellOptions
	attended chan struct{} // closed when the addresses that were given out are known
	attend   sync.Once
	session  atomic.Uint64 // of the incarnation that attends
	working  sync.WaitGroup
	stopped  chan struct{}
	stop     sync.Once
	ctx      context.Context // ends with stopped
	cancel   context.CancelFunc
}

// NewShell makes the world of a kernel's wallet.
func NewShell(o ShellOptions) *Shell {
	s := &Shell{ShellOptions: o, attended: make(chan struct{}), stopped: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Follow lets the wallet follow the chain, once the addresses that were given out are known, and returns then. After an error it
// can be called again.
func (s *Shell) Follow(ctx context.Context, source chainwallet.Source) error {
	select {
	case <-s.attended:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.Chain.Follow(ctx, source); err != nil {
		return err
	}
	s.lookForAddresses()
	return nil
}

// lookForAddresses tells the actor which addresses the chain shows to be in use, when the wallet has seen all of it.
func (s *Shell) lookForAddresses() {
	s.goUnlessStopped(func() {
		if _, synced := s.Chain.SyncedTo(); !synced {
			s.Runtime.AfterFunc(lookAgainAfter, s.lookForAddresses)
			return
		}
		for _, branch := range chainwallet.Branches() {
			next, err := s.Chain.Known(branch)
			if err != nil {
				s.Log.Error("the addresses in use are not known", "branch", branch, "error", err)
				return
			}
			s.tell(s.session.Load(), Known{Next: Index{branch, next}})
		}
	})
}

// Close waits until nothing works on the chain's wallet any more.
func (s *Shell) Close() {
	s.stop.Do(func() {
		close(s.stopped)
		s.cancel()
	})
	s.working.Wait()
}

// Release carries out an effect of the wallet.
func (s *Shell) Release(session uint64, e durable.Effect) {
	switch e := e.(type) {
	case Attend:
		s.begin(session, e)
	case Look:
		s.goUnlessStopped(func() { s.tell(session, s.look(e)) })
	case Sign:
		s.goUnlessStopped(func() { s.tell(session, s.sign(e)) })
	case Publish:
		s.publish(session, e)
	case Unpublish:
		s.unpublish(e)
	default:
		s.Log.Error("the wallet released an unknown effect", "effect", fmt.Sprintf("%T", e))
	}
}

// begin looks for payments to all addresses that were given out.
func (s *Shell) begin(session uint64, a Attend) {
	s.session.Store(session)
	s.goUnlessStopped(func() {
		for _, at := range a.Given {
			if _, err := s.Chain.Address(at.Branch, at.Index-1); err != nil {
				s.Log.Error("payments to addresses that were given out may not be seen", "branch", at.Branch, "error", err)
			}
		}
		s.attend.Do(func() { close(s.attended) })
	})
}

func (s *Shell) look(l Look) Looked {
	answer := Looked{Look: l}
	at, synced := s.Chain.SyncedTo()
	if !synced {
		answer.Err = ErrNotSynced
		return answer
	}
	answer.Tip = at.Height
	channels, err := s.Channels(s.ctx)
	if err != nil {
		answer.Err = fmt.Errorf("count the channels: %w", err)
		return answer
	}
	answer.Reserve = reserveFor(channels)
	if answer.Coins, answer.Err = s.Chain.Coins(); answer.Err != nil {
		return answer
	}
	change, err := s.Chain.Address(l.Change.Branch, l.Change.Index)
	if err != nil {
		answer.Err = err
		return answer
	}
	answer.ChangeScript, answer.Err = txscript.PayToAddrScript(change)
	return answer
}

func (s *Shell) sign(e Sign) SignedTx {
	answer := SignedTx{Sign: e}
	if _, answer.Err = s.Chain.Sign(e.Packet); answer.Err == nil {
		answer.Tx, _, answer.Err = chainwallet.Extract(e.Packet)
	}
	return answer
}

// publish publishes a transaction, and watches what it spends.
func (s *Shell) publish(session uint64, p Publish) {
	owner, txid := onchain.Owner{Address: Address, Session: session}, p.Tx.TxHash()
	s.Desk.Publish(owner, onchain.Publication{
		Tx: p.Tx, Since: p.Since,
		Before: func() { s.label(p) },
		Answered: func(result backend.PublishResult) any {
			if result.Status == backend.Accepted || result.Status == backend.AlreadyKnown { // else a block shows it, or nothing does
				s.goUnlessStopped(func() { s.note(p) })
			}
			return Answered{TxID: txid, Result: result, Asker: p.Asker}
		},
	})
	for i, in := range p.Tx.TxIn {
		err := s.Desk.Watch(owner, watch.Watch{
			ID:     inputWatch(txid.String(), i),
			Target: watch.Spend{OutPoint: in.PreviousOutPoint, Script: p.Spends[i].PkScript},
			Depth:  watch.SafeDepth, Since: p.Since,
		}, func(fact watch.Fact) any {
			if _, found := fact.(watch.Found); found {
				return Settled{TxID: txid}
			}
			return nil
		})
		if err != nil {
			s.Log.Error("a transaction's input is not watched", "txid", txid, "input", i, "error", err)
		}
	}
}

// note lets the chain's wallet see a transaction before the network shows it.
func (s *Shell) note(p Publish) {
	if err := s.Chain.Note(p.Tx); err != nil {
		s.Log.Warn("the wallet shows a published transaction only when it is in a block", "txid", p.Tx.TxHash(), "error", err)
	}
}

// label keeps a transaction's label before the network can show the transaction.
func (s *Shell) label(p Publish) {
	if !s.enter() {
		return
	}
	defer s.working.Done()
	if err := s.Chain.Label(p.Tx.TxHash(), p.Label); err != nil {
		s.Log.Warn("a transaction has no label", "txid", p.Tx.TxHash(), "error", err)
	}
}

func (s *Shell) unpublish(u Unpublish) {
	s.Desk.Unpublish(Address, u.TxID)
	for i := range u.Inputs {
		s.Desk.Forget(Address, inputWatch(u.TxID.String(), i))
	}
}

func inputWatch(txid string, input int) watch.ID { return watch.ID(fmt.Sprintf("%s:%d", txid, input)) }

// tell reports to an incarnation. One that has ended asks again as the next.
func (s *Shell) tell(session uint64, fact any) {
	err := s.Kernel.Tell(Address, session, fact)
	switch {
	case err == nil, errors.Is(err, durable.ErrRestarted), errors.Is(err, durable.ErrStopping):
	case errors.Is(err, durable.ErrBusy):
		s.Runtime.AfterFunc(tellAgainAfter, func() { s.tell(session, fact) })
	default:
		s.Log.Warn("the wallet was not told", "fact", fmt.Sprintf("%T", fact), "error", err)
	}
}

func (s *Shell) goUnlessStopped(f func()) {
	if !s.enter() {
		return
	}
	s.Runtime.Go(func() {
		defer s.working.Done()
		f()
	})
}

// enter begins work that Close waits for, unless the shell is stopped. It ends with working.Done.
func (s *Shell) enter() bool {
	s.working.Add(1) // before the look, so that Close cannot miss it
	select {
	case <-s.stopped:
		s.working.Done()
		return false
	default:
		return true
	}
}
