package channel

import (
	"bytes"
	"slices"

	"github.com/btcsuite/btcd/btcutil"
	btcwire "github.com/btcsuite/btcd/wire"
	"google.golang.org/protobuf/proto"

	pb "stormcell/messages/channel"
	"stormcell/messages/registry"
)

// tellStanding tells the registry, in the commit that changes it, where the channel will stand.
func (t *turn) tellStanding() {
	if t.Registry == "" {
		return
	}
	before, after := t.standing(), t.afterwards().standing()
	if after == nil || proto.Equal(before, after) {
		return
	}
	if after.Standing == registry.Standing_GONE {
		after.Ending = t.ending()
	}
	t.send(t.Registry, after)
}

// tellWatchers has those look again who watch how far channels are, and whether their peers are there.
func (t *turn) tellWatchers() {
	if slices.ContainsFunc(t.out.Events, isMilestone) || slices.ContainsFunc(t.out.Stage, isMilestone) {
		t.release(Changed{})
	}
}

func isMilestone(event proto.Message) bool {
	switch event.(type) {
	case *pb.SetupChanged, *pb.Funded, *pb.Confirmed, *pb.Unconfirmed, *pb.ReadyReceived, *pb.Abandoned, *pb.ShutdownWanted,
		*pb.ShutdownReceived, *pb.ClosingAgreed, *pb.Failed, *pb.Closed, *pb.Linked, *pb.Unlinked, *pb.Synced, *pb.SpendSeen:
		return true
	}
	return false
}

// afterwards is the state as far as the registry is concerned, once the events of this turn are applied.
func (t *turn) afterwards() *State {
	then := *t.State
	if t.c != nil {
		c := *t.c
		then.c = &c
	}
	for _, event := range t.out.Events {
		switch event.(type) {
		// These replace what they change, and so leave the present state alone.
		case *pb.SetupChanged, *pb.Funded, *pb.Confirmed, *pb.Unconfirmed, *pb.ReadyReceived, *pb.Abandoned,
			*pb.ShutdownWanted, *pb.ShutdownReceived, *pb.ClosingAgreed, *pb.Failed, *pb.Closed:
			then.apply(event)
		}
	}
	return &then
}

// standing is what the registry knows of the channel, nil while there is none.
func (s *State) standing() *registry.Channel {
	contract := s.setup.GetContract()
	if contract == nil {
		return nil
	}
	out := &registry.Channel{
		KeyIndex: contract.GetKeyIndex(), Standing: standingIn(s.phase), Peer: contract.GetPeer(), Opener: contract.GetOpener(),
		TemporaryId: s.setup.GetTemporaryId(), CapacitySat: s.setup.GetCapacitySat(),
	}
	if s.c != nil && s.isUnfunded() {
		out.Standing = registry.Standing_PENDING // however it ends: so that there are not many of them
	}
	if s.c != nil {
		out.ChannelId, out.Outpoint = contract.GetChannelId(), s.setup.GetOutpoint()
		out.Scid, out.Alias = s.setup.GetScid(), s.setup.GetLocalAlias()
	}
	return out
}

func standingIn(phase pb.Phase) registry.Standing {
	switch phase {
	case pb.Phase_WAIT_CONFIRMED, pb.Phase_WAIT_READY:
		return registry.Standing_PENDING
	case pb.Phase_NORMAL:
		return registry.Standing_OPEN
	case pb.Phase_SHUTTING_DOWN, pb.Phase_AGREED, pb.Phase_CLOSING:
		return registry.Standing_CLOSING
	case pb.Phase_ABANDONED, pb.Phase_CLOSED:
		return registry.Standing_GONE
	default:
		return registry.Standing_OPENING
	}
}

// ending is how the channel ends with this turn.
func (t *turn) ending() *registry.Ending {
	out := &registry.Ending{Height: t.height}
	for _, event := range t.out.Events {
		if abandoned, ok := event.(*pb.Abandoned); ok {
			out.Reason = abandoned.GetReason()
		}
	}
	if spent, ok := t.m.Body.(FundingSpent); ok {
		txid := spent.Tx.TxHash()
		out.Height = spent.Height
		out.ClosingTxid, out.SettledMsat = txid[:], uint64(msat(paidTo(spent.Tx, t.shutdown.GetLocalScript())))
	}
	return out
}

// paidTo is what a transaction pays to a script.
func paidTo(tx *btcwire.MsgTx, script []byte) (sum btcutil.Amount) {
	for _, out := range tx.TxOut {
		if bytes.Equal(out.PkScript, script) {
			sum += btcutil.Amount(out.Value)
		}
	}
	return sum
}
