// Package payments is a domain to simulate: people pay each other over stub channels, which answer in any order, late, and
// with every kind of refusal, while the process crashes.
package payments

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/payment"
	"stormcell/actors/router"
	pb "stormcell/messages/payment"
	"stormcell/peer/wire"
	"stormcell/tests/sim"
)

// height is that of the chain, which stands still.
const height = 1_000

// poison lets whoever gets it panic.
type poison struct{}

// Payments implements sim.Domain.
type Payments struct {
	rng      *rand.Rand
	kernel   *durable.Kernel
	sabotage Sabotage

	todo     []func()
	unheard  map[durable.Address]payment.Pay // asked for, and not answered
	recorded map[durable.Address]bool        // the user was told that it is
	numbers  uint64                          // given out
	balances map[durable.Address]uint64      // channels opened with
	payees   map[[32]byte]*payee
	verdicts map[htlc]*verdict
	arrivals map[durable.Address]htlc        // by shard
	shown    map[durable.Address]*pb.Payment // as it last left the process

	// What was seen in this life, as it is once all is durable.
	payments map[durable.Address]*pb.Payment
	shards   map[durable.Address]*pb.Shard
	stubs    map[durable.Address]*Stub
	wrong    error

	row    *Row                     // in which the process is to die
	passes int                      // how often it may be in it before
	hit    bool                     // it died there
	lost   map[durable.Address]bool // who was asked for then, and not answered
	afresh bool                     // one of them had left nothing, and began again
}

// htlc names an HTLC in a channel.
type htlc struct {
	channel durable.Address
	id      uint64
}

// New draws channels, payments, and how their payees behave.
func New(rng *rand.Rand, sabotage Sabotage) *Payments {
	w := &Payments{
		rng: rng, sabotage: sabotage, unheard: map[durable.Address]payment.Pay{}, recorded: map[durable.Address]bool{},
		balances: map[durable.Address]uint64{}, payees: map[[32]byte]*payee{}, verdicts: map[htlc]*verdict{},
		arrivals: map[durable.Address]htlc{}, shown: map[durable.Address]*pb.Payment{}, lost: map[durable.Address]bool{},
	}
	w.forget()
	for n := range 1 + rng.IntN(3) {
		w.balances[channelAddress(n)] = 300 + rng.Uint64N(1_500)
	}
	var often []func()
	for n := range 1 + rng.IntN(3) {
		often = append(often, w.drawPayment(n)...)
	}
	if rng.IntN(4) == 0 {
		often = append(often, func() { w.tell(channelAddress(0), closing{}) })
	}
	rng.Shuffle(len(often), func(i, j int) { often[i], often[j] = often[j], often[i] })
	w.todo = often
	return w
}

// drawPayment draws a payee, and how often it is paid: there is one who has to be refused the second time.
func (w *Payments) drawPayment(n int) []func() {
	preimage := sha256.Sum256(fmt.Append(nil, "preimage", n))
	hash := sha256.Sum256(preimage[:])
	p := &payee{preimage: preimage, total: 100 + w.rng.Uint64N(2_000), manner: manner(w.rng.IntN(int(manners)))}
	w.payees[hash] = p
	addr := payment.AddressOf(hash)
	parts := 1 + w.rng.IntN(4)
	pay := payment.Pay{Hash: hash, Request: &pb.Request{
		Payee: &pb.Payee{Node: payeeID[:], Secret: hash[:]}, AmountMsat: p.total, MaxParts: uint32(parts),
		MaxPartMsat: 1 + p.total/(1+w.rng.Uint64N(uint64(parts))), FinalDelta: 40, MaxDelta: 500,
		TimeoutNs: int64(10 * time.Minute),
	}}
	ahead := w.rng.IntN(2) == 0
	ops := make([]func(), 1+w.rng.IntN(3))
	for i := range ops {
		ops[i] = func() { w.pay(addr, pay, ahead) }
	}
	if w.rng.IntN(4) == 0 {
		ops = append(ops, func() { _ = w.kernel.AskFunc(addr, payment.Abort{}, false, func(any, error) {}) })
	}
	return ops
}

func channelAddress(n int) durable.Address { return durable.Address(fmt.Sprintf("channel/%d", n)) }

// forget drops what was seen in a life that has ended.
func (w *Payments) forget() {
	w.payments, w.shards = map[durable.Address]*pb.Payment{}, map[durable.Address]*pb.Shard{}
	w.stubs = map[durable.Address]*Stub{}
}

// Register implements sim.Process.
func (w *Payments) Register(k *durable.Kernel) error {
	w.kernel = k
	w.forget()
	stubKind := durable.Kind{Name: "channel", SnapshotEvery: 1, Creates: func(body any) bool { _, ok := body.(open); return ok }}
	return errors.Join(
		durable.Register(k, payment.Kind(), sim.Pure(w.sabotage.core(), w.report)),
		durable.Register(k, payment.ShardKind(), sim.Pure(durable.Core[*payment.Shard](payment.ShardCore{}), w.report)),
		durable.Register(k, stubKind, durable.Core[*stub](stubs{dropsPreimage: w.sabotage == DropPreimageAtRevocation})),
		durable.Register(k, durable.Kind{Name: "monitor", SnapshotEvery: 1}, durable.Core[*Guard](guards{})),
	)
}

func (w *Payments) report(err error) { w.fail("%w", err) }

// Started implements sim.Process: users who got no answer ask again.
func (w *Payments) Started() {
	for n := range len(w.balances) {
		w.tell(channelAddress(n), open{w.balances[channelAddress(n)]})
	}
	asked := []durable.Address{}
	for addr := range w.unheard {
		asked = append(asked, addr)
	}
	slices.Sort(asked)
	for _, addr := range asked {
		w.lost[addr] = w.hit
		w.ask(addr, w.unheard[addr])
	}
}

func (w *Payments) tell(to durable.Address, body any) { _ = w.kernel.Tell(to, 0, body) }

// pay asks for a payment, with routes found ahead or without.
func (w *Payments) pay(addr durable.Address, pay payment.Pay, ahead bool) {
	w.numbers++
	pay.Number = w.numbers
	if ahead {
		pay.Found = w.find(router.Query{
			Payee: payeeID, Amount: wire.MilliSatoshi(pay.Request.GetAmountMsat()), MaxParts: int(pay.Request.GetMaxParts()),
			MaxPart: wire.MilliSatoshi(pay.Request.GetMaxPartMsat()), FinalDelta: pay.Request.GetFinalDelta(),
			MaxDelta: pay.Request.GetMaxDelta(),
		})
	}
	w.unheard[addr] = pay
	w.ask(addr, pay)
}

func (w *Payments) ask(addr durable.Address, pay payment.Pay) {
	err := w.kernel.AskFunc(addr, pay, true, func(_ any, err error) {
		switch {
		case err == nil:
			w.recorded[addr], w.afresh = true, w.afresh || w.lost[addr]
			delete(w.unheard, addr)
		case errors.Is(err, durable.ErrRestarted):
			w.ask(addr, pay)
		case errors.Is(err, payment.ErrInFlight), errors.Is(err, payment.ErrPaid):
			delete(w.unheard, addr)
		default:
			w.fail("%s answers %w", addr, err)
		}
	})
	if err != nil && w.kernel.Err() == nil {
		w.fail("%s is not asked: %w", addr, err)
	}
}

// find asks the router, with balances that may be out of date.
func (w *Payments) find(q router.Query) *payment.Found {
	var channels []router.Channel
	for n := range len(w.balances) {
		addr := channelAddress(n)
		sendable := w.balances[addr]
		if s := w.stubs[addr]; s != nil && w.rng.IntN(3) > 0 {
			sendable = s.GetBalance()
			if s.GetClosed() {
				continue
			}
		}
		channels = append(channels, router.Channel{
			Address: addr, Peer: payeeID, Scid: uint64(n + 1), Minimum: 1, Sendable: wire.MilliSatoshi(sendable),
			HTLCs: 1 + w.rng.IntN(4),
		})
	}
	routes, err := router.Find(q, channels, height)
	return &payment.Found{Routes: routes, Err: err}
}

// Ops implements sim.Domain.
func (w *Payments) Ops() int { return len(w.todo) }

// Do implements sim.Domain.
func (w *Payments) Do(i int) { w.todo[i]() }

// Victims implements sim.Process.
func (w *Payments) Victims() []durable.Address { return []durable.Address{channelAddress(0)} }

// Poison implements sim.Process.
func (w *Payments) Poison() any { return poison{} }

// Release implements durable.World.
func (w *Payments) Release(from durable.Address, session uint64, e durable.Effect) {
	switch e := e.(type) {
	case payment.FindRoutes:
		found := w.find(e.Query)
		found.Round = e.Round
		_ = w.kernel.Tell(from, session, *found)
	case payment.Gather:
		w.gather(from, session, e)
	case payment.Changed:
		w.show(from, e.Payment)
	case offered:
		w.offered(from, e)
	default:
		w.fail("%s releases an unknown %T", from, e)
	}
}

// gather asks shards whether they live, as the shell does.
func (w *Payments) gather(from durable.Address, session uint64, e payment.Gather) {
	left := len(e.Shards)
	for _, shard := range e.Shards {
		answered := func(any, error) {
			if left--; left == 0 {
				_ = w.kernel.Tell(from, session, payment.Found{Round: e.Round})
			}
		}
		if err := w.kernel.AskFunc(shard, payment.IsLive{}, false, answered); err != nil {
			answered(nil, err)
		}
	}
}

// show holds what is shown of a payment against what was shown before: it is never taken back.
func (w *Payments) show(from durable.Address, p *pb.Payment) {
	before := w.shown[from]
	switch {
	case before.GetRevision() >= p.GetRevision():
		w.fail("%s showed revision %d after %d", from, p.GetRevision(), before.GetRevision())
	case len(before.GetPreimage()) > 0 && len(p.GetPreimage()) == 0:
		w.fail("%s showed a preimage, and now none", from)
	case before != nil && payment.StatusOf(before) == pb.Status_SUCCEEDED && payment.StatusOf(p) != pb.Status_SUCCEEDED:
		w.fail("%s succeeded, and now is %s", from, payment.StatusOf(p))
	}
	w.shown[from] = p
}

// Ended implements durable.World. Nothing here belongs to an incarnation.
func (w *Payments) Ended(durable.Address, uint64) {}

// Observe implements sim.Process.
func (w *Payments) Observe(addr durable.Address, snapshot proto.Message) {
	switch s := snapshot.(type) {
	case *pb.Payment:
		before := w.payments[addr]
		if isOver(before) && isOver(s) && before.GetFirst() == s.GetFirst() && s.GetLaunched() > before.GetLaunched() {
			w.fail("%s launches a shard after its end: {%v}, and then {%v}", addr, before, s)
		}
		w.payments[addr] = s
	case *pb.Shard:
		w.shards[addr] = s
	case *Stub:
		w.stubs[addr] = s
	}
}

// isOver tells whether a payment must launch nothing any more.
func isOver(p *pb.Payment) bool {
	return len(p.GetPreimage()) > 0 || p.GetFailure() != pb.FailureReason_NONE
}

func (w *Payments) fail(format string, args ...any) {
	if w.wrong == nil {
		w.wrong = fmt.Errorf(format, args...)
	}
}

// Err implements sim.Domain.
func (w *Payments) Err() error { return w.wrong }
