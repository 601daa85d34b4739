package wallet

import (
	"fmt"
	"maps"
	"slices"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	chainwallet "stormcell/chain/wallet"
	pb "stormcell/messages/wallet"
)

// State is what the wallet knows.
type State struct {
	opened bool
	next   map[chainwallet.Branch]uint32 // index of the address that is given out next
	asked  []*pb.FundingAsked            // channels that wait for a transaction, in order
	spends []*spend                      // signed transactions, in the order in which they were signed

	// Only staged.
	drafts map[uint64]*draft
	count  uint64 // of drafts ever made by this incarnation
}

// spend is a signed transaction whose coins are set aside.
type spend struct {
	stored   *pb.Spend
	tx       *wire.MsgTx
	txid     chainhash.Hash
	promised bool // only staged: somebody was told that it is on its way
}

// draft is a transaction that is being made.
type draft struct {
	channel     string // that it is to fund; empty for a payment
	changeIndex uint32 // that it may use
	inputs      []*pb.Input
}

// apply folds one event into the state, whether it is stored or only staged.
func (s *State) apply(event proto.Message) {
	switch ev := event.(type) {
	case *pb.Opened:
		s.opened = true
	case *pb.IndexesGiven:
		s.advance(ev)
	case *pb.FundingAsked:
		s.asked = append(s.asked, ev)
	case *pb.FundingDropped:
		s.answered(ev.GetChannel())
	case *pb.Signed:
		s.sign(ev)
	case *pb.Published:
		s.of(chainhash.Hash(ev.GetTxid())).stored.Published = true
	case *pb.Released:
		s.forget(chainhash.Hash(ev.GetTxid()))
	case *pb.Finished:
		s.forget(chainhash.Hash(ev.GetTxid()))
	case *pb.Drafted:
		s.count = max(s.count, ev.GetDraft())
		s.drafts[ev.GetDraft()] = &draft{channel: ev.GetChannel(), changeIndex: ev.GetChangeIndex()}
	case *pb.Leased:
		s.drafts[ev.GetDraft()].inputs = ev.GetInputs()
	case *pb.DraftEnded:
		delete(s.drafts, ev.GetDraft())
	case *pb.Promised:
		s.of(chainhash.Hash(ev.GetTxid())).promised = true
	default:
		panic(fmt.Sprintf("wallet: unknown event %T", event))
	}
}

func (s *State) advance(ev *pb.IndexesGiven) {
	branch := chainwallet.Branch(ev.GetBranch())
	s.next[branch] = max(s.next[branch], ev.GetNext())
}

func (s *State) sign(ev *pb.Signed) {
	delete(s.drafts, ev.GetDraft())
	stored := proto.CloneOf(ev.GetSpend())
	tx, err := btcutil.NewTxFromBytes(stored.GetTx())
	if err != nil {
		panic(fmt.Sprintf("wallet: a stored transaction cannot be read: %v", err))
	}
	s.spends = append(s.spends, &spend{stored: stored, tx: tx.MsgTx(), txid: *tx.Hash()})
	s.answered(stored.GetChannel())
	if stored.GetChangeBranch() != 0 {
		s.advance(&pb.IndexesGiven{Branch: stored.GetChangeBranch(), Next: stored.GetChangeIndex() + 1})
	}
}

// answered notes that a channel does not wait for a transaction any more.
func (s *State) answered(channel string) {
	s.asked = slices.DeleteFunc(s.asked, func(a *pb.FundingAsked) bool { return a.GetChannel() == channel })
}

func (s *State) forget(txid chainhash.Hash) {
	s.spends = slices.DeleteFunc(s.spends, func(sp *spend) bool { return sp.txid == txid })
}

// of is a signed transaction, nil if there is none.
func (s *State) of(txid chainhash.Hash) *spend {
	return first(s.spends, func(sp *spend) bool { return sp.txid == txid })
}

// waiting is a channel that waits for a transaction, nil if it does not.
func (s *State) waiting(channel string) *pb.FundingAsked {
	return first(s.asked, func(a *pb.FundingAsked) bool { return a.GetChannel() == channel })
}

// funding is a channel's signed transaction, nil if there is none.
func (s *State) funding(channel string) *spend {
	return first(s.spends, func(sp *spend) bool { return sp.stored.GetChannel() == channel })
}

func first[T any](all []*T, fits func(*T) bool) *T {
	if i := slices.IndexFunc(all, fits); i >= 0 {
		return all[i]
	}
	return nil
}

// held are all coins that are set aside, for drafts too.
func (s *State) held() *chainwallet.Leases {
	var held chainwallet.Leases
	for _, l := range s.leases() {
		if err := held.Add("held", l.Coin); err != nil {
			panic(err) // one lease cannot be in its own way
		}
	}
	return &held
}

// leases describes what is set aside, drafts last.
func (s *State) leases() []Lease {
	var all []Lease
	for _, sp := range s.spends {
		for _, in := range sp.stored.GetInputs() {
			all = append(all, Lease{
				Coin: point(in), Amount: btcutil.Amount(in.GetAmountSat()), For: durable.Address(sp.stored.GetChannel()),
				TxID: sp.txid, Published: sp.stored.GetPublished(),
			})
		}
	}
	for _, number := range slices.Sorted(maps.Keys(s.drafts)) {
		d := s.drafts[number]
		for _, in := range d.inputs {
			all = append(all, Lease{
				Coin: point(in), Amount: btcutil.Amount(in.GetAmountSat()), For: durable.Address(d.channel),
			})
		}
	}
	return all
}

// given are the indexes below which all addresses were given out, in the order of their branches.
func (s *State) given() []Index {
	var all []Index
	for _, branch := range chainwallet.Branches() {
		if next := s.next[branch]; next > 0 {
			all = append(all, Index{branch, next})
		}
	}
	return all
}

func (s *State) snapshot() *pb.Wallet {
	stored := &pb.Wallet{Asked: s.asked}
	for _, at := range s.given() {
		stored.Indexes = append(stored.Indexes, &pb.IndexesGiven{Branch: uint32(at.Branch), Next: at.Index})
	}
	for _, sp := range s.spends {
		stored.Spends = append(stored.Spends, sp.stored)
	}
	return proto.CloneOf(stored)
}

func recovered(stored *pb.Wallet) *State {
	s := &State{next: map[chainwallet.Branch]uint32{}, drafts: map[uint64]*draft{}}
	if stored == nil {
		return s
	}
	s.opened, s.asked = true, stored.GetAsked()
	for _, at := range stored.GetIndexes() {
		s.advance(at)
	}
	for _, sp := range stored.GetSpends() {
		s.sign(&pb.Signed{Spend: sp})
	}
	return s
}

func point(in *pb.Input) wire.OutPoint {
	return wire.OutPoint{Hash: chainhash.Hash(in.GetTxid()), Index: in.GetIndex()}
}
