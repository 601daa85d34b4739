package channel

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// forgetAfter is how many blocks the side that did not fund waits for the funding (BOLT 2, "The `channel_ready` Message").
const forgetAfter = 2016

// searchTime is for how many blocks a node that was away looks for a funding before it takes it for absent: it hears the
// height at once, and the watcher needs a while for what happened meanwhile.
const searchTime = 6

// The chain's facts about the funding, from the watcher. They come again after a restart.
type (
	// FundingConfirmed says that the funding transaction is as deep as was asked.
	FundingConfirmed struct {
		Tx      *btcwire.MsgTx
		Block   chainhash.Hash
		Height  uint32 // of its block
		TxIndex uint32 // in the block
	}
	// FundingUndone says that a reorganisation took it back.
	FundingUndone struct{}
	// FundingSpent says that a transaction which spends the funding output is as deep in the chain as was asked.
	FundingSpent struct {
		Tx     *btcwire.MsgTx
		Height uint32 // of its block
	}
)

// fundingConfirmed says `channel_ready` to the peer, unless the channel closes already. A channel that is in use may hear it again
// after a reorganisation, which has moved the funding.
func (t *turn) fundingConfirmed(body FundingConfirmed) error {
	inUse := t.phase == pb.Phase_WAIT_READY || t.phase == pb.Phase_NORMAL || isShutting(t.phase)
	moved := inUse && !bytes.Equal(t.setup.GetBlockHash(), body.Block[:])
	if t.phase != pb.Phase_WAIT_CONFIRMED && !t.isUnfunded() && !moved {
		return nil
	}
	f := t.c.Active[0].Funding
	if body.Tx.TxHash() != f.Outpoint.Hash || int(f.Outpoint.Index) >= len(body.Tx.TxOut) ||
		!isFunding(body.Tx.TxOut[f.Outpoint.Index], f.FundingOutput()) {
		const why = "the funding transaction does not pay to the channel"
		t.write(t.wireError(errors.New(why)))
		t.fail(&pb.Closing{Reason: why})
		return nil
	}
	scid := lnwire.ShortChannelID{BlockHeight: body.Height, TxIndex: body.TxIndex, TxPosition: uint16(f.Outpoint.Index)}
	confirmed := &pb.Confirmed{Scid: scid.ToUint64(), Alias: t.AliasKey.Alias(t.c.KeyIndex), BlockHash: body.Block[:]}
	t.event(confirmed)
	if t.synced && t.phase == pb.Phase_WAIT_CONFIRMED {
		return t.sayReady(confirmed.GetAlias())
	}
	return nil
}

// sayReady sends `channel_ready`.
func (t *turn) sayReady(alias uint64) error {
	next, err := t.Signer.CommitmentPoint(t.c.KeyIndex, 1)
	if err != nil {
		return fmt.Errorf("second commitment point: %w", err)
	}
	short := lnwire.NewShortChanIDFromInt(alias)
	t.write(&wire.ChannelReady{ChanID: t.c.ChannelID, NextPerCommitmentPoint: next, AliasScid: &short})
	return nil
}

// fundingUndone goes back to waiting, unless the channel is in use already: then there is nothing better than to go on.
func (t *turn) fundingUndone() error {
	if t.phase == pb.Phase_WAIT_READY {
		t.event(&pb.Unconfirmed{})
	}
	return nil
}

// readyReceived takes the peer's `channel_ready`, which it may send again and again. It counts while the channel shuts down
// as well: the peer may have offered HTLCs before it hears of that.
func (t *turn) readyReceived(m *wire.ChannelReady) error {
	if t.setup.GetRemoteReady() {
		return nil
	}
	ready := &pb.ReadyReceived{NextPoint: m.NextPerCommitmentPoint.SerializeCompressed()}
	if m.AliasScid != nil {
		ready.Alias = m.AliasScid.ToUint64()
	}
	t.event(ready)
	return nil
}

// resumeFunding sets again what waits for the funding transaction.
func (t *turn) resumeFunding() {
	t.release(watchFunding(t.setup, t.c))
	if raw := t.setup.GetFundingTx(); len(raw) > 0 {
		if tx, err := readTx(raw); err == nil { // it was read before it was stored
			t.release(Publish{Tx: tx})
		}
	}
}

// isUnfunded tells whether nothing is known of a funding that the peer owes. What was confirmed once and reorganised out comes
// again.
func (s *State) isUnfunded() bool {
	waits := s.phase == pb.Phase_WAIT_CONFIRMED || isShutting(s.phase) || s.phase == pb.Phase_CLOSING
	return waits && !s.c.Opener && s.setup.GetLocalAlias() == 0
}

// forget gives a channel up that the peer never funded.
func (t *turn) forget(height uint32) bool {
	if !t.isUnfunded() || t.firstHeight == 0 || height < max(t.setup.GetSinceHeight()+forgetAfter, t.firstHeight+searchTime) {
		return false
	}
	t.event(&pb.Abandoned{Reason: fmt.Sprintf("the peer did not fund the channel within %d blocks", forgetAfter)})
	t.monitor(&pb.MonitorUpdate{Finished: true})
	t.out.Done = true
	return true
}
