// Package coins simulates the wallet's actor: channels that want funding transactions and use them, give them back or leave them,
// users who pay, a network that refuses and confirms transactions, and coins that others spend. No coin may be promised
// twice, no transaction that anybody was told of may be lost, and nothing may be set aside for no reason.
package coins

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/wallet"
	"stormcell/chain/backend"
	chainwallet "stormcell/chain/wallet"
	walletpb "stormcell/messages/wallet"
	"stormcell/tests/sim"
)

const (
	feeRate = 300 // sat/kw
	height  = 500 // of the tip, always
	users   = 4
)

var fundingScript = append([]byte{0, 32}, make([]byte, 32)...)

// World is everything around the wallet.
type World struct {
	rng    *rand.Rand
	kernel *durable.Kernel
	todo   []func()

	coins     map[wire.OutPoint]chainwallet.Coin // not spent in the chain
	confirmed map[chainhash.Hash]bool
	lost      map[chainhash.Hash]bool // to a conflict in the chain
	refused   map[chainhash.Hash]bool // users were told so
	payments  uint64                  // that users asked for
	promised  map[chainhash.Hash]bool // users were told that it is on its way

	// mempool is what the network has; it outlives the process. published is what the wallet wants there.
	mempool   map[chainhash.Hash]*wire.MsgTx
	published map[chainhash.Hash]*publication
	openers   []*opener
	wrong     error
}

type publication struct {
	session uint64
	tx      *wire.MsgTx
	asked   wallet.Publish
}

// opener is one who wants a channel: what it is to be told, and whether that was heard.
type opener struct {
	address durable.Address
	orders  []any
	telling bool
}

// New draws a world.
func New(rng *rand.Rand) *World {
	w := &World{
		rng: rng, coins: map[wire.OutPoint]chainwallet.Coin{}, confirmed: map[chainhash.Hash]bool{},
		lost: map[chainhash.Hash]bool{}, refused: map[chainhash.Hash]bool{}, promised: map[chainhash.Hash]bool{},
		mempool: map[chainhash.Hash]*wire.MsgTx{},
	}
	for i := range 3 + rng.IntN(3) {
		point := wire.OutPoint{Hash: chainhash.Hash{byte(i + 1)}}
		w.coins[point] = chainwallet.Coin{
			OutPoint: point, Amount: btcutil.Amount(20_000 + rng.IntN(80_000)), Script: script(byte(i)), Height: 100,
		}
	}
	for i := range 2 + rng.IntN(4) {
		o := &opener{address: durable.Address(fmt.Sprintf("%s/%d", openerKind, i))}
		w.openers = append(w.openers, o)
		w.todo = append(w.todo, func() { w.order(o, ask{uint64(5_000 + w.rng.IntN(80_000))}) })
		for range rng.IntN(3) {
			order := []any{use{}, release{}}[rng.IntN(2)]
			w.todo = append(w.todo, func() { w.order(o, order) })
		}
	}
	for range rng.IntN(users) {
		w.todo = append(w.todo, w.pay)
	}
	for range rng.IntN(4) {
		w.todo = append(w.todo, w.mine, w.bounce)
	}
	if rng.IntN(4) == 0 {
		w.todo = append(w.todo, w.steal)
	}
	rng.Shuffle(len(w.todo), func(i, j int) { w.todo[i], w.todo[j] = w.todo[j], w.todo[i] })
	return w
}

func script(id byte) []byte { return append([]byte{0x51, 32, id}, make([]byte, 31)...) }

// usersScript is another one for each payment: two of all that there is, of which the first was refused, would else be one
// transaction.
func (w *World) usersScript() []byte {
	w.payments++
	return binary.BigEndian.AppendUint64(append([]byte{0, 20}, make([]byte, 12)...), w.payments)
}

// Register implements sim.Domain. What the process asked of the chain ends with it.
func (w *World) Register(k *durable.Kernel) error {
	w.kernel, w.published = k, map[chainhash.Hash]*publication{}
	report := func(err error) { w.fail("%w", err) }
	core := sim.Pure(wallet.Core{Params: &chaincfg.RegressionNetParams}, report)
	if err := durable.Register(k, wallet.Kind(), core); err != nil {
		return err
	}
	return durable.Register(k, durable.Kind{Name: openerKind}, sim.Pure(openers{}, report))
}

// Started implements sim.Domain: the node opens its wallet at each start, and who was not answered says it again.
func (w *World) Started() {
	w.open()
	for _, o := range w.openers {
		if o.telling {
			w.tellFirst(o)
		}
	}
}

func (w *World) open() {
	w.ask(wallet.Address, wallet.Open{}, func(_ any, err error) {
		switch {
		case errors.Is(err, durable.ErrRestarted):
			w.open()
		case err != nil:
			w.fail("the wallet does not open: %w", err)
		}
	})
}

// Ops implements sim.Domain.
func (w *World) Ops() int { return len(w.todo) }

// Do implements sim.Domain.
func (w *World) Do(i int) { w.todo[i]() }

// Victims implements sim.Domain.
func (w *World) Victims() []durable.Address { return []durable.Address{wallet.Address} }

// Poison implements sim.Domain: the wallet panics on what it does not know.
func (w *World) Poison() any { return struct{}{} }

func (w *World) order(o *opener, body any) {
	o.orders = append(o.orders, body)
	if !o.telling {
		o.telling = true
		w.tellFirst(o)
	}
}

// tellFirst tells an opener its first order until it has heard it, and then the next.
func (w *World) tellFirst(o *opener) {
	w.ask(o.address, o.orders[0], func(_ any, err error) {
		switch {
		case errors.Is(err, durable.ErrRestarted):
			w.tellFirst(o)
			return
		case err != nil:
			w.fail("%s is answered %w", o.address, err)
		}
		if o.orders = o.orders[1:]; len(o.orders) == 0 {
			o.telling = false
			return
		}
		w.tellFirst(o)
	})
}

// pay lets a user pay. Without an answer it is not asked again: nobody pays twice.
func (w *World) pay() {
	send := wallet.Send{All: w.rng.IntN(4) == 0, Payment: chainwallet.Payment{
		Outputs: []*wire.TxOut{wire.NewTxOut(int64(1_000+w.rng.IntN(60_000)), w.usersScript())}, FeeRate: feeRate,
	}}
	w.ask(wallet.Address, send, func(answer any, err error) {
		var missing chainwallet.InsufficientFundsError
		var refusal wallet.RefusedError
		if failure, failed := answer.(error); failed {
			err = failure
		}
		switch {
		case err == nil:
			w.promised[answer.(chainhash.Hash)] = true
		case errors.As(err, &refusal):
			w.refused[refusal.TxID] = true
		case errors.As(err, &missing), errors.Is(err, durable.ErrRestarted), errors.Is(err, durable.ErrAbsent):
		default:
			w.fail("a payment is answered %w", err)
		}
	})
}

func (w *World) ask(who durable.Address, body any, answered func(any, error)) {
	if err := w.kernel.AskFunc(who, body, false, answered); err != nil && w.kernel.Err() == nil {
		w.fail("%s is not asked: %w", who, err)
	}
}

// Release implements durable.World.
func (w *World) Release(_ durable.Address, session uint64, e durable.Effect) {
	switch e := e.(type) {
	case wallet.Attend:
	case wallet.Look:
		w.tell(session, w.look(e))
	case wallet.Sign:
		tx := e.Packet.UnsignedTx.Copy()
		for _, in := range tx.TxIn {
			in.Witness = wire.TxWitness{make([]byte, 64)}
		}
		if w.rng.IntN(10) == 0 {
			w.tell(session, wallet.SignedTx{Sign: e, Err: chainwallet.InsufficientFundsError{}})
			return
		}
		w.tell(session, wallet.SignedTx{Sign: e, Tx: tx})
	case wallet.Publish:
		w.publish(session, e)
	case wallet.Unpublish:
		delete(w.published, e.TxID)
		delete(w.mempool, e.TxID)
	default:
		w.fail("the wallet releases an unknown %T", e)
	}
}

// Ended implements durable.World.
func (w *World) Ended(durable.Address, uint64) {}

// look shows the coins; of those that the network knows to be spent only some are known to be so.
func (w *World) look(l wallet.Look) wallet.Looked {
	answer := wallet.Looked{Look: l, Tip: height, ChangeScript: script(100 + byte(l.Change.Index))}
	for _, point := range w.points() {
		if !w.spentInMempool(point) || w.rng.IntN(2) == 0 {
			answer.Coins = append(answer.Coins, w.coins[point])
		}
	}
	return answer
}

func (w *World) publish(session uint64, p wallet.Publish) {
	txid := p.Tx.TxHash()
	w.published[txid] = &publication{session, p.Tx, p}
	switch {
	case w.confirmed[txid] || w.lost[txid]:
		w.tell(session, wallet.Settled{TxID: txid})
	case w.refused[txid]:
		w.fail("%s is published after its user was told that it is refused", txid)
	case w.mempool[txid] != nil:
		w.answer(session, p, backend.AlreadyKnown)
	case w.rng.IntN(6) == 0:
		w.answer(session, p, backend.FeeTooLow)
	case w.rng.IntN(6) == 0: // the backend is away; it is published when it is back
		w.mempool[txid] = p.Tx
	default:
		for _, other := range w.inMempool() {
			if other != txid && conflict(w.mempool[other], p.Tx) {
				w.fail("%s and %s spend the same", other, txid)
			}
		}
		w.mempool[txid] = p.Tx
		w.answer(session, p, backend.Accepted)
	}
}

func (w *World) answer(session uint64, p wallet.Publish, status backend.PublishStatus) {
	w.tell(session, wallet.Answered{
		TxID: p.Tx.TxHash(), Result: backend.PublishResult{Status: status}, Asker: p.Asker,
	})
}

// mine confirms a transaction of the mempool.
func (w *World) mine() {
	if all := w.inMempool(); len(all) > 0 {
		w.confirm(all[w.rng.IntN(len(all))])
	}
}

func (w *World) confirm(txid chainhash.Hash) {
	w.confirmed[txid] = true
	tx := w.mempool[txid]
	for _, in := range tx.TxIn {
		w.spend(in.PreviousOutPoint)
	}
}

// bounce lets the network drop a transaction that it had, and refuse it.
func (w *World) bounce() {
	if all := w.sorted(); len(all) > 0 {
		p := all[w.rng.IntN(len(all))]
		if txid := p.tx.TxHash(); !w.confirmed[txid] {
			delete(w.mempool, txid)
			w.answer(p.session, p.asked, backend.FeeTooLow)
		}
	}
}

// steal lets somebody else who has the seed spend a coin.
func (w *World) steal() {
	if points := w.points(); len(points) > 0 {
		w.spend(points[w.rng.IntN(len(points))])
	}
}

// spend takes a coin out of the chain: whoever else spends it has lost.
func (w *World) spend(point wire.OutPoint) {
	delete(w.coins, point)
	for _, txid := range w.inMempool() {
		if spends(w.mempool[txid], point) {
			w.lost[txid] = !w.confirmed[txid]
			delete(w.mempool, txid)
		}
	}
	for _, p := range w.sorted() {
		if spends(p.tx, point) {
			w.lost[p.tx.TxHash()] = !w.confirmed[p.tx.TxHash()]
			w.tell(p.session, wallet.Settled{TxID: p.tx.TxHash()})
		}
	}
}

// tell reports to an incarnation. One that has ended hears nothing more.
func (w *World) tell(session uint64, fact any) {
	err := w.kernel.Tell(wallet.Address, session, fact)
	if err != nil && !errors.Is(err, durable.ErrRestarted) && w.kernel.Err() == nil {
		w.fail("the wallet is not told: %w", err)
	}
}

// Observe implements sim.Domain.
func (w *World) Observe(addr durable.Address, snapshot proto.Message) {
	if addr != wallet.Address {
		if answers := snapshot.(*Opener).GetAnswers(); answers > 1 {
			w.fail("%s has %d answers", addr, answers)
		}
		return
	}
	held := map[wire.OutPoint]bool{}
	for _, sp := range snapshot.(*walletpb.Wallet).GetSpends() {
		for _, in := range sp.GetInputs() {
			point := wire.OutPoint{Hash: chainhash.Hash(in.GetTxid()), Index: in.GetIndex()}
			if held[point] {
				w.fail("coin %s is promised twice", point)
			}
			held[point] = true
		}
	}
}

// Err implements sim.Domain.
func (w *World) Err() error { return w.wrong }

func (w *World) fail(format string, args ...any) {
	if w.wrong == nil {
		w.wrong = fmt.Errorf(format, args...)
	}
}

func (w *World) points() []wire.OutPoint {
	var all []wire.OutPoint
	for point := range w.coins {
		all = append(all, point)
	}
	slices.SortFunc(all, func(a, b wire.OutPoint) int { return slices.Compare(a.Hash[:], b.Hash[:]) })
	return all
}

func (w *World) inMempool() []chainhash.Hash {
	var all []chainhash.Hash
	for txid := range w.mempool {
		all = append(all, txid)
	}
	slices.SortFunc(all, func(a, b chainhash.Hash) int { return slices.Compare(a[:], b[:]) })
	return all
}

func (w *World) sorted() []*publication {
	var all []*publication
	for _, p := range w.published {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *publication) int {
		x, y := a.tx.TxHash(), b.tx.TxHash()
		return slices.Compare(x[:], y[:])
	})
	return all
}

func (w *World) spentInMempool(point wire.OutPoint) bool {
	return slices.ContainsFunc(w.inMempool(), func(txid chainhash.Hash) bool { return spends(w.mempool[txid], point) })
}

func spends(tx *wire.MsgTx, point wire.OutPoint) bool {
	return slices.ContainsFunc(tx.TxIn, func(in *wire.TxIn) bool { return in.PreviousOutPoint == point })
}

func conflict(a, b *wire.MsgTx) bool {
	return slices.ContainsFunc(a.TxIn, func(in *wire.TxIn) bool { return spends(b, in.PreviousOutPoint) })
}
