package channel

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/actors/durable"
	"stormcell/chain/fees"
	pb "stormcell/messages/channel"
	registrypb "stormcell/messages/registry"
	"stormcell/peer/wire"
)

// Errors of the Client. Others are a *Refusal, an *OpenError, the kernel's, or the context's.
var (
	// ErrPeerNotConnected: there is no connection to that node.
	ErrPeerNotConnected = errors.New("peer is not connected")
	// ErrNoChannel: no channel that is not gone has this outpoint.
	ErrNoChannel = errors.New("no such channel")
)

// OpenError says why nothing came of an opening that had begun: the peer's words, or ours.
type OpenError struct {
	Reason string
	// interrupted: the connection ended before either side had promised anything.
	interrupted bool
}

func (e *OpenError) Error() string { return "the channel was not opened: " + e.Reason }

// OpenRequest asks for a channel.
type OpenRequest struct {
	Peer     [33]byte // node id; it must be connected
	Capacity btcutil.Amount
	Push     wire.MilliSatoshi // a gift to the peer
	// FundingFeeRate is of the funding transaction. Zero asks the backend for a rate that confirms within ConfTarget blocks;
	// zero of that is for 6.
	FundingFeeRate fees.SatPerKW
	ConfTarget     uint32
	// CommitFeeRate is of the first commitments; zero is for what the node would set by itself.
	CommitFeeRate fees.SatPerKW
	Private       bool // it is not announced
	// ScidAlias: the peer must never know the channel by its place in the chain. Only for private channels.
	ScidAlias bool
	// ShutdownScript, if set, is where alone the channel may close to on our side; the peer holds us to it.
	ShutdownScript []byte
}

// CloseRequest asks to close a channel.
type CloseRequest struct {
	// Force publishes our commitment; the rest of the request has no meaning then.
	Force bool
	// Script is where our funds go; empty for an address of the wallet.
	Script []byte
	// FeeRate is what we would pay. Zero asks the backend for a rate that confirms within ConfTarget blocks; zero of that is
	// for 6.
	FeeRate    fees.SatPerKW
	ConfTarget uint32
}

// Client opens, lists and closes the channels of a node.
type Client struct{ shell *Shell }

// Open opens a channel, and returns once both sides have signed and the funding transaction is published. When ctx ends
// before that, the channel may be opened all the same: List tells. The errors are ErrPeerNotConnected, ErrNotSynced, a
// *Refusal, and *OpenError.
func (c Client) Open(ctx context.Context, want OpenRequest) (Opened, error) {
	return c.shell.open(ctx, want)
}

// List is every channel that is not gone, pending ones included, in the order in which they were begun.
func (c Client) List(ctx context.Context) ([]Info, error) {
	roster, err := c.shell.registry.Roster(ctx)
	if err != nil {
		return nil, fmt.Errorf("list channels: %w", err)
	}
	answers := make([]chan Info, len(roster))
	for i, entry := range roster {
		answer := make(chan Info, 1)
		answers[i] = answer
		err := c.shell.Kernel.AskFunc(addressOf(entry.GetKeyIndex()), Describe{}, false, func(body any, err error) {
			info, ok := body.(Info)
			if !ok {
				info = infoOf(entry, err)
			}
			answer <- info
		})
		if err != nil {
			answer <- infoOf(entry, err)
		}
	}
	out := make([]Info, 0, len(roster))
	for _, answer := range answers {
		select {
		case info := <-answer:
			if info.Phase != pb.Phase_ABANDONED && info.Phase != pb.Phase_CLOSED {
				out = append(out, c.shell.seen(info))
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("list channels: %w", ctx.Err())
		case <-c.shell.Kernel.Dead():
			return nil, fmt.Errorf("list channels: %w", c.shell.Kernel.Err())
		}
	}
	return out, nil
}

// infoOf is what is known of a channel that does not answer.
func infoOf(entry *registrypb.Channel, err error) Info {
	info := Info{
		Address: addressOf(entry.GetKeyIndex()), KeyIndex: entry.GetKeyIndex(), Peer: [33]byte(entry.GetPeer()),
		Opener: entry.GetOpener(), Capacity: btcutil.Amount(entry.GetCapacitySat()),
		Outpoint: outpointOf(entry.GetOutpoint()), Scid: lnwire.NewShortChanIDFromInt(entry.GetScid()),
		Alias: lnwire.NewShortChanIDFromInt(entry.GetAlias()),
	}
	copy(info.ChannelID[:], entry.GetChannelId())
	if err != nil {
		info.Trouble = err.Error()
	}
	return info
}

// seen adds what the chain shows of a channel.
func (s *Shell) seen(info Info) Info {
	m := s.member(info.Address)
	if at, height := m.seenAt.Load(), s.Desk.Height(); at > 0 && height >= at {
		info.Confirmations, info.ConfirmedAt = height-at+1, at
	}
	if closings := m.closings.Load(); closings != nil {
		info.ClosingTxs = append(info.ClosingTxs, *closings...)
	}
	if spent := m.spentBy.Load(); spent != nil {
		info.ClosedBy = *spent
	}
	return info
}

// Watch calls look, and again whenever List or Closed may tell something else than before, until it has seen enough, ctx ends or
// it fails. Changes that follow each other quickly may be seen as one. The errors are look's, the context's and the kernel's.
func (c Client) Watch(ctx context.Context, look func() (enough bool, err error)) error {
	for {
		next := c.shell.changed.Next()
		if enough, err := look(); err != nil || enough {
			return err
		}
		select {
		case <-next:
		case <-ctx.Done():
			return fmt.Errorf("watch channels: %w", ctx.Err())
		case <-c.shell.Kernel.Dead():
			return fmt.Errorf("watch channels: %w", c.shell.Kernel.Err())
		}
	}
}

// Closed is every channel that is gone and had a funding, oldest first.
func (c Client) Closed(ctx context.Context) ([]ClosedInfo, error) {
	gone, err := c.shell.registry.Gone(ctx)
	if err != nil {
		return nil, fmt.Errorf("list closed channels: %w", err)
	}
	out := make([]ClosedInfo, len(gone))
	for i, entry := range gone {
		ending := entry.GetEnding()
		out[i] = ClosedInfo{
			Address: addressOf(entry.GetKeyIndex()), Peer: [33]byte(entry.GetPeer()), Opener: entry.GetOpener(),
			KeyIndex: entry.GetKeyIndex(), Outpoint: outpointOf(entry.GetOutpoint()), Scid: lnwire.NewShortChanIDFromInt(entry.GetScid()),
			Capacity: btcutil.Amount(entry.GetCapacitySat()), Kind: NeverFunded, Reason: ending.GetReason(),
			Height: ending.GetHeight(), Settled: wire.MilliSatoshi(ending.GetSettledMsat()),
		}
		copy(out[i].ChannelID[:], entry.GetChannelId())
		if txid := ending.GetClosingTxid(); len(txid) > 0 {
			out[i].Kind = ClosedTogether
			copy(out[i].ClosingTx[:], txid)
		}
	}
	return out, nil
}

// Scid is the short channel id of a channel that is not gone, by the address of its actor: zero until the funding is confirmed as deep
// as wanted. The error is ErrNoChannel, or the kernel's.
func (c Client) Scid(ctx context.Context, addr durable.Address) (wire.ShortChannelID, error) {
	index, ok := indexOf(addr)
	if !ok {
		return wire.ShortChannelID{}, fmt.Errorf("short id of %q: %w", addr, ErrNoChannel)
	}
	entry, err := c.shell.registry.Find(ctx, index)
	if err == nil && entry == nil {
		err = ErrNoChannel
	}
	if err != nil {
		return wire.ShortChannelID{}, fmt.Errorf("short id of %s: %w", addr, err)
	}
	return lnwire.NewShortChanIDFromInt(entry.GetScid()), nil
}

// Close has a channel close, and returns once that is stored: it needs no peer, and is not forgotten in a restart. AwaitClosing
// tells when it happens: with Force at once, else when the peer agrees, which it does once it is connected and no HTLC is left.
// A channel that closes already is not asked again. The errors are ErrNoChannel and a *Refusal.
func (c Client) Close(ctx context.Context, channel btcwire.OutPoint, want CloseRequest) error {
	m, err := c.find(ctx, channel)
	if err != nil {
		return err
	}
	if err := c.close(ctx, m, want); err != nil {
		return fmt.Errorf("close channel %v: %w", channel, err)
	}
	return nil
}

// AwaitClosing waits until a transaction that closes the channel is published, and gives the id of the newest. The error is
// ErrNoChannel.
func (c Client) AwaitClosing(ctx context.Context, channel btcwire.OutPoint) (chainhash.Hash, error) {
	return c.await(ctx, channel, func(m *member) *chainhash.Hash {
		if closings := m.closings.Load(); closings != nil {
			return &(*closings)[len(*closings)-1]
		}
		return m.spentBy.Load()
	})
}

// close asks the channel to close, unless it does already.
func (c Client) close(ctx context.Context, m *member, want CloseRequest) error {
	body, err := c.shell.Kernel.Ask(ctx, m.address, Describe{})
	if err != nil {
		return err
	}
	info, _ := body.(Info)
	switch {
	case info.Phase == pb.Phase_CLOSED, info.Phase == pb.Phase_ABANDONED: // and gone, once all have heard of it
		return ErrNoChannel
	case info.Phase == pb.Phase_CLOSING, isShutting(info.Phase) && !want.Force && info.ClosesByUs:
		return nil
	case want.Force:
		_, err = c.shell.Kernel.Ask(ctx, m.address, ForceClose{})
		return err
	}
	rate, err := c.shell.rate(ctx, want.FeeRate, want.ConfTarget)
	if err != nil {
		return err
	}
	_, err = c.shell.Kernel.Ask(ctx, m.address, Close{Script: want.Script, FeeRate: rate})
	return err
}

// AwaitSpent waits until a transaction that spends the channel's funding is in a block, and gives its id. The error is
// ErrNoChannel.
func (c Client) AwaitSpent(ctx context.Context, channel btcwire.OutPoint) (chainhash.Hash, error) {
	return c.await(ctx, channel, func(m *member) *chainhash.Hash { return m.spentBy.Load() })
}

// await waits until there is a transaction.
func (c Client) await(
	ctx context.Context, channel btcwire.OutPoint, found func(*member) *chainhash.Hash,
) (chainhash.Hash, error) {
	m, err := c.find(ctx, channel)
	if err != nil {
		return chainhash.Hash{}, err
	}
	for {
		next := c.shell.changed.Next()
		if txid := found(m); txid != nil {
			return *txid, nil
		}
		if err := c.wait(ctx, m, next); err != nil {
			return chainhash.Hash{}, fmt.Errorf("wait for the end of channel %v: %w", channel, err)
		}
	}
}

// wait waits until something has changed that the shell knows.
func (c Client) wait(ctx context.Context, m *member, next <-chan struct{}) error {
	if m.gone.Load() {
		return ErrNoChannel
	}
	select {
	case <-next:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.shell.Kernel.Dead():
		return c.shell.Kernel.Err()
	}
}

// SetFeeRate proposes another fee rate for the commitments of a channel that we opened. The node's own estimate may change
// it again. The errors are ErrNoChannel and a *Refusal.
func (c Client) SetFeeRate(ctx context.Context, channel btcwire.OutPoint, rate fees.SatPerKW) error {
	m, err := c.find(ctx, channel)
	if err != nil {
		return err
	}
	if _, err := c.shell.Kernel.Ask(ctx, m.address, SetFeeRate{Rate: rate}); err != nil {
		return fmt.Errorf("set the fee rate of channel %v: %w", channel, err)
	}
	return nil
}

// find finds a channel that is not gone. Peers may name a funding that is not theirs: ours is the one that we opened, or that
// the chain has confirmed.
func (c Client) find(ctx context.Context, channel btcwire.OutPoint) (*member, error) {
	var found []*member
	c.shell.claims.Range(func(key, value any) bool {
		if key.(claim).point == channel {
			found = append(found, value.(*member))
		}
		return true
	})
	for _, m := range found {
		if len(found) == 1 || m.entry.Load().GetOpener() {
			return m, nil
		}
	}
	for _, m := range found {
		entry, err := c.shell.registry.Find(ctx, m.entry.Load().GetKeyIndex())
		if err != nil {
			return nil, fmt.Errorf("find channel %v: %w", channel, err)
		}
		if entry.GetScid() != 0 {
			return m, nil
		}
	}
	return nil, fmt.Errorf("channel %v: %w", channel, ErrNoChannel)
}
