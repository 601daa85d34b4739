// Package bank is a small domain of durable actors, and the world and the books around it, to prove the kernel on.
package bank

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/tests/sim"
)

// Bank is the world around the actors. It sees only what they release, and writes it all down.
type Bank struct {
	rng        *rand.Rand
	kernel     *durable.Kernel
	applyTwice bool

	accounts  map[durable.Address]int64 // opened with
	orders    map[durable.Address]*TransferOrder
	todo      []op
	unheard   []*op // done, and not answered yet
	verdicts  map[durable.Address]bool
	attempted map[durable.Address]int64
	finished  map[durable.Address]int64
	shown     map[durable.Address]map[uint64]int64 // balances by step
	wrong     error
}

// op is something a user asks for, again and again until there is an answer.
type op struct {
	to   durable.Address
	body any
}

// New draws a bank and what its users will do. applyTwice breaks the kernel's promise to apply an event once.
func New(rng *rand.Rand, applyTwice bool) *Bank {
	b := &Bank{
		rng: rng, applyTwice: applyTwice,
		accounts: map[durable.Address]int64{}, orders: map[durable.Address]*TransferOrder{},
		verdicts: map[durable.Address]bool{}, attempted: map[durable.Address]int64{},
		finished: map[durable.Address]int64{}, shown: map[durable.Address]map[uint64]int64{},
	}
	accounts := 2 + rng.IntN(3)
	name := func() durable.Address { return durable.Address(fmt.Sprintf("account/%c", 'a'+rng.IntN(accounts))) }
	for i := range accounts {
		addr := durable.Address(fmt.Sprintf("account/%c", 'a'+i))
		b.accounts[addr] = 500 + rng.Int64N(1000)
		b.todo = append(b.todo, op{addr, openAccount{b.accounts[addr]}})
	}
	for i := range 1 + rng.IntN(5) {
		order := &TransferOrder{
			From: string(name()), To: string(name()), Amount: 1 + rng.Int64N(900),
			Parts: 1 + uint32(rng.IntN(4)), Retries: uint32(rng.IntN(3)),
		}
		if rng.IntN(8) == 0 {
			order.From = "account/nobody"
		}
		addr := durable.Address(fmt.Sprintf("transfer/%d", i))
		b.orders[addr] = order
		b.todo = append(b.todo, op{addr, startTransfer{order}})
	}
	return b
}

// Register implements sim.Domain. A new process also hears again from the users that got no answer from the last.
func (b *Bank) Register(k *durable.Kernel) error {
	b.kernel = k
	err := errors.Join(
		register(b, k, durable.Kind{Name: "account", SnapshotEvery: 5, Creates: createsAccount}, accounts{}),
		register(b, k, durable.Kind{Name: "transfer", SnapshotEvery: 3, Creates: creates[startTransfer]}, transfers{}),
		register(b, k, durable.Kind{Name: "shard", SnapshotEvery: 1, Creates: creates[*Launch]}, shards{}),
		register(b, k, durable.Kind{Name: "audit", Creates: creates[*Entry]}, audits{}),
	)
	return err
}

// Started implements sim.Domain.
func (b *Bank) Started() {
	for _, o := range slices.Clone(b.unheard) {
		b.ask(o)
	}
}

func register[S any](b *Bank, k *durable.Kernel, kind durable.Kind, core durable.Core[S]) error {
	if b.applyTwice {
		core = twice[S]{core}
	}
	return durable.Register(k, kind, sim.Pure(core, func(err error) { b.fail("%w", err) }))
}

// twice folds every event in twice.
type twice[S any] struct{ durable.Core[S] }

func (t twice[S]) Apply(s S, event proto.Message) {
	t.Core.Apply(s, event)
	t.Core.Apply(s, event)
}

func createsAccount(body any) bool { return creates[openAccount](body) || creates[*Deposit](body) }

func creates[T any](body any) bool {
	_, ok := body.(T)
	return ok
}

// Ops implements sim.Domain.
func (b *Bank) Ops() int { return len(b.todo) }

// Do implements sim.Domain.
func (b *Bank) Do(i int) {
	o := &b.todo[i]
	b.unheard = append(b.unheard, o)
	b.ask(o)
}

func (b *Bank) ask(o *op) {
	err := b.kernel.AskFunc(o.to, o.body, true, func(_ any, err error) {
		switch {
		case err == nil:
			b.unheard = slices.DeleteFunc(b.unheard, func(u *op) bool { return u == o })
		case errors.Is(err, durable.ErrRestarted):
			b.ask(o)
		default:
			b.fail("%s answers %w", o.to, err)
		}
	})
	if err != nil && b.kernel.Err() == nil {
		b.fail("%s is not asked: %w", o.to, err)
	}
}

// Victims implements sim.Domain.
func (b *Bank) Victims() []durable.Address {
	out := []durable.Address{auditor}
	for _, o := range b.todo {
		out = append(out, o.to)
	}
	return append(out, "shard/0/1", "shard/0/2", "shard/1/1")
}

// Poison implements sim.Domain.
func (b *Bank) Poison() any { return poison{} }

// Release implements durable.World.
func (b *Bank) Release(from durable.Address, _ uint64, e durable.Effect) {
	switch e := e.(type) {
	case statement:
		b.show(from, e)
	case attempt:
		b.attempted[from] = e.amount
		b.judge(from)
	case finished:
		if before, again := b.finished[from]; again && before != e.settled {
			b.fail("%s finished with %d, and then with %d", from, before, e.settled)
		}
		b.finished[from] = e.settled
		_ = b.kernel.Tell(from, 0, heard{}) // not heard: it will say so again
	default:
		b.fail("%s releases an unknown %T", from, e)
	}
}

// Ended implements durable.World. Nothing here belongs to an incarnation.
func (b *Bank) Ended(durable.Address, uint64) {}

// show writes down a statement: what was once shown must not turn out never to have happened.
func (b *Bank) show(from durable.Address, s statement) {
	if b.shown[from] == nil {
		b.shown[from] = map[uint64]int64{}
	}
	if before, again := b.shown[from][s.steps]; again && before != s.balance {
		b.fail("%s showed balance %d after step %d, and now shows %d", from, before, s.steps, s.balance)
	}
	b.shown[from][s.steps] = s.balance
}

// judge settles or fails a shard: the same verdict each time, sometimes at once, sometimes only when asked again, sometimes
// twice.
func (b *Bank) judge(shard durable.Address) {
	settled, judged := b.verdicts[shard]
	if !judged {
		if b.rng.IntN(3) == 0 {
			return
		}
		settled = b.rng.IntN(3) > 0
		b.verdicts[shard] = settled
	}
	for range 1 + b.rng.IntN(2) {
		_ = b.kernel.Tell(shard, 0, verdict{settled}) // not heard: it will be asked for again
	}
}

// Observe implements sim.Domain.
func (b *Bank) Observe(addr durable.Address, snapshot proto.Message) {
	if s, ok := snapshot.(*AccountState); ok && s.Balance < 0 {
		b.fail("%s has %d", addr, s.Balance)
	}
}

func (b *Bank) fail(format string, args ...any) {
	if b.wrong == nil {
		b.wrong = fmt.Errorf(format, args...)
	}
}

// Err implements sim.Domain.
func (b *Bank) Err() error { return b.wrong }
