// Package invoices simulates receiving: invoices that are added, settled and cancelled, payers who send their parts over
// several channels, in full or not, and blocks that run out. Channels and monitors are stubs that keep books: of every set all
// or nothing is paid, every claim could be made on the chain as well, and no HTLC is left over.
package invoices

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	sphinx "github.com/lightningnetwork/lightning-onion"
	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/actors/durable"
	"stormcell/actors/invoice"
	channelpb "stormcell/messages/channel"
	invoicepb "stormcell/messages/invoice"
	"stormcell/peer/onion"
	"stormcell/tests/sim"
)

var (
	nodeKey, nodePub = btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	session, _       = btcec.PrivKeyFromBytes(bytes.Repeat([]byte{9}, 32))
)

// World is everything around the invoices.
type World struct {
	rng      *rand.Rand
	sabotage Sabotage
	kernel   *durable.Kernel
	todo     []func()

	height   uint32
	blind    int // effects until the chain is known to the process; it is when there are none
	channels int
	nextID   uint64
	requests []*request
	pending  []*question
	holders  map[durable.Address]uint64 // to the session that holds
	idled    int
	wrong    error
}

// request is an invoice, and what its owner was told of it.
type request struct {
	preimage, hash [32]byte
	unasked        bool // the payer brings the preimage, and nobody makes the invoice
	hold           bool
	amount         lnwire.MilliSatoshi
	seen           *invoicepb.Invoice // as it lived last
	told           invoicepb.Status
}

func (r *request) address() durable.Address { return invoice.Address(r.hash) }

// question is asked again until it is answered.
type question struct {
	to       durable.Address
	body     any
	answered func(error)
}

// New draws a world.
func New(rng *rand.Rand, sabotage Sabotage) *World {
	w := &World{
		rng: rng, sabotage: sabotage, height: 1000, channels: 1 + rng.IntN(3), holders: map[durable.Address]uint64{},
	}
	for n := range 1 + rng.IntN(3) {
		r := &request{preimage: [32]byte{byte(n + 1)}, hold: rng.IntN(2) == 0, amount: lnwire.MilliSatoshi(rng.IntN(3) * 600)}
		r.hash, r.unasked = sha256.Sum256(r.preimage[:]), rng.IntN(4) == 0
		w.requests = append(w.requests, r)
		w.attempt(r)
		if rng.IntN(3) == 0 {
			w.attempt(r)
		}
		if r.hold && rng.IntN(2) == 0 {
			w.todo = append(w.todo, func() { w.settle(r) })
		}
		if rng.IntN(3) == 0 {
			w.todo = append(w.todo, func() { w.cancel(r) })
		}
	}
	for range rng.IntN(3) {
		w.todo = append(w.todo, func() { w.grow(uint32(rng.IntN(70))) })
	}
	rng.Shuffle(len(w.todo), func(i, j int) { w.todo[i], w.todo[j] = w.todo[j], w.todo[i] })
	for _, r := range w.requests { // early, as a rule
		if r.unasked {
			continue
		}
		w.todo = slices.Insert(w.todo, rng.IntN(1+len(w.todo)/4), func() { w.add(r) })
	}
	return w
}

// attempt is a payer's set of parts: as much as was asked for, or less, or more, or not all of it.
func (w *World) attempt(r *request) {
	total := max(r.amount, 600) * lnwire.MilliSatoshi(10+w.rng.IntN(13)-w.rng.IntN(2)) / 10
	parts := lnwire.MilliSatoshi(1 + w.rng.IntN(4))
	if r.unasked {
		parts = 1
	}
	whole, together := w.rng.IntN(8) > 0, w.rng.IntN(3) > 0
	var offers []func()
	for n := range parts {
		amount := total / parts
		if n == 0 && whole {
			amount += total % parts
		} else if n == 0 {
			amount -= amount / 2
		}
		offers = append(offers, func() { w.offer(r, amount, total) })
	}
	if !together {
		w.todo = append(w.todo, offers...)
		return
	}
	w.todo = append(w.todo, func() {
		for _, offer := range offers {
			offer()
		}
	})
}

func (w *World) add(r *request) {
	want := invoice.Request{Preimage: &r.preimage, Hold: r.hold, Amount: r.amount}
	w.ask(&question{r.address(), invoice.Add{Request: want}, func(err error) {
		if err != nil && !errors.Is(err, invoice.ErrExists) {
			w.fail("an invoice is not added: %w", err)
		}
	}})
}

func (w *World) offer(r *request, amount, total lnwire.MilliSatoshi) {
	w.nextID++
	expiry := w.height + 80 + uint32(w.rng.IntN(30))
	payload := onion.Payload{Amount: amount, Expiry: expiry, Payment: &onion.PaymentData{Total: total}}
	switch {
	case r.unasked:
		payload.Payment, payload.Keysend = nil, &r.preimage
	case r.seen != nil:
		copy(payload.Payment.Secret[:], r.seen.GetPaymentSecret())
	}
	packet, err := onion.Build(session, []onion.Hop{{Key: nodePub, Payload: payload}}, r.hash)
	if err != nil {
		w.fail("%w", err)
		return
	}
	in := &channelpb.IncomingHTLC{
		Id: w.nextID, AmountMsat: uint64(amount), PaymentHash: r.hash[:], Expiry: expiry, Onion: packet[:],
		OverExposed: w.rng.IntN(40) == 0,
	}
	to := durable.Address(fmt.Sprintf("channel/%d", w.rng.IntN(w.channels)))
	w.ask(&question{to, offer{in}, func(err error) {
		if err != nil {
			w.fail("an HTLC is not taken: %w", err)
		}
	}})
}

func (w *World) settle(r *request) {
	w.ask(&question{r.address(), invoice.Settle{Preimage: r.preimage}, func(err error) {
		switch {
		case err == nil, errors.Is(err, invoice.ErrSettled):
			w.tell(r, invoicepb.Status_SETTLED)
		case errors.Is(err, invoice.ErrCanceled):
			w.tell(r, invoicepb.Status_CANCELED)
		case errors.Is(err, invoice.ErrNotHeld), errors.Is(err, invoice.ErrNoChain), errors.Is(err, durable.ErrAbsent):
		default:
			w.fail("an invoice is not settled: %w", err)
		}
	}})
}

func (w *World) cancel(r *request) {
	w.ask(&question{r.address(), invoice.Cancel{}, func(err error) {
		switch {
		case err == nil:
			w.tell(r, invoicepb.Status_CANCELED)
		case errors.Is(err, invoice.ErrSettled):
			w.tell(r, invoicepb.Status_SETTLED)
		case !errors.Is(err, durable.ErrAbsent):
			w.fail("an invoice is not cancelled: %w", err)
		}
	}})
}

// tell notes what the owner of an invoice was told of its end. It has one.
func (w *World) tell(r *request, status invoicepb.Status) {
	if r.told != invoicepb.Status_OPEN && r.told != status {
		w.fail("an owner was told %s, and then %s", r.told, status)
	}
	r.told = status
}

func (w *World) ask(q *question) {
	w.pending = append(w.pending, q)
	w.askAgain(q)
}

func (w *World) askAgain(q *question) {
	err := w.kernel.AskFunc(q.to, q.body, false, func(_ any, err error) {
		if errors.Is(err, durable.ErrRestarted) {
			w.askAgain(q)
			return
		}
		w.pending = slices.DeleteFunc(w.pending, func(other *question) bool { return other == q })
		q.answered(err)
	})
	if err != nil && w.kernel.Err() == nil {
		w.fail("%s is not asked: %w", q.to, err)
	}
}

// grow adds blocks to the chain.
func (w *World) grow(blocks uint32) {
	w.height += blocks
	for _, addr := range slices.Sorted(maps.Keys(w.holders)) {
		w.tellHeight(addr, w.holders[addr])
	}
}

func (w *World) tellHeight(to durable.Address, session uint64) {
	if w.blind > 0 {
		return
	}
	err := w.kernel.Tell(to, session, invoice.Height{Height: w.height})
	if err != nil && !errors.Is(err, durable.ErrRestarted) && w.kernel.Err() == nil {
		w.fail("%s is not told of blocks: %w", to, err)
	}
}

// Idle implements sim.Idler: when nothing else moves, some of what is held is settled, and the rest runs out of time.
func (w *World) Idle() bool {
	if w.blind > 0 {
		w.blind = 0
		w.grow(0)
		return true
	}
	for _, r := range w.requests {
		if r.seen.GetStatus() == invoicepb.Status_OPEN && holds(r.seen) {
			w.fail("%s waits for the rest of its set for ever", r.address())
		}
	}
	switch w.idled++; w.idled {
	case 1:
		for _, r := range w.requests {
			if r.hold && w.rng.IntN(2) == 0 {
				w.settle(r)
			}
		}
	case 2, 3:
		w.grow(300)
	default:
		return false
	}
	return true
}

func holds(i *invoicepb.Invoice) bool {
	return slices.ContainsFunc(i.GetHtlcs(), func(h *invoicepb.HTLC) bool {
		return h.GetState() == invoicepb.HTLCState_ACCEPTED
	})
}

// Ops implements sim.Domain.
func (w *World) Ops() int { return len(w.todo) }

// Do implements sim.Domain.
func (w *World) Do(i int) { w.todo[i]() }

// Err implements sim.Domain.
func (w *World) Err() error { return w.wrong }

// Register implements sim.Process.
func (w *World) Register(k *durable.Kernel) error {
	w.kernel, w.blind = k, max(w.rng.IntN(20)-10, 0)
	policy := invoice.DefaultPolicy()
	policy.Keysend = true
	clear(w.holders)
	report := func(err error) { w.fail("%w", err) }
	core := durable.Core[*invoice.State](invoice.Core{
		Network: &chaincfg.RegressionNetParams, ECDH: (&sphinx.PrivKeyECDH{PrivKey: nodeKey}).ECDH,
		SignInvoice: func(signed []byte) ([]byte, error) {
			return ecdsa.SignCompact(nodeKey, chainhash.HashB(signed), true), nil
		},
		Height: w.known, Policy: policy,
	})
	if w.sabotage != Honest {
		core = broken{core, w.sabotage}
	}
	stub := func(name string) durable.Kind { return durable.Kind{Name: name, SnapshotEvery: 1} }
	creates := stub("channel")
	creates.Creates = func(body any) bool { _, offers := body.(offer); return offers }
	return errors.Join(
		durable.Register(k, invoice.Kind(), sim.Pure(core, report)),
		durable.Register(k, creates, sim.Pure(channels{w}, report)),
		durable.Register(k, stub("monitor"), sim.Pure(monitors{}, report)),
	)
}

// Started implements sim.Process.
func (w *World) Started() {
	for _, q := range slices.Clone(w.pending) {
		w.askAgain(q)
	}
}

// Victims implements sim.Process.
func (w *World) Victims() []durable.Address {
	all := []durable.Address{"channel/0"}
	for _, r := range w.requests {
		all = append(all, r.address())
	}
	return all
}

// Poison implements sim.Process.
func (w *World) Poison() any { return poison{} }

// Release implements durable.World.
func (w *World) Release(from durable.Address, session uint64, e durable.Effect) {
	switch e := e.(type) {
	case invoice.Holding:
		if e.On {
			w.holders[from] = session
			w.tellHeight(from, session)
		} else if w.holders[from] == session {
			delete(w.holders, from)
		}
	case invoice.Changed, durable.Refused:
	default:
		w.fail("%s releases an unknown %T", from, e)
	}
	if w.blind > 0 {
		if w.blind--; w.blind == 0 {
			w.grow(0)
		}
	}
}

// known is how many blocks there are, as the process knows.
func (w *World) known() uint32 {
	if w.blind > 0 {
		return 0
	}
	return w.height
}

// Ended implements durable.World.
func (w *World) Ended(addr durable.Address, session uint64) {
	if w.holders[addr] == session {
		delete(w.holders, addr)
	}
}

func (w *World) fail(format string, args ...any) {
	if w.wrong == nil {
		w.wrong = fmt.Errorf(format, args...)
	}
}
