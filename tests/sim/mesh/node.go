package mesh

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"

	"github.com/btcsuite/btcd/chaincfg"
	btcwire "github.com/btcsuite/btcd/wire"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/actors/invoice"
	"stormcell/actors/monitor"
	"stormcell/actors/payment"
	"stormcell/actors/registry"
	"stormcell/actors/router"
	"stormcell/chain/keys"
	channelpb "stormcell/messages/channel"
	invoicepb "stormcell/messages/invoice"
	"stormcell/tests/sim"
)

// wallet provides funding transactions.
const wallet durable.Address = "wallet/main"

// node is one of them: a sim.Process.
type node struct {
	*Mesh
	i       int
	signer  keys.Signer
	kernel  *durable.Kernel
	phases  map[durable.Address]channelpb.Phase
	numbers uint64 // of payments
	read    reader // once all is at rest
}

func newNode(w *Mesh, i int) *node {
	return &node{Mesh: w, i: i, signer: sim.Signer(i), phases: map[durable.Address]channelpb.Phase{}}
}

func (n *node) id() [33]byte { return [33]byte(n.signer.NodeKey().SerializeCompressed()) }

// Register implements sim.Process.
func (n *node) Register(k *durable.Kernel) error {
	n.kernel = k
	clear(n.phases)
	channels := channel.Kind()
	channels.SnapshotEvery = 8
	policy := invoice.DefaultPolicy()
	policy.Keysend = true
	return errors.Join(
		durable.Register(k, channels, &channel.Core{
			Signer: n.signer, Policy: channel.DefaultPolicy(), Registry: registry.Address,
			Resolver: func(in *channelpb.IncomingHTLC) durable.Address {
				return invoice.Address([32]byte(in.GetPaymentHash()))
			},
		}),
		durable.Register(k, monitor.Kind(), &monitor.Core{Signer: n.signer}),
		durable.Register(k, registry.Kind(), registry.Core{Limits: registry.DefaultLimits()}),
		durable.Register(k, invoice.Kind(), invoice.Core{
			Network: &chaincfg.RegressionNetParams, ECDH: n.signer.ECDH, SignInvoice: n.signer.SignInvoice,
			Height: func() uint32 { return height }, Policy: policy,
		}),
		durable.Register(k, payment.Kind(), payment.Core{}),
		durable.Register(k, payment.ShardKind(), payment.ShardCore{}),
		durable.Register(k, durable.Kind{Name: wallet.Kind()}, wallets{}),
	)
}

// Started implements sim.Process.
func (n *node) Started() {
	for _, l := range n.lanes {
		if slices.Contains(l.ends[:], n) && l.other(n).kernel != nil {
			l.connect()
		}
	}
	for _, d := range n.deals {
		for _, q := range slices.Clone(d.waits) {
			if q.at == n {
				n.askAgain(d, q)
			}
		}
	}
}

// tell sends what may be lost.
func (n *node) tell(to durable.Address, body any) { _ = n.kernel.Tell(to, 0, body) }

// Victims implements sim.Process.
func (n *node) Victims() []durable.Address { return []durable.Address{channelAt(n.first().slots[0])} }

// Poison implements sim.Process: no message at all is more than a channel can bear.
func (n *node) Poison() any { return channel.Received{Link: n.first().link} }

// first is the first lane of the node.
func (n *node) first() *lane {
	return n.lanes[slices.IndexFunc(n.lanes, func(l *lane) bool { return slices.Contains(l.ends[:], n) })]
}

// Release implements durable.World.
func (n *node) Release(from durable.Address, session uint64, e durable.Effect) {
	switch e := e.(type) {
	case channel.SendWire:
		if l, _ := n.laneOf(from); l != nil {
			l.carry(n, from, e)
		}
	case channel.Hangup:
		l, _ := n.laneOf(from)
		switch {
		case l == nil:
		case !errors.Is(e.Reason, channel.ErrNotRevoked):
			n.fail("node %d hangs up: %v", n.i, e.Reason)
		case e.Link == l.link: // the clock may leap before messages arrive
			l.connect()
		}
	case channel.Publish:
		// The accepter only publishes what closes a channel that was never funded.
		if l, _ := n.laneOf(from); l != nil && n == l.ends[0] {
			n.funding[from] = e.Tx
			n.confirm(from)
			l.other(n).confirm(from)
		}
	case channel.WatchFunding:
		n.confirm(from)
	case payment.FindRoutes:
		n.find(from, session, e)
	case payment.Gather:
		n.gather(from, session, e)
	case invoice.Holding:
		if e.On {
			_ = n.kernel.Tell(from, session, invoice.Height{Height: height})
		}
	case payment.Changed, invoice.Changed, channel.Changed, durable.Refused:
	default:
		n.fail("node %d: %s releases an unknown %T", n.i, from, e)
	}
}

// confirm tells a channel that its funding is deep enough, if it was published.
func (n *node) confirm(addr durable.Address) {
	if tx := n.funding[addr]; tx != nil {
		n.tell(addr, channel.FundingConfirmed{Tx: tx, Height: height - 100, TxIndex: 1})
	}
}

// find asks the channels with the payee what they can take, and the router.
func (n *node) find(from durable.Address, session uint64, e payment.FindRoutes) {
	var l *lane
	for _, peer := range n.nodes {
		if peer.id() == e.Query.Payee {
			l = n.between(n, peer)
		}
	}
	var open []router.Channel
	left := len(l.slots)
	answered := func(index uint32, figures any) {
		b, _ := figures.(channel.Balances)
		if n.rng.IntN(4) == 0 {
			b.Room.Emptied = 0 // it has just settled, say: so nobody waits for ever
		}
		if max(b.Room.Sendable, b.Room.Emptied) > 0 {
			open = append(open, router.Channel{
				Address: channelAt(index), Peer: e.Query.Payee, Scid: uint64(index), Minimum: 1,
				Sendable: b.Room.Sendable, HTLCs: b.Room.HTLCs, PerHTLC: b.Room.PerHTLC, Emptied: b.Room.Emptied,
			})
		}
		if left--; left == 0 {
			routes, err := router.Find(e.Query, open, height)
			_ = n.kernel.Tell(from, session, payment.Found{Round: e.Round, Routes: routes, Err: err})
		}
	}
	for _, index := range slices.Clone(l.slots) {
		err := n.kernel.AskFunc(channelAt(index), channel.Figures{}, false, func(body any, _ error) { answered(index, body) })
		if err != nil {
			answered(index, nil)
		}
	}
}

// gather asks shards whether they live.
func (n *node) gather(from durable.Address, session uint64, e payment.Gather) {
	left := len(e.Shards)
	for _, shard := range e.Shards {
		answered := func(any, error) {
			if left--; left == 0 {
				_ = n.kernel.Tell(from, session, payment.Found{Round: e.Round})
			}
		}
		if err := n.kernel.AskFunc(shard, payment.IsLive{}, false, answered); err != nil {
			answered(nil, err)
		}
	}
}

// Ended implements durable.World: the connection goes with a channel's incarnation.
func (n *node) Ended(addr durable.Address, _ uint64) {
	phase := n.phases[addr]
	if l, _ := n.laneOf(addr); l != nil && phase != channelpb.Phase_ABANDONED && phase != channelpb.Phase_NOWHERE {
		l.connect()
	}
}

// Observe implements sim.Process: a channel whose opening was abandoned is replaced.
func (n *node) Observe(addr durable.Address, snapshot proto.Message) {
	if made, ok := snapshot.(*invoicepb.Invoice); ok {
		n.tellSecret(made)
	}
	s, ok := snapshot.(*channelpb.Snapshot)
	if !ok {
		return
	}
	before := n.phases[addr]
	n.phases[addr] = s.GetPhase()
	switch s.GetPhase() {
	case channelpb.Phase_ABANDONED:
		if l, slot := n.laneOf(addr); l != nil && n == l.ends[0] && before != channelpb.Phase_ABANDONED {
			l.replace(l.slots[slot])
		}
	case channelpb.Phase_CLOSING:
		if n.funding[addr] != nil { // else the opener gave up the opening
			n.fail("node %d closes %s: %s", n.i, addr, s.GetClosing().GetReason())
		}
	}
}

// tellSecret lets the payer know the secret of an invoice.
func (n *node) tellSecret(made *invoicepb.Invoice) {
	for _, d := range n.deals {
		if bytes.Equal(made.GetPaymentHash(), d.hash[:]) {
			d.secret = made.GetPaymentSecret()
		}
	}
}

// Quiet implements sim.Process: when the last node is at rest too, all nodes' books are held together.
func (n *node) Quiet(read reader) error {
	n.read = read
	if n.i < len(n.nodes)-1 {
		return nil
	}
	return n.balance()
}

// wallets is the core of a wallet that pays for every channel.
type wallets struct{}

func (wallets) Recover(durable.Address, proto.Message) (*struct{}, error) { return &struct{}{}, nil }
func (wallets) Apply(*struct{}, proto.Message)                            {}
func (wallets) Resume(*struct{}, durable.Env) durable.Outcome             { return durable.Outcome{} }
func (wallets) Snapshot(*struct{}) proto.Message                          { return &channelpb.FundingUsed{} }

func (wallets) Decide(_ *struct{}, m durable.Message, _ durable.Env) durable.Outcome {
	want, ok := m.Body.(*channelpb.FundingWanted)
	if !ok {
		return durable.Outcome{}
	}
	tx := btcwire.NewMsgTx(2)
	coin := sha256.Sum256([]byte(m.From))
	tx.AddTxIn(&btcwire.TxIn{PreviousOutPoint: btcwire.OutPoint{Hash: coin}, Witness: btcwire.TxWitness{{1}}})
	tx.AddTxOut(btcwire.NewTxOut(int64(want.GetAmountSat()), want.GetPkScript()))
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		panic(err)
	}
	return durable.Outcome{Send: []durable.Envelope{{To: m.From, Body: &channelpb.FundingReady{Tx: raw.Bytes()}}}}
}
