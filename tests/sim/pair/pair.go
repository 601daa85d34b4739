// Package pair is a domain to simulate: two nodes, a process each, with several channels between them, pay each other's
// invoices in one part or in many, while connections break and either process crashes.
package pair

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	btcwire "github.com/btcsuite/btcd/wire"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/actors/invoice"
	"stormcell/actors/payment"
	channelpb "stormcell/messages/channel"
	invoicepb "stormcell/messages/invoice"
	pb "stormcell/messages/payment"
	"stormcell/peer/wire"
	"stormcell/tests/sim"
)

const (
	capacity = 100_000 // sat, of each channel
	height   = 1_000   // of the chain, which stands still
)

// Pair implements sim.Domain and sim.Several.
type Pair struct {
	rng   *rand.Rand
	nodes [2]*node

	slots     []uint32 // key index of the channel that is open, or being opened, in each slot
	used      uint32   // key indexes given out
	link      uint64
	connected bool
	funding   map[durable.Address]*btcwire.MsgTx
	deals     []*deal
	todo      []func()
	later     []func() // put off
	wrong     error
}

var (
	_ sim.Several = (*Pair)(nil)
	_ sim.Idler   = (*Pair)(nil)
)

// deal is an invoice of one node that the other pays.
type deal struct {
	payer          *node
	preimage, hash [32]byte
	asked, paid    uint64 // msat: what the invoice is over, and what the payment is over
	unknown        bool   // the payee never made the invoice
	secret         []byte // of the invoice, once it is made
	waits          []*question
}

// question is asked until it is answered.
type question struct {
	at       *node
	to       durable.Address
	body     any
	answered func(body any, err error)
}

// New draws what is paid.
func New(rng *rand.Rand) *Pair {
	p := &Pair{rng: rng, funding: map[durable.Address]*btcwire.MsgTx{}}
	for i := range p.nodes {
		p.nodes[i] = newNode(p, i)
	}
	for range 1 + rng.IntN(3) {
		p.used++
		p.slots = append(p.slots, p.used)
	}
	for n := range 2 + rng.IntN(5) {
		d := &deal{payer: p.nodes[rng.IntN(2)], asked: 1 + rng.Uint64N(50_000_000), unknown: rng.IntN(8) == 0}
		d.preimage = sha256.Sum256(fmt.Append(nil, "deal", n))
		d.hash = sha256.Sum256(d.preimage[:])
		if d.paid = d.asked; rng.IntN(8) == 0 {
			d.paid = d.asked/2 + 1
		}
		p.deals = append(p.deals, d)
		p.todo = append(p.todo, func() { p.invoice(d) })
		for range 1 + rng.IntN(2) {
			p.todo = append(p.todo, func() { p.pay(d) })
		}
	}
	for range rng.IntN(4) {
		p.todo = append(p.todo, []func(){p.connect, p.disconnect}[rng.IntN(2)])
	}
	return p
}

// Processes implements sim.Several.
func (p *Pair) Processes() []sim.Process { return []sim.Process{p.nodes[0], p.nodes[1]} }

// Ops implements sim.Domain.
func (p *Pair) Ops() int { return len(p.todo) }

// Do implements sim.Domain. What is done before the channels are open, or while the nodes do not see each other, is as a rule
// put off.
func (p *Pair) Do(i int) {
	if (p.open() && p.connected) || p.rng.IntN(20) == 0 {
		p.todo[i]()
	} else {
		p.later = append(p.later, p.todo[i])
	}
}

// open tells whether all channels are.
func (p *Pair) open() bool {
	for _, n := range p.nodes {
		for _, index := range p.slots {
			if n.phases[channelAt(index)] != channelpb.Phase_NORMAL {
				return false
			}
		}
	}
	return true
}

// Err implements sim.Domain.
func (p *Pair) Err() error { return p.wrong }

func (p *Pair) fail(format string, args ...any) {
	if p.wrong == nil {
		p.wrong = fmt.Errorf(format, args...)
	}
}

// Idle implements sim.Idler: the nodes find each other again, and do what they have put off.
func (p *Pair) Idle() bool {
	switch {
	case !p.connected, !p.open() && p.rng.IntN(20) > 0:
		p.connect()
	case len(p.later) > 0:
		some := p.later[:min(1+p.rng.IntN(4), len(p.later))]
		p.later = slices.Clone(p.later[len(some):])
		for _, do := range some {
			do()
		}
	default:
		return false
	}
	return true
}

func channelAt(index uint32) durable.Address {
	return durable.Address(fmt.Sprintf("%s/%d", channel.Name, index))
}

// connect makes a new connection, and begins the channels that are not there.
func (p *Pair) connect() {
	p.disconnect()
	p.link++
	p.connected = true
	for _, index := range p.slots {
		p.connectTo(index)
	}
}

func (p *Pair) connectTo(index uint32) {
	for _, n := range p.nodes {
		n.tell(channelAt(index), channel.Height{Height: height})
		n.tell(channelAt(index), channel.Connected{Link: p.link})
	}
	p.nodes[0].tell(channelAt(index), channel.Open{
		Peer: p.nodes[1].id(), Link: p.link, TemporaryID: [32]byte{byte(index)}, KeyIndex: index, Funder: wallet,
		Capacity: capacity, Push: capacity * 400, FeeRate: 500, FundingFeeRate: 1_000, CloseScript: closeScript(0),
	})
}

func (p *Pair) disconnect() {
	if !p.connected {
		return
	}
	p.connected = false
	for _, n := range p.nodes {
		for _, index := range p.slots {
			n.tell(channelAt(index), channel.Disconnected{Link: p.link})
		}
	}
}

// replace gives the slot of a channel that was abandoned to another one.
func (p *Pair) replace(index uint32) {
	slot := slices.Index(p.slots, index)
	if slot < 0 {
		return
	}
	p.used++
	p.slots[slot] = p.used
	if p.connected {
		p.connectTo(p.used)
	}
}

// invoice has the payee make the invoice of a deal.
func (p *Pair) invoice(d *deal) {
	if d.unknown {
		return
	}
	want := invoice.Request{Preimage: &d.preimage, Amount: wire.MilliSatoshi(d.asked), Expiry: 1_000 * 24 * time.Hour}
	d.payer.other().ask(d, invoice.Address(d.hash), invoice.Add{Request: want}, func(_ any, err error) {
		if err != nil && !errors.Is(err, invoice.ErrExists) {
			p.fail("an invoice is not made: %w", err)
		}
	})
}

// pay has the payer pay: whoever does not know the secret makes one up.
func (p *Pair) pay(d *deal) {
	secret := d.secret
	switch {
	case secret == nil && !d.unknown && p.rng.IntN(4) > 0:
		p.later = append(p.later, func() { p.pay(d) })
		return
	case secret == nil:
		secret = make([]byte, 32)
	}
	payee := d.payer.other().id()
	d.payer.numbers++
	parts := 1 + p.rng.IntN(4)
	want := payment.Pay{Hash: d.hash, Number: d.payer.numbers, Request: &pb.Request{
		Payee: &pb.Payee{Node: payee[:], Secret: secret}, AmountMsat: d.paid, MaxParts: uint32(parts),
		MaxPartMsat: 1 + d.paid/(1+p.rng.Uint64N(uint64(parts))), FinalDelta: 80, MaxDelta: 500,
		TimeoutNs: int64(24 * time.Hour),
	}}
	d.payer.ask(d, payment.AddressOf(d.hash), want, func(_ any, err error) {
		if err != nil && !errors.Is(err, payment.ErrInFlight) && !errors.Is(err, payment.ErrPaid) {
			p.fail("a payment is not begun: %w", err)
		}
	})
}

// ask asks until there is an answer.
func (n *node) ask(d *deal, to durable.Address, body any, answered func(any, error)) {
	q := &question{n, to, body, answered}
	d.waits = append(d.waits, q)
	n.askAgain(d, q)
}

func (n *node) askAgain(d *deal, q *question) {
	err := n.kernel.AskFunc(q.to, q.body, true, func(body any, err error) {
		if errors.Is(err, durable.ErrRestarted) {
			n.askAgain(d, q)
			return
		}
		d.waits = slices.DeleteFunc(d.waits, func(other *question) bool { return other == q })
		q.answered(body, err)
	})
	if err != nil && n.kernel.Err() == nil {
		n.fail("%s is not asked: %w", q.to, err)
	}
}

// balance checks that both nodes' books agree, and that everything has come to its end.
func (p *Pair) balance(read [2]reader) error {
	sent := map[string][2]uint64{} // by channel
	for _, d := range p.deals {
		if err := p.checkDeal(d, read, sent); err != nil {
			return err
		}
	}
	for _, index := range p.slots {
		if err := checkChannel(channelAt(index), read, sent[string(channelAt(index))]); err != nil {
			return err
		}
	}
	return nil
}

// checkDeal: the payer succeeded if and only if the payee settled, and every part of it did.
func (p *Pair) checkDeal(d *deal, read [2]reader, sent map[string][2]uint64) error {
	i := d.payer.i
	paid, err := load[*pb.Payment](read[i], payment.AddressOf(d.hash))
	if err != nil {
		return err
	}
	made, err := load[*invoicepb.Invoice](read[1-i], invoice.Address(d.hash))
	if err != nil {
		return err
	}
	if paid == nil {
		return nil // nobody got to it
	}
	succeeded := payment.StatusOf(paid) == pb.Status_SUCCEEDED
	settled := made.GetStatus() == invoicepb.Status_SETTLED
	switch {
	case payment.StatusOf(paid) == pb.Status_IN_FLIGHT:
		return fmt.Errorf("payment {%v} is in flight for ever; invoice {%v}", paid, made)
	case succeeded != settled:
		return fmt.Errorf("payer and payee do not agree: payment {%v}, invoice {%v}", paid, made)
	}
	var total uint64
	for _, a := range paid.GetAttempts() {
		if a.GetSettledNs() != 0 {
			amounts := sent[a.GetRoute().GetChannel()]
			amounts[i] += a.GetRoute().GetAmountMsat()
			sent[a.GetRoute().GetChannel()] = amounts
			total += a.GetRoute().GetAmountMsat()
		}
	}
	if succeeded && total != d.paid {
		return fmt.Errorf("payment {%v} of %d msat came to %d", paid, d.paid, total)
	}
	return nil
}

// checkChannel: the two ends agree, nothing is on its way, and each sent what its payments say.
func checkChannel(addr durable.Address, read [2]reader, sent [2]uint64) error {
	var ends [2]*channelpb.Commitments
	for i := range ends {
		s, err := load[*channelpb.Snapshot](read[i], addr)
		if err != nil {
			return err
		}
		if ends[i] = s.GetCommitments(); s.GetPhase() != channelpb.Phase_NORMAL || len(ends[i].GetHtlcs()) > 0 {
			return fmt.Errorf("%s is not at rest on node %d: %v", addr, i, s)
		}
		if ends[i].GetSentMsat() != sent[i] {
			return fmt.Errorf("node %d sent %d msat through %s, and its payments say %d", i, ends[i].GetSentMsat(), addr, sent[i])
		}
	}
	if ends[0].GetActive()[0].GetLocalMsat() != ends[1].GetActive()[0].GetRemoteMsat() {
		return fmt.Errorf("the ends of %s do not agree", addr)
	}
	return nil
}

// reader gives what is stored at an address.
type reader = func(durable.Address) (proto.Message, error)

func load[T proto.Message](read reader, addr durable.Address) (T, error) {
	m, err := read(addr)
	t, _ := m.(T)
	return t, err
}
