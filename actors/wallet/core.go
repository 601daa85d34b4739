package wallet

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	chainwallet "stormcell/chain/wallet"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/wallet"
)

// answerAfter is how long whoever pays waits for the network's answer to the transaction.
const answerAfter = 10 * time.Second

// Core is the logic of the wallet.
type Core struct {
	// Params are those of the network.
	Params *chaincfg.Params
}

// Kind is how the wallet is registered. Only Open creates it.
func Kind() durable.Kind {
	return durable.Kind{Name: Address.Kind(), Creates: func(body any) bool {
		_, opens := body.(Open)
		return opens
	}}
}

// Recover implements durable.Core.
func (Core) Recover(_ durable.Address, snapshot proto.Message) (*State, error) {
	if snapshot == nil {
		return recovered(nil), nil
	}
	stored, ok := snapshot.(*pb.Wallet)
	if !ok {
		return nil, fmt.Errorf("the wallet's snapshot is a %T", snapshot)
	}
	return recovered(stored), nil
}

// Apply implements durable.Core.
func (Core) Apply(s *State, event proto.Message) { s.apply(event) }

// Snapshot implements durable.Core.
func (Core) Snapshot(s *State) proto.Message { return s.snapshot() }

// turn is one step under way.
type turn struct {
	Core
	*State
	m   durable.Message
	out durable.Outcome
}

// Resume begins all drafts of channels again, and publishes what is to be.
func (c Core) Resume(s *State, _ durable.Env) durable.Outcome {
	t := &turn{Core: c, State: s}
	t.release(Attend{s.given()})
	for _, asked := range s.asked {
		t.begin(asked.GetChannel(), nil)
	}
	for _, sp := range s.spends {
		if sp.stored.GetPublished() {
			t.release(publish(sp.stored, sp.tx, durable.Asker{}))
		}
	}
	return t.out
}

// Decide implements durable.Core.
func (c Core) Decide(s *State, m durable.Message, _ durable.Env) durable.Outcome {
	t := &turn{Core: c, State: s, m: m}
	switch body := m.Body.(type) {
	case Open:
		t.open()
	case NextAddress:
		t.nextAddress(body.Branch)
	case Send:
		t.pay(body)
	case ListLeases:
		t.reply(m.Asker, s.leases())
	case Known:
		t.known(body.Next)
	case *channelpb.FundingWanted:
		t.fundingWanted(body)
	case *channelpb.FundingReleased:
		t.fundingReleased()
	case *channelpb.FundingUsed:
		t.fundingUsed()
	case Looked:
		t.looked(body)
	case SignedTx:
		t.signed(body)
	case Answered:
		t.networkAnswered(body)
	case lateAnswer:
		t.promise(body.txid, body.asker)
	case Settled:
		if sp := s.of(body.TxID); sp != nil {
			t.event(&pb.Finished{Txid: body.TxID[:]})
			t.release(unpublish(sp))
		}
	default:
		panic(fmt.Sprintf("wallet: unknown message %T", m.Body))
	}
	return t.out
}

func (t *turn) open() {
	t.reply(t.m.Asker, nil)
	if !t.opened {
		t.event(&pb.Opened{})
		t.release(Attend{})
	}
}

func (t *turn) nextAddress(branch chainwallet.Branch) {
	if !slices.Contains(chainwallet.Branches(), branch) {
		t.out.Refuse = ErrUnknownBranch
		return
	}
	index := t.next[branch]
	if branch == changeBranch {
		index = t.changeIndex()
	}
	t.event(&pb.IndexesGiven{Branch: uint32(branch), Next: index + 1})
	t.reply(t.m.Asker, Index{branch, index})
}

// known takes over what the chain shows of addresses: a wallet that was restored from its words finds the used ones there.
func (t *turn) known(at Index) {
	if at.Index > t.next[at.Branch] {
		t.event(&pb.IndexesGiven{Branch: uint32(at.Branch), Next: at.Index})
	}
}

// pay begins a payment. Until its transaction is signed nothing of it is stored: then nobody was promised anything.
func (t *turn) pay(send Send) {
	if err := send.validate(); err != nil {
		t.out.Refuse = err
		return
	}
	t.begin("", &send)
}

func (s Send) validate() error {
	outputs := s.Payment.Outputs
	if len(outputs) == 0 || len(outputs) > maxOutputs || s.All && len(outputs) != 1 {
		return fmt.Errorf("%w: %d outputs", ErrInvalidPayment, len(outputs))
	}
	if len(s.Label) > maxLabel {
		return fmt.Errorf("%w: the label has more than %d bytes", ErrInvalidPayment, maxLabel)
	}
	left := btcutil.Amount(btcutil.MaxSatoshi)
	for _, out := range outputs {
		if value := btcutil.Amount(out.Value); !s.All && (value <= 0 || value > left) {
			return fmt.Errorf("%w: an amount of %d sat", ErrInvalidPayment, int64(value))
		} else if !s.All {
			left -= value
		}
	}
	return nil
}

// begin begins a draft: for a channel, or for whoever sends.
func (t *turn) begin(channel string, send *Send) {
	number, index := t.count+1, t.changeIndex()
	for _, staged := range t.out.Stage {
		if d, ok := staged.(*pb.Drafted); ok {
			number, index = d.GetDraft()+1, d.GetChangeIndex()+1
		}
	}
	t.stage(&pb.Drafted{Draft: number, Channel: channel, ChangeIndex: index})
	t.release(Look{Draft: number, Change: Index{changeBranch, index}, Send: send, Asker: t.m.Asker})
}

// changeIndex is the lowest index for change that neither was given out nor belongs to a draft.
func (t *turn) changeIndex() uint32 {
	taken := map[uint32]bool{}
	for _, number := range slices.Sorted(maps.Keys(t.drafts)) {
		taken[t.drafts[number].changeIndex] = true
	}
	index := t.next[changeBranch]
	for taken[index] {
		index++
	}
	return index
}

func (t *turn) event(ev proto.Message)   { t.out.Events = append(t.out.Events, ev) }
func (t *turn) stage(ev proto.Message)   { t.out.Stage = append(t.out.Stage, ev) }
func (t *turn) release(e durable.Effect) { t.out.Release = append(t.out.Release, e) }

func (t *turn) send(to durable.Address, body proto.Message) {
	t.out.Send = append(t.out.Send, durable.Envelope{To: to, Body: body})
}

func (t *turn) reply(to durable.Asker, body any) {
	if to.Waits() {
		t.release(durable.Reply{To: to, Body: body})
	}
}
