package channels

import (
	"bytes"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/actors/monitor"
	"stormcell/chain/bolt3"
	"stormcell/chain/fees"
	channelpb "stormcell/messages/channel"
	monitorpb "stormcell/messages/monitor"
	"stormcell/messages/record"
	"stormcell/persistence"
	"stormcell/tests/sim"
)

const (
	local  = channelpb.Side_LOCAL
	remote = channelpb.Side_REMOTE
)

// books are what is known of one node's end of the channel.
type books struct {
	attempt int
	seen    *channelpb.Snapshot // at the last audit
	held    *monitorpb.Snapshot
	txids   map[uint64]chainhash.Hash // of the node's own commitments, by number
}

// selfOnly is all that a monitor asks of its Env.
type selfOnly struct {
	durable.Env
	self durable.Address
}

func (e selfOnly) Self() durable.Address { return e.self }

func decodeAll(letters []persistence.Letter) ([]proto.Message, error) {
	out := make([]proto.Message, len(letters))
	for i, l := range letters {
		var err error
		if out[i], err = record.Decode(l.Body); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// holdings is what the node's monitor holds, with all that is in its inbox.
func (n *node) holdings() (*monitorpb.Snapshot, error) {
	addr := channel.MonitorOf(n.channel())
	m, waiting, err := n.stored(addr)
	if err != nil {
		return nil, err
	}
	s, err := n.monitor.Recover(addr, m)
	if err != nil {
		return nil, err
	}
	env := selfOnly{self: addr}
	for _, body := range waiting {
		out := n.monitor.Decide(s, durable.Message{Body: body}, env)
		for _, ev := range append(out.Events, out.Stage...) {
			n.monitor.Apply(s, ev)
		}
	}
	reply := n.monitor.Decide(s, durable.Message{Body: monitor.Holdings{}}, env).Release[0].(durable.Reply)
	return reply.Body.(*monitorpb.Snapshot), nil
}

// audit holds the monitor against the channel: it is never behind what the channel has promised.
func (b *books) audit(n *node) error {
	if b.attempt != n.attempt || b.txids == nil {
		*b = books{attempt: n.attempt, txids: map[uint64]chainhash.Hash{}}
	}
	m, _, err := n.stored(n.channel())
	s, ok := m.(*channelpb.Snapshot)
	if err != nil || !ok || s.GetCommitments() == nil || proto.Equal(s, b.seen) {
		return err
	}
	b.seen = s
	if b.held, err = n.holdings(); err != nil || b.held.GetFinished() {
		return err
	}
	if err := compare(s.GetCommitments(), b.held); err != nil {
		return fmt.Errorf("the monitor differs from the channel: %w", err)
	}
	for by, told := range map[channelpb.Side][]*channelpb.SignedCommitment{
		local: {b.held.GetLocal()}, remote: {b.held.GetRemote(), b.held.GetNext()},
	} {
		for _, told := range told {
			if err := sound(b.held.GetContract(), by, told); err != nil {
				return fmt.Errorf("%s commitment %d: %w", by, told.GetNumber(), err)
			}
		}
	}
	if err := n.preimagesAreSafe(s.GetCommitments(), b.held); err != nil {
		return err
	}
	return b.note()
}

// note remembers our present commitment, to know it when the peer has revoked knowledge of it.
func (b *books) note() error {
	number := b.held.GetLocal().GetNumber()
	if _, known := b.txids[number]; known && number > 0 {
		return nil
	}
	built, err := rebuild(b.held.GetContract(), channel.Local, b.held.GetLocal())
	if err == nil {
		b.txids[number] = built.TxID
	}
	return err
}

func rebuild(contract *channelpb.Contract, owner channel.Side, told *channelpb.SignedCommitment) (*bolt3.Commitment, error) {
	point, err := btcec.ParsePubKey(told.GetPoint())
	if err != nil {
		return nil, err
	}
	built, err := channel.Rebuild(contract, owner, told, point)
	if err != nil {
		return nil, err
	}
	return built[0], nil
}

// compare works out anew from the channel's state what is on its commitments.
func compare(c *channelpb.Commitments, held *monitorpb.Snapshot) error {
	signed := held.GetRemote()
	if c.GetAwaiting() {
		signed = held.GetNext()
	}
	switch {
	case held.GetLocal().GetNumber() != c.GetLocalNumber():
		return fmt.Errorf("our commitment %d, %d", held.GetLocal().GetNumber(), c.GetLocalNumber())
	case held.GetRemote().GetNumber() != c.GetRemoteNumber(), !bytes.Equal(held.GetRemote().GetPoint(), c.GetRemotePoint()):
		return fmt.Errorf("the peer's commitment %d, %d", held.GetRemote().GetNumber(), c.GetRemoteNumber())
	case held.GetRevoked() != c.GetRemoteNumber():
		return fmt.Errorf("%d revoked, %d", held.GetRevoked(), c.GetRemoteNumber())
	case c.GetAwaiting() != (held.GetNext() != nil):
		return fmt.Errorf("a next commitment: %t", held.GetNext() != nil)
	case c.GetAwaiting() && (signed.GetNumber() != c.GetRemoteNumber()+1 || !bytes.Equal(signed.GetPoint(), c.GetRemoteNextPoint())):
		return fmt.Errorf("the peer's next commitment %d, %d", signed.GetNumber(), c.GetRemoteNumber()+1)
	case !bytes.Equal(held.GetLocal().GetActive()[0].GetSignature(), c.GetActive()[0].GetSignature()):
		return fmt.Errorf("the signature of our commitment %d", c.GetLocalNumber())
	}
	for owner, told := range map[channelpb.Side]*channelpb.SignedCommitment{local: held.GetLocal(), remote: signed} {
		want, balance := on(c, owner)
		got := map[[2]uint64]bool{}
		for _, h := range told.GetHtlcs() {
			got[[2]uint64{uint64(h.GetBy()), h.GetId()}] = true
		}
		if fmt.Sprint(want) != fmt.Sprint(got) {
			return fmt.Errorf("%s commitment %d has HTLCs %v, %v", owner, told.GetNumber(), got, want)
		}
		if a := told.GetActive()[0]; balance[local] != a.GetLocalMsat() || balance[remote] != a.GetRemoteMsat() {
			return fmt.Errorf("%s commitment %d has balances %d and %d msat, %v", owner, told.GetNumber(), a.GetLocalMsat(),
				a.GetRemoteMsat(), balance)
		}
	}
	return nil
}

// on gives the HTLCs, by side and id, and the balances (msat) of the owner's last signed commitment: an update is there once
// it is signed if the other side proposed it, and once it has come back if the owner did (BOLT 2, "Normal Operation").
func on(c *channelpb.Commitments, owner channelpb.Side) (map[[2]uint64]bool, [2]uint64) {
	from := func(proposer channelpb.Side) channelpb.Progress {
		if proposer == owner {
			return channelpb.Progress_RETURNED
		}
		return channelpb.Progress_SIGNED
	}
	there, balance := map[[2]uint64]bool{}, [2]uint64{c.GetActive()[0].GetLocalMsat(), c.GetActive()[0].GetRemoteMsat()}
	for _, h := range c.GetHtlcs() {
		by, other := h.GetBy(), 1-h.GetBy()
		if h.GetAdd() < from(by) {
			continue
		}
		removed := h.GetRemoval() != nil && h.GetRemoval().GetProgress() >= from(other)
		if !removed {
			there[[2]uint64{uint64(by), h.GetId()}] = true
			balance[by] -= h.GetAmountMsat()
		} else if len(h.GetRemoval().GetPreimage()) > 0 {
			balance[by] -= h.GetAmountMsat()
			balance[other] += h.GetAmountMsat()
		}
	}
	return there, balance
}

// sound checks that money is neither made nor lost on a commitment, and that each side has its reserve.
func sound(contract *channelpb.Contract, owner channelpb.Side, told *channelpb.SignedCommitment) error {
	if told == nil {
		return nil
	}
	a, terms := told.GetActive()[0], [2]*channelpb.Terms{contract.GetLocal(), contract.GetRemote()}
	sum, untrimmed := a.GetLocalMsat()+a.GetRemoteMsat(), 0
	for _, h := range told.GetHtlcs() {
		sum += h.GetAmountMsat()
		if h.GetAmountMsat()/1000 >= terms[owner].GetDustLimitSat() {
			untrimmed++
		}
	}
	if sum != capacity*1000 {
		return fmt.Errorf("it comes to %d msat", sum)
	}
	opener := remote
	if contract.GetOpener() {
		opener = local
	}
	for side, balance := range map[channelpb.Side]uint64{local: a.GetLocalMsat(), remote: a.GetRemoteMsat()} {
		keep := btcutil.Amount(terms[1-side].GetReserveSat())
		if side == opener {
			keep += bolt3.BaseFee(fees.SatPerKW(told.GetSatPerKw()), untrimmed) + bolt3.AnchorsCost
		}
		if balance < uint64(keep)*1000 {
			return fmt.Errorf("%s has %d msat and must keep %v", side, balance, keep)
		}
	}
	return nil
}

// preimagesAreSafe: what the channel knows the monitor knows too, until whoever waits for it has it.
func (n *node) preimagesAreSafe(c *channelpb.Commitments, held *monitorpb.Snapshot) error {
	kept := map[[2]uint64]bool{}
	for _, p := range held.GetPreimages() {
		kept[[2]uint64{uint64(p.GetBy()), p.GetId()}] = true
	}
	for _, h := range c.GetHtlcs() {
		there := kept[[2]uint64{uint64(h.GetBy()), h.GetId()}]
		switch {
		case h.GetBy() == remote && len(h.GetRemoval().GetPreimage()) > 0 && !there:
			return fmt.Errorf("the monitor lacks the preimage of the peer's HTLC %d", h.GetId())
		case h.GetBy() == local && len(h.GetPreimage()) > 0 && !there:
			p, _, err := n.stored(durable.Address(h.GetOrigin()))
			if err != nil {
				return err
			}
			if len(p.(*PayerState).GetOutcomes()) == 0 {
				return fmt.Errorf("the preimage of HTLC %d is with neither monitor nor payer", h.GetId())
			}
		}
	}
	return nil
}

// closingPays checks what a closing transaction that both signed pays: one side bears the whole fee.
func closingPays(tx *btcwire.MsgTx, c *channelpb.Commitments, legacy bool) error {
	balance := [2]int64{int64(c.GetActive()[0].GetLocalMsat() / 1000), int64(c.GetActive()[0].GetRemoteMsat() / 1000)}
	var paid [2]int64
	for _, out := range tx.TxOut {
		for i := range paid {
			if bytes.Equal(out.PkScript, sim.CloseScript(i)) {
				paid[i] = out.Value
			}
		}
	}
	if len(tx.TxOut) > 2 || paid[0]+paid[1] == 0 {
		return fmt.Errorf("the closing transaction pays %v", tx.TxOut)
	}
	for payer := range paid {
		if payer == 1 && legacy {
			continue
		}
		other := 1 - payer
		if paid[other] == balance[other] && paid[payer] < balance[payer] && paid[payer] > balance[payer]-5_000 {
			return nil
		}
	}
	return fmt.Errorf("the closing transaction pays %v of %v", paid, balance)
}
