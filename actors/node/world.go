package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"

	"github.com/btcsuite/btcd/txscript"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/actors/invoice"
	"stormcell/actors/monitor"
	"stormcell/actors/payment"
	"stormcell/actors/peerbook"
	"stormcell/actors/registry"
	"stormcell/actors/router"
	"stormcell/actors/wallet"
	"stormcell/chain/keys"
	chainwallet "stormcell/chain/wallet"
	channelpb "stormcell/messages/channel"
	"stormcell/peer/hub"
)

// furnish makes the worlds of the actors.
func (n *Node) furnish(o Options) {
	if o.MaxCommitFeeRate == 0 {
		o.MaxCommitFeeRate = channel.MaxCommitFeeRate
	}
	n.channels = channel.NewShell(channel.Config{
		Kernel: n.Kernel, Runtime: n.chain.runtime, Desk: n.chain.desk, Chain: *o.Network.GenesisHash,
		Funder: wallet.Address, NewScript: n.newScript, MaxCommitFeeRate: o.MaxCommitFeeRate,
		Log: o.logOf(LogChannels),
	})
	n.peers = peerbook.NewShell(n.Kernel, hub.New(hub.Config{
		Key: keys.NodeECDH{Signer: o.Signer}, Features: Features(), Chain: *o.Network.GenesisHash,
		Max: peerbook.MaxConnections, Log: o.logOf(LogPeers),
	}), n.channels, o.logOf(LogPeers))
	n.Peers = n.peers.Client()
	n.invoices = invoice.NewShell(n.Kernel, n.chain.runtime, n.chain.desk.Height, o.logOf(LogInvoices))
	n.chain.desk.Heights(n.invoices.NewHeight)
	n.payments = payment.NewShell(payment.Config{
		Kernel: n.Kernel, Channels: n.channelsWith, Height: n.chain.desk.Height, Log: o.logOf(LogPayments),
	})
}

// channelsWith are the channels with a peer as the router sees them.
func (n *Node) channelsWith(ctx context.Context, peer [33]byte) ([]router.Channel, error) {
	open, err := n.Channels().With(ctx, peer)
	if err != nil {
		return nil, err
	}
	channels := make([]router.Channel, len(open))
	for i, c := range open {
		channels[i] = router.Channel{
			Address: c.Address, Peer: c.Peer, Scid: c.Scid.ToUint64(), Minimum: c.RemoteTerms.HTLCMinimum,
			Sendable: c.Room.Sendable, HTLCs: c.Room.HTLCs, PerHTLC: c.Room.PerHTLC, Emptied: c.Room.Emptied,
		}
	}
	return channels, nil
}

// newScript is a script of the wallet that nobody was given before, of a kind that any peer closes to.
func (n *Node) newScript(ctx context.Context) ([]byte, error) {
	address, err := n.Wallet().NewAddress(ctx, chainwallet.ReceiveWitness)
	if err != nil {
		return nil, err
	}
	return txscript.PayToAddrScript(address)
}

// aliasKey is a secret that only the node's own key gives.
func aliasKey(signer keys.Signer) (registry.AliasKey, error) {
	shared, err := signer.ECDH(signer.NodeKey()) // with itself: nobody else can compute it
	if err != nil {
		return registry.AliasKey{}, fmt.Errorf("key of the aliases: %w", err)
	}
	return sha256.Sum256(append([]byte("stormcell aliases of channels"), shared[:]...)), nil
}

// register tells the kernel of every kind of actor.
func (n *Node) register(o Options) error {
	if o.Pending == (registry.Limits{}) {
		o.Pending = registry.DefaultLimits()
	}
	aliases, err := aliasKey(o.Signer)
	if err != nil {
		return err
	}
	self := peerbook.NodeKey(o.Signer.NodeKey().SerializeCompressed())
	return errors.Join(
		durable.Register(n.Kernel, peerbook.Kind(), peerbook.Core{Self: self}),
		durable.Register(n.Kernel, wallet.Kind(), wallet.Core{Params: o.Network}),
		durable.Register(n.Kernel, registry.Kind(), registry.Core{Limits: o.Pending, Doubt: o.Doubt}),
		durable.Register(n.Kernel, channel.Kind(), &channel.Core{
			Signer: o.Signer, Policy: channel.DefaultPolicy(), Registry: registry.Address, Resolver: resolver,
			Doubt: o.Doubt, AliasKey: aliases,
		}),
		durable.Register(n.Kernel, monitor.Kind(), &monitor.Core{Signer: o.Signer, Doubt: o.Doubt}),
		durable.Register(n.Kernel, payment.Kind(), payment.Core{}),
		durable.Register(n.Kernel, payment.ShardKind(), payment.ShardCore{}),
		durable.Register(n.Kernel, invoice.Kind(), invoice.Core{
			Network: o.Network, ECDH: o.Signer.ECDH, SignInvoice: o.Signer.SignInvoice,
			Height: n.chain.desk.Height, Policy: invoicePolicy(o),
		}),
	)
}

// invoicePolicy is what the node's owner decides on incoming payments.
func invoicePolicy(o Options) invoice.Policy {
	p := invoice.DefaultPolicy()
	p.Keysend = o.AcceptKeysend
	return p
}

// resolver is the invoice with an HTLC's payment hash: it fails what it does not know.
func resolver(in *channelpb.IncomingHTLC) durable.Address {
	return invoice.Address([32]byte(in.GetPaymentHash()))
}

// world carries out the effects of all actors.
type world struct {
	*Node
	log *slog.Logger
}

// Release implements durable.World.
func (w world) Release(from durable.Address, session uint64, e durable.Effect) {
	switch from.Kind() {
	case peerbook.Address.Kind():
		w.peers.Release(session, e)
	case wallet.Address.Kind():
		w.chain.shell.Release(session, e)
	case channel.Name:
		w.channels.Release(from, session, e)
	case invoice.Name:
		w.invoices.Release(from, session, e)
	case payment.Name:
		w.payments.Release(from, session, e)
	default:
		w.log.Error("an actor without a world released an effect", "actor", from, "effect", fmt.Sprintf("%T", e))
	}
}

// Ended implements durable.World.
func (w world) Ended(addr durable.Address, session uint64) {
	switch addr.Kind() {
	case peerbook.Address.Kind():
		w.peers.Ended(session)
	case channel.Name:
		w.channels.Ended(addr, session)
	case invoice.Name:
		w.invoices.Ended(addr, session)
	}
}
