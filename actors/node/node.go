// Package node is the root of the tree: it starts the kernel, the actors and their worlds in order, and stops them.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/btcsuite/btcd/chaincfg"

	"stormcell/actors/durable"
	"stormcell/actors/peerbook"
	"stormcell/actors/wallet"
	"stormcell/chain/backend"
	"stormcell/chain/fees"
	"stormcell/chain/keys"
	chainwallet "stormcell/chain/wallet"
	"stormcell/peer/hub"
	"stormcell/peer/transport"
	"stormcell/peer/wire"
	"stormcell/persistence"
)

// errStopping is what the connections of a node that stops are closed for.
var errStopping = errors.New("this node is shutting down")

// Features are what this node offers its peers: what every node is assumed to have, until it has more.
func Features() wire.Features {
	return wire.Features{}.With(
		wire.DataLossProtect, wire.VarOnionOptin, wire.StaticRemoteKey, wire.PaymentSecret, wire.ChannelTypes,
	)
}

// Options of a node. All must be set, but where a zero has a meaning.
type Options struct {
	// Journal is open. It stays open when the node stops.
	Journal persistence.Journal
	Signer  keys.Signer
	Network *chaincfg.Params
	// Listen is the host:port for peers.
	Listen string
	// Backend may still be pending. It outlives the node, as the wallet does.
	Backend backend.Backend
	Wallet  *chainwallet.Wallet
	// FallbackFeeRate is used while the backend has no estimate; 0 is none.
	FallbackFeeRate fees.SatPerKW
	Log             *slog.Logger
}

// Node is a running node.
type Node struct {
	// Kernel runs the actors.
	Kernel *durable.Kernel
	// Peers is the peer book.
	Peers peerbook.Client

	signer   keys.Signer
	chain    *chainSide
	listener *transport.Listener
	shell    *peerbook.Shell
	serving  chan struct{} // closed when no more peers are taken
}

// Start starts a node. When it fails, nothing is left running.
func Start(ctx context.Context, o Options) (*Node, error) {
	listener, err := transport.Listen(o.Listen, transport.ListenConfig{
		Key: keys.NodeECDH{Signer: o.Signer},
		Refused: func(from net.Addr, reason error) {
			o.Log.Debug("connection refused", "from", from.String(), "reason", reason)
		},
	})
	if err != nil {
		return nil, err
	}
	w := &world{log: o.Log}
	n := &Node{signer: o.Signer, listener: listener, serving: make(chan struct{})}
	n.Kernel = durable.New(durable.Options{Journal: o.Journal, World: w, Log: o.Log})
	n.Peers = peerbook.Client{Kernel: n.Kernel}
	n.shell = peerbook.NewShell(n.Kernel, hub.New(hub.Config{
		Key: keys.NodeECDH{Signer: o.Signer}, Features: Features(), Chain: *o.Network.GenesisHash,
		Max: peerbook.MaxConnections, Log: o.Log,
	}), silence{}, o.Log)
	w.peers = n.shell
	n.chain = startChain(o, n.Kernel)
	w.wallet = n.chain.shell

	self := peerbook.NodeKey(o.Signer.NodeKey().SerializeCompressed())
	err = durable.Register(n.Kernel, peerbook.Kind(), peerbook.Core{Self: self})
	if err == nil {
		err = durable.Register(n.Kernel, wallet.Kind(), wallet.Core{Params: o.Network})
	}
	if err == nil {
		err = n.Kernel.Start()
	}
	if err == nil {
		err = n.Wallet().Open(ctx)
	}
	if err == nil {
		err = n.Peers.Open(ctx)
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("start the node: %w", err), listener.Close(), n.Kernel.Stop(ctx))
		n.chain.close()
		return nil, err
	}
	go func() {
		defer close(n.serving)
		n.shell.Serve(context.Background(), listener)
	}()
	return n, nil
}

// Signer has the node's keys.
func (n *Node) Signer() keys.Signer { return n.signer }

// PeerAddr is the address that the node listens on for peers.
func (n *Node) PeerAddr() net.Addr { return n.listener.Addr() }

// Stop closes the connections and ends the actors; the errors are the kernel's.
func (n *Node) Stop(ctx context.Context) error {
	err := n.listener.Close()
	<-n.serving
	closed := make(chan struct{})
	go func() {
		n.shell.Close(errStopping)
		close(closed)
	}()
	select {
	case <-closed:
	case <-ctx.Done():
		err = errors.Join(err, fmt.Errorf("close the connections: %w", ctx.Err()))
	}
	err = errors.Join(err, n.Kernel.Stop(ctx))
	n.chain.close()
	return err
}

// silence takes what peers say while there are no channels that it could be about.
type silence struct{}

func (silence) Up(*peerbook.Link)                                           {}
func (silence) Message(context.Context, *peerbook.Link, wire.Message) error { return nil }
func (silence) Down(*peerbook.Link)                                         {}

// world carries out the effects of all actors.
type world struct {
	log    *slog.Logger
	peers  *peerbook.Shell
	wallet *wallet.Shell
}

// Release implements durable.World.
func (w *world) Release(from durable.Address, session uint64, e durable.Effect) {
	switch from.Kind() {
	case peerbook.Address.Kind():
		w.peers.Release(session, e)
	case wallet.Address.Kind():
		w.wallet.Release(session, e)
	default:
		w.log.Error("an actor without a world released an effect", "actor", from, "effect", e)
	}
}

// Ended implements durable.World.
func (w *world) Ended(addr durable.Address, session uint64) {
	if addr.Kind() == peerbook.Address.Kind() {
		w.peers.Ended(session)
	}
}
