package channel

import (
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/actors/durable"
	"stormcell/chain/bolt3"
	"stormcell/chain/fees"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// Info describes a channel for people.
type Info struct {
	Address  durable.Address
	KeyIndex uint32
	Peer     [33]byte
	Opener   bool // we opened it
	Private  bool // it is not announced
	Type     wire.Features

	Phase pb.Phase
	// Connected says that the peer is there; Active, that HTLCs may flow besides.
	Connected, Active bool
	// Synced says that both sides have said over this connection where they stand. AwaitsRevocation: we have signed the peer's next
	// commitment, and it has not revoked the one before.
	Synced, AwaitsRevocation bool
	// Trouble says why a channel does not answer: only what the registry knows of it is filled in then.
	Trouble string

	// Outpoint and ChannelID are zero while there is no funding transaction.
	Outpoint  btcwire.OutPoint
	ChannelID wire.ChannelID
	// Scid is zero until the funding is confirmed as deep as wanted, Alias and PeerAlias until each side has said
	// channel_ready.
	Scid, Alias, PeerAlias wire.ShortChannelID

	Capacity btcutil.Amount
	Push     wire.MilliSatoshi // what the opener gave the other side at the start
	// Local and Remote are the balances on our latest commitment, without HTLCs and before the opener pays CommitFee and
	// anchors.
	Local, Remote  wire.MilliSatoshi
	Room           Room
	CommitFee      btcutil.Amount // of our latest commitment
	CommitWeight   lntypes.WeightUnit
	FeeRate        fees.SatPerKW
	Sent, Received wire.MilliSatoshi // totals of settled HTLCs
	Updates        uint64            // of our commitment since the channel was opened
	HTLCs          []HTLCInfo        // on our latest commitment, ours first
	Unsettled      wire.MilliSatoshi // the sum of those

	// Terms are what each side laid down: LocalTerms bind the peer.
	LocalTerms, RemoteTerms Terms
	// Forwarding is what the peer wants for forwarding to us, nil while it has said nothing.
	Forwarding *Forwarding
	// CloseScript is where our funds go on a cooperative close; Committed says that the peer holds us to it.
	CloseScript []byte
	Committed   bool

	// Confirmations of the funding transaction as far as seen, and as wanted; ForgetIn is in how many blocks a channel
	// that the peer opened is forgotten if it still has none.
	Confirmations, ConfirmationsWanted uint32
	ConfirmedAt                        uint32 // height of its block; zero while none was seen
	ForgetIn                           uint32

	// ClosesByUs says that we have said where our funds go when the channel closes together with the peer.
	ClosesByUs bool
	// CloseReason says why the channel closes by a commitment. ClosingTxs are the transactions that were published to close
	// it, newest last; ClosedBy is the one in a block, zero until there is one.
	CloseReason string
	Behind      bool // we lost state, and wait for the peer to close
	// Doubted: what we know of the channel may be outdated. Until the peer shows that it is not, no commitment of ours is
	// published. Withheld is why one would have been.
	Doubted    bool
	Withheld   string
	ClosingTxs []chainhash.Hash
	ClosedBy   chainhash.Hash
}

// describe answers who asks for an Info. What only the shell knows, it adds.
func (t *turn) describe() error {
	s, contract := t.setup, t.setup.GetContract()
	if s == nil {
		return notOpen(t.phase)
	}
	info := Info{
		Address: t.env.Self(), KeyIndex: contract.GetKeyIndex(), Peer: t.peer, Opener: contract.GetOpener(),
		Private: !s.GetAnnounce(), Type: wire.ParseFeatures(s.GetChannelType()),
		Phase: t.phase, Active: t.phase == pb.Phase_NORMAL && t.synced && t.spentBy == nil,
		Scid: lnwire.NewShortChanIDFromInt(s.GetScid()), Alias: lnwire.NewShortChanIDFromInt(s.GetLocalAlias()),
		PeerAlias: lnwire.NewShortChanIDFromInt(s.GetRemoteAlias()),
		Capacity:  btcutil.Amount(s.GetCapacitySat()), Push: wire.MilliSatoshi(s.GetPushMsat()),
		FeeRate: fees.SatPerKW(s.GetSatPerKw()), ConfirmationsWanted: max(s.GetMinimumDepth(), 1),
		ClosesByUs: len(t.shutdown.GetLocalScript()) > 0, CloseReason: t.closing.GetReason(), Behind: t.closing.GetBehind(),
		Doubted: t.isDoubted(), Withheld: t.withheld, Forwarding: forwardingOf(s.GetForwarding()),
	}
	info.Connected, info.Synced = t.link != 0, t.synced
	info.LocalTerms, info.RemoteTerms = termsOf(contract.GetLocal()), termsOf(contract.GetRemote())
	if info.CloseScript, info.Committed = s.GetLocalShutdown(), true; len(info.CloseScript) == 0 {
		info.CloseScript, info.Committed = s.GetCloseScript(), false
	}
	if forgotten := s.GetSinceHeight() + forgetAfter; t.phase == pb.Phase_WAIT_CONFIRMED && !info.Opener {
		info.ForgetIn = forgotten - min(t.height, forgotten)
	}
	if t.c != nil {
		info.describe(t.c)
		if info.Active {
			info.Room = t.c.room(&t.Policy)
		}
	}
	if t.spentBy != nil {
		info.ClosedBy = *t.spentBy
	}
	t.release(durable.Reply{To: t.m.Asker, Body: info})
	return nil
}

// describe enters what our latest commitment says.
func (i *Info) describe(c *Commitments) {
	a := c.Active[0]
	t := c.tally(a, Local, localLatest, nil)
	i.Outpoint, i.ChannelID = a.Funding.Outpoint, c.ChannelID
	i.Local, i.Remote, i.Sent, i.Received = t.balance[Local], t.balance[Remote], c.Sent, c.Received
	i.AwaitsRevocation = c.Awaiting
	i.FeeRate, i.Updates, i.CommitFee = t.rate, c.LocalNumber, bolt3.BaseFee(t.rate, t.untrimmed)
	i.CommitWeight = t.weight(c.pays(), c.Terms[Local].DustLimit)
	c.walk(a, localLatest, func(h *HTLC) {
		i.Unsettled += h.Amount
		i.HTLCs = append(i.HTLCs, HTLCInfo{
			Incoming: h.By == Remote, ID: h.ID, Amount: h.Amount, PaymentHash: h.PaymentHash, Expiry: h.Expiry,
		})
	})
}

// weight is what a commitment with a dust limit weighs. Where a side has too little for an output there is none, and no anchor
// either unless there are HTLCs (BOLT 3, "Commitment Transaction Construction").
func (t *tally) weight(payer Side, dustLimit btcutil.Amount) lntypes.WeightUnit {
	outputs := t.untrimmed
	for _, s := range []Side{Local, Remote} {
		balance := t.balance[s]
		if s == payer {
			balance -= min(balance, cost(t.rate, t.untrimmed))
		}
		missing := balance.ToSatoshis() < dustLimit
		if missing {
			outputs--
		}
		if missing && t.untrimmed == 0 {
			outputs--
		}
	}
	// An output of a side, an anchor, and an HTLC's pay all to a witness script's hash: they are of one size.
	return bolt3.CommitmentWeight + bolt3.HTLCOutputWeight*lntypes.WeightUnit(outputs)
}

// HTLCInfo describes an HTLC that is in the channel.
type HTLCInfo struct {
	Incoming    bool
	ID          uint64
	Amount      wire.MilliSatoshi
	PaymentHash [32]byte
	Expiry      uint32 // block height
}

// CloseKind is how a channel ended.
type CloseKind int

const (
	// ClosedTogether: both sides signed the closing transaction.
	ClosedTogether CloseKind = iota + 1
	// ClosedByUs and ClosedByPeer: one side's commitment was published.
	ClosedByUs
	ClosedByPeer
	// NeverFunded: the funding transaction did not come.
	NeverFunded
)

// ClosedInfo describes a channel that is gone.
type ClosedInfo struct {
	Address  durable.Address
	Peer     [33]byte
	Opener   bool
	KeyIndex uint32

	Outpoint  btcwire.OutPoint
	ChannelID wire.ChannelID
	Scid      wire.ShortChannelID
	Capacity  btcutil.Amount

	Kind      CloseKind
	Reason    string // for people; may be empty
	ClosingTx chainhash.Hash
	Height    uint32            // of the closing transaction's block; without one, at which we knew that the channel is gone
	Settled   wire.MilliSatoshi // what the closing transaction gives us
}
