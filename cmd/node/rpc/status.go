package rpc

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/actors/payment"
	"stormcell/actors/peerbook"
	"stormcell/cmd/node/version"
	pb "stormcell/messages/channel"
	"stormcell/messages/debugrpc"
	paymentpb "stormcell/messages/payment"
)

// Bounds of a status.
const (
	usualMost     = 20
	largestMost   = 1000
	statusLimit   = 2 * time.Second
	shownReason   = 300 // characters of why an actor failed
	haltedState   = "halted"
	workingStates = "ready asleep"
)

// Status implements debugrpc.DebugServer.
func (d *debugger) Status(ctx context.Context, r *debugrpc.StatusRequest) (*debugrpc.StatusResponse, error) {
	most := usualMost
	if r.Most > 0 {
		most = int(min(r.Most, largestMost))
	}
	ctx, cancel := context.WithTimeout(ctx, statusLimit)
	defer cancel()
	n := d.server.node.Load()
	kernel := n.Actors.Status()
	out := &debugrpc.StatusResponse{
		Version: version.Number, Network: d.server.o.Network.String(), Node: hex.EncodeToString(n.Key.SerializeCompressed()),
		Started: n.Started.Unix(), Kernel: describeKernel(kernel, most),
	}
	tip, synced := n.Chain.SyncedTo()
	out.Chain = &debugrpc.ChainStatus{Source: n.ChainSource, Height: tip.Height, Synced: synced}
	unknown := func(what string, err error) {
		if err != nil {
			out.Unknown = append(out.Unknown, fmt.Sprintf("%s: %v", what, err))
		}
	}
	var err error
	out.Journal, err = describeJournal(n.Journal)
	unknown("journal", err)
	out.Peers, err = describePeers(ctx, n.Peers, most)
	unknown("peers", err)
	out.Channels, err = describeChannels(ctx, n.Channels, kernel.Actors, most)
	unknown("channels", err)
	out.Payments = describePayments(ctx, n.Payments, kernel.Actors, most, unknown)
	return out, nil
}

func describeJournal(j Journal) (*debugrpc.JournalStatus, error) {
	stats := j.Stats()
	out := &debugrpc.JournalStatus{
		Commits: stats.Commits, Undurable: stats.Undurable, Syncs: stats.Syncs, LastSyncNs: stats.LastSyncAt.UnixNano(),
		LastSyncTookNs: stats.LastSync.Nanoseconds(),
	}
	space, err := j.Space()
	out.UsedBytes, out.FreeBytes, out.FloorBytes = space.Used, space.Free, space.Floor
	return out, err
}

// describeKernel chooses of all actors those that an operator may have to look at.
func describeKernel(s durable.Status, most int) *debugrpc.KernelStatus {
	out := &debugrpc.KernelStatus{
		InMemory: uint32(len(s.Actors)), FailedInAll: uint32(len(s.Failed)), EffectsWaiting: uint32(s.EffectsWaiting),
		Parked: uint32(s.Parked),
	}
	states, deepest := map[durable.Address]string{}, map[string]int{}
	var notable []durable.ActorStatus
	for _, a := range s.Actors {
		states[a.Address] = a.State
		deepest[a.Address.Kind()] = max(deepest[a.Address.Kind()], a.Mailbox)
		if a.Mailbox > 0 || a.Parked || !strings.Contains(workingStates, a.State) {
			notable = append(notable, a)
		}
	}
	slices.SortStableFunc(notable, func(a, b durable.ActorStatus) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Mailbox, a.Mailbox))
	})
	for _, a := range notable[:min(len(notable), most)] {
		out.Actors = append(out.Actors, &debugrpc.ActorStatus{
			Address: string(a.Address), State: a.State, Parked: a.Parked, Mailbox: uint32(a.Mailbox), Inbox: uint32(a.Inbox),
			Kept: uint32(a.Kept),
		})
	}
	for _, k := range s.Kinds {
		out.Kinds = append(out.Kinds, &debugrpc.KindStatus{
			Name: k.Name, Awake: uint32(k.Awake), Halted: uint32(k.Halted), Mailbox: uint32(k.Mailbox),
			MailboxMax: uint32(deepest[k.Name]), Steps: k.Steps, Failures: k.Failures, Refused: k.Refused, Dropped: k.Dropped,
		})
	}
	for _, f := range s.Failed[:min(len(s.Failed), most)] {
		out.Failed = append(out.Failed, &debugrpc.FailedActor{
			Address: string(f.Actor), State: states[f.Actor], Times: uint32(f.Times), LastNs: f.Last.UnixNano(), About: f.About,
			Reason: shorten(f.Reason, shownReason),
		})
	}
	return out
}

// rank puts first what stands still.
func rank(a durable.ActorStatus) int {
	switch {
	case a.State == haltedState:
		return 0
	case !strings.Contains(workingStates, a.State):
		return 1
	default:
		return 2
	}
}

func shorten(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

func describePeers(ctx context.Context, peers Peers, most int) (*debugrpc.PeersStatus, error) {
	all, err := peers.List(ctx)
	out := &debugrpc.PeersStatus{}
	// Those that are away come first: they are what somebody looks for.
	slices.SortStableFunc(all, func(a, b peerbook.Peer) int {
		return cmp.Compare(min(1, connections(a)), min(1, connections(b)))
	})
	for i, p := range all {
		if p.Connection == nil {
			out.Away++
		} else {
			out.Connected++
		}
		if i >= most {
			continue
		}
		peer := &debugrpc.PeerStatus{Node: p.Key.String(), Address: p.KeptAt, Connected: p.Connection != nil}
		if c := p.Connection; c != nil {
			peer.Address, peer.Inbound, peer.SinceNs = c.Address, c.Inbound, c.Since.UnixNano()
		}
		out.Peers = append(out.Peers, peer)
	}
	return out, err
}

func connections(p peerbook.Peer) int {
	if p.Connection == nil {
		return 0
	}
	return 1
}

func describeChannels(
	ctx context.Context, channels Channels, actors []durable.ActorStatus, most int,
) (*debugrpc.ChannelsStatus, error) {
	all, err := channels.List(ctx)
	out := &debugrpc.ChannelsStatus{All: uint32(len(all))}
	for _, c := range all[:min(len(all), most)] {
		if slices.ContainsFunc(actors, func(a durable.ActorStatus) bool { return a.Address == c.Address && a.State == haltedState }) {
			c.Trouble = haltedState
		}
		local, remote := balances(&c)
		out.Channels = append(out.Channels, &debugrpc.ChannelStatus{
			Address: string(c.Address), Peer: hex.EncodeToString(c.Peer[:]), State: inWords(&c), Active: c.Active,
			Htlcs: uint32(len(c.HTLCs)), CapacitySat: uint64(c.Capacity), LocalMsat: uint64(local), RemoteMsat: uint64(remote),
		})
	}
	return out, err
}

// inWords is what a channel does, or waits for.
func inWords(c *channel.Info) string {
	switch {
	case c.Trouble == haltedState:
		return haltedState
	case c.Trouble != "":
		return "does not answer: " + c.Trouble
	case c.Behind && isZero(c.ClosedBy):
		return "waiting for the peer to close: we have lost state"
	case c.Withheld != "":
		return "not closed by us, our state may be old: " + c.Withheld
	case c.Doubted:
		return "safe mode, waiting for the peer"
	}
	switch c.Phase {
	case pb.Phase_WAIT_ACCEPT:
		return "waiting for the peer to accept"
	case pb.Phase_WAIT_FUNDING:
		return "waiting for the wallet to fund it"
	case pb.Phase_WAIT_FUNDING_SIGNED:
		return "waiting for the peer's signature"
	case pb.Phase_WAIT_FUNDING_CREATED:
		return "waiting for the peer to fund it"
	case pb.Phase_WAIT_CONFIRMED:
		return fmt.Sprintf("waiting for confirmations, %d of %d", c.Confirmations, c.ConfirmationsWanted)
	case pb.Phase_AGREED:
		return "closing together, waiting for a block"
	case pb.Phase_CLOSING:
		if isZero(c.ClosedBy) {
			return "closing by a commitment, waiting for a block"
		}
		return "closed by a commitment in a block"
	}
	switch {
	case !c.Connected:
		return "waiting for the peer to connect"
	case !c.Synced:
		return "waiting for channel_reestablish"
	case c.Phase == pb.Phase_WAIT_READY:
		return "waiting for channel_ready"
	case c.AwaitsRevocation:
		return "waiting for revocation"
	case c.Phase == pb.Phase_SHUTTING_DOWN && len(c.HTLCs) > 0:
		return "closing together, waiting for HTLCs to end"
	case c.Phase == pb.Phase_SHUTTING_DOWN:
		return "closing together, agreeing on the fee"
	case len(c.HTLCs) > 0:
		return "waiting for HTLCs to end"
	case !c.Active:
		return "not active"
	default:
		return "idle"
	}
}

// describePayments asks those payments that are awake, which are the live ones and perhaps some that somebody looks at.
func describePayments(
	ctx context.Context, payments Payments, actors []durable.ActorStatus, most int, unknown func(string, error),
) *debugrpc.PaymentsStatus {
	out := &debugrpc.PaymentsStatus{}
	for _, a := range actors {
		id, ok := strings.CutPrefix(string(a.Address), payment.Name+"/")
		if !ok {
			continue
		}
		out.All++
		if len(out.Payments) >= most || ctx.Err() != nil {
			continue
		}
		hash, err := hex.DecodeString(id)
		if err != nil || len(hash) != 32 || a.State == haltedState {
			continue // the list of what failed says more
		}
		p, err := payments.Lookup(ctx, [32]byte(hash))
		switch {
		case err != nil:
			unknown("payment", err)
			continue
		case payment.StatusOf(p) != paymentpb.Status_IN_FLIGHT:
			out.All--
			continue
		}
		out.Payments = append(out.Payments, &debugrpc.PaymentStatus{
			Hash: id, AmountMsat: p.Request.GetAmountMsat(), InFlight: uint32(len(payment.InFlightHTLCs(p))),
			Attempts: uint32(len(p.Attempts)), CreatedNs: p.CreatedNs,
		})
	}
	return out
}
