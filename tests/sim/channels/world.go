// Package channels is a domain to simulate: two channel actors that are each other's peer open a channel over wires that
// break, and people pay each other through it, while the process crashes.
package channels

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	btcwire "github.com/btcsuite/btcd/wire"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/chain/keys"
	channelpb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

const ops = 14

// Channels implements sim.Domain.
type Channels struct {
	rng    *rand.Rand
	kernel *durable.Kernel
	cores  [2]*channel.Core // of the opener and of the responder

	attempt int // to open the channel; each has addresses of its own
	link    uint64
	phases  map[durable.Address]channelpb.Phase
	funding map[durable.Address]*btcwire.MsgTx
	wrong   error
}

// New gives the domain before its first life.
func New(rng *rand.Rand) *Channels {
	c := &Channels{rng: rng, phases: map[durable.Address]channelpb.Phase{}, funding: map[durable.Address]*btcwire.MsgTx{}}
	for i := range c.cores {
		secret := sha256.Sum256([]byte{byte(i)})
		master, err := hdkeychain.NewMaster(secret[:], &chaincfg.RegressionNetParams)
		if err != nil {
			panic(err)
		}
		signer, err := keys.NewLocalSigner(master, 1, keys.Sequential)
		if err != nil {
			panic(err)
		}
		c.cores[i] = &channel.Core{Signer: signer, Policy: channel.DefaultPolicy(),
			Resolver: func(*channelpb.IncomingHTLC) durable.Address { return "payee/main" }}
	}
	return c
}

// end is the address of one end of the channel; the two ends are kinds of their own, since they have different keys.
func (c *Channels) end(i int) durable.Address {
	return durable.Address(fmt.Sprintf("%s/%d", []string{"opener", "responder"}[i], c.attempt))
}

// Register implements sim.Domain.
func (c *Channels) Register(k *durable.Kernel) error {
	c.kernel = k
	for i, name := range []string{"opener", "responder"} {
		kind := channel.Kind()
		kind.Name, kind.SnapshotEvery = name, 8
		if err := durable.Register(k, kind, c.cores[i]); err != nil {
			return err
		}
	}
	if err := durable.Register(k, durable.Kind{Name: "payer"}, payers{}); err != nil {
		return err
	}
	for _, name := range []string{"payee", "wallet", "monitor"} {
		if err := durable.Register(k, durable.Kind{Name: name}, helpers{}); err != nil {
			return err
		}
	}
	return nil
}

// Started implements sim.Domain.
func (c *Channels) Started() { c.connect() }

// connect makes a new connection between the two ends, and begins the channel if there is none.
func (c *Channels) connect() {
	c.link++
	for i := range c.cores {
		c.tell(c.end(i), channel.Connected{Link: c.link})
	}
	open := channel.Open{
		Peer: c.nodeID(1), Link: c.link, TemporaryID: [32]byte{byte(c.attempt)}, KeyIndex: uint32(c.attempt),
		Funder: "wallet/main", Capacity: 1_000_000, Push: 300_000_000, FeeRate: 1_000, FundingFeeRate: 1_000,
	}
	c.tell(c.end(0), open)
}

func (c *Channels) nodeID(i int) (id [33]byte) {
	copy(id[:], c.cores[i].Signer.NodeKey().SerializeCompressed())
	return id
}

// tell sends what may be lost.
func (c *Channels) tell(to durable.Address, body any) { _ = c.kernel.Tell(to, 0, body) }

// Ops implements sim.Domain.
func (c *Channels) Ops() int { return ops }

// Do implements sim.Domain.
func (c *Channels) Do(i int) {
	if c.rng.IntN(6) == 0 {
		c.connect()
		return
	}
	payer := durable.Address(fmt.Sprintf("payer/%d", i))
	c.tell(payer, pay{amount: uint64(1 + c.rng.IntN(20_000_000)), channel: c.end(c.rng.IntN(2))})
}

// Victims implements sim.Domain.
func (c *Channels) Victims() []durable.Address { return []durable.Address{c.end(0), c.end(1)} }

// Poison implements sim.Domain: no message at all is more than a channel can bear.
func (c *Channels) Poison() any { return channel.Received{Link: c.link} }

// Release implements durable.World.
func (c *Channels) Release(from durable.Address, _ uint64, e durable.Effect) {
	i := slices.Index([]durable.Address{c.end(0), c.end(1)}, from)
	if i < 0 {
		return // of an attempt that has been given up
	}
	switch e := e.(type) {
	case channel.SendWire:
		c.carry(i, e)
	case channel.Hangup:
		c.fail("%s hangs up: %v", from, e.Reason)
	case channel.Publish:
		c.funding[c.end(0)] = e.Tx
		c.confirm()
	case channel.WatchFunding:
		c.confirm()
	case durable.Refused: // a repeated Open
	default:
		c.fail("%s releases an unknown %T", from, e)
	}
}

// carry brings a message to the other side, if that connection is still there.
func (c *Channels) carry(from int, e channel.SendWire) {
	if e.Link != c.link {
		return
	}
	switch m := e.Message.(type) {
	case *wire.Error, *wire.Warning:
		c.fail("%s sends %+v", c.end(from), m)
	case *wire.OpenChannel:
		c.tell(c.end(1-from), channel.Incoming{Peer: c.nodeID(from), Link: c.link, KeyIndex: uint32(c.attempt), Message: m})
	default:
		c.tell(c.end(1-from), channel.Received{Link: c.link, Message: m})
	}
}

// confirm tells both ends that the funding transaction is deep enough, if it was broadcast.
func (c *Channels) confirm() {
	if tx := c.funding[c.end(0)]; tx != nil {
		for i := range c.cores {
			c.tell(c.end(i), channel.FundingConfirmed{Tx: tx, Height: 100, TxIndex: 1})
		}
	}
}

// Ended implements durable.World: the connection goes with the incarnation.
func (c *Channels) Ended(addr durable.Address, _ uint64) {
	if (addr == c.end(0) || addr == c.end(1)) && c.phases[addr] != channelpb.Phase_ABANDONED {
		for i := range c.cores {
			c.tell(c.end(i), channel.Disconnected{Link: c.link})
		}
		c.connect()
	}
}

// Observe implements sim.Domain: an opening that was abandoned is tried again, under a new address.
func (c *Channels) Observe(addr durable.Address, snapshot proto.Message) {
	s, ok := snapshot.(*channelpb.Snapshot)
	if !ok {
		return
	}
	c.phases[addr] = s.GetPhase()
	if addr == c.end(0) && s.GetPhase() == channelpb.Phase_ABANDONED {
		c.attempt++
		c.connect()
	}
	if s.GetPhase() == channelpb.Phase_CLOSING {
		c.fail("%s closes: %s", addr, s.GetClosing().GetReason())
	}
}

func (c *Channels) fail(format string, args ...any) {
	if c.wrong == nil {
		c.wrong = fmt.Errorf(format, args...)
	}
}

// Err implements sim.Domain.
func (c *Channels) Err() error { return c.wrong }

// Quiet implements sim.Domain: every payment has one outcome, and both ends agree on every msat.
func (c *Channels) Quiet(read func(durable.Address) (proto.Message, error)) error {
	var ends [2]*channelpb.Commitments
	for i := range ends {
		m, err := read(c.end(i))
		if err != nil {
			return err
		}
		s, ok := m.(*channelpb.Snapshot)
		if !ok || s.GetPhase() != channelpb.Phase_NORMAL {
			return fmt.Errorf("%s is not open in the end: %v", c.end(i), s.GetPhase())
		}
		if ends[i] = s.GetCommitments(); len(ends[i].GetHtlcs()) > 0 || ends[i].GetAwaiting() {
			return fmt.Errorf("%s is not at rest: %v", c.end(i), s)
		}
	}
	sent, err := c.settled(read)
	if err != nil {
		return err
	}
	for i, e := range ends {
		other := ends[1-i]
		if e.GetActive()[0].GetLocalMsat() != other.GetActive()[0].GetRemoteMsat() || e.GetLocalNumber() != other.GetRemoteNumber() {
			return fmt.Errorf("the ends do not agree: %v and %v", e, other)
		}
		if e.GetSentMsat() != sent[i] || other.GetReceivedMsat() != sent[i] {
			return fmt.Errorf("%s sent %d msat, its payers paid %d", c.end(i), e.GetSentMsat(), sent[i])
		}
	}
	return nil
}

// settled sums up what was paid through the ends of the channel that there is in the end.
func (c *Channels) settled(read func(durable.Address) (proto.Message, error)) (sent [2]uint64, err error) {
	for n := range ops {
		m, err := read(durable.Address(fmt.Sprintf("payer/%d", n)))
		if err != nil {
			return sent, err
		}
		p, ok := m.(*PayerState)
		if !ok {
			continue // it was never asked, or the crash took that
		}
		if len(p.GetOutcomes()) != 1 {
			return sent, fmt.Errorf("payer %d has outcomes %q", n, p.GetOutcomes())
		}
		for i := range sent {
			if p.GetOutcomes()[0] == "settled" && p.GetChannel() == string(c.end(i)) {
				sent[i] += p.GetAmount()
			}
		}
	}
	return sent, nil
}
