// Package node is the root of the tree: it starts the kernel, the actors and their worlds in order, and stops them.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/prometheus/client_golang/prometheus"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/actors/invoice"
	"stormcell/actors/payment"
	"stormcell/actors/peerbook"
	"stormcell/actors/registry"
	"stormcell/chain/backend"
	"stormcell/chain/fees"
	"stormcell/chain/keys"
	chainwallet "stormcell/chain/wallet"
	"stormcell/peer/transport"
	"stormcell/peer/wire"
	"stormcell/persistence"
)

// errStopping is what the connections of a node that stops are closed for.
var errStopping = errors.New("this node is shutting down")

// Features are what this node offers its peers.
func Features() wire.Features {
	return wire.Features{}.With(
		wire.DataLossProtect, wire.VarOnionOptin, wire.StaticRemoteKey, wire.PaymentSecret, wire.ChannelTypes,
		wire.BasicMPP, wire.Anchors, wire.LargeChannels, wire.ScidAlias,
		wire.UpfrontShutdownScript, wire.ShutdownAnySegwit, wire.SimpleClose,
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
	// MaxCommitFeeRate is the most that the node sets for commitments by itself; 0 is channel.MaxCommitFeeRate.
	MaxCommitFeeRate fees.SatPerKW
	// Doubt numbers the last doubt whether the journal is the newest copy; 0 is none. A channel that it concerns publishes no
	// commitment until its peer has vouched for it.
	Doubt uint64
	// Pending bounds the channels that peers open; zero is registry.DefaultLimits.
	Pending registry.Limits
	// AcceptKeysend takes payments that no invoice asked for.
	AcceptKeysend bool
	// Log is told by SubsystemKey which part of the node logs.
	Log *slog.Logger
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
	peers    *peerbook.Shell
	channels *channel.Shell
	invoices *invoice.Shell
	payments *payment.Shell
	serving  chan struct{} // closed when no more peers are taken
}

// Start starts a node. When it fails, nothing is left running.
func Start(ctx context.Context, o Options) (*Node, error) {
	listener, err := transport.Listen(o.Listen, transport.ListenConfig{
		Key: keys.NodeECDH{Signer: o.Signer},
		Refused: func(from net.Addr, reason error) {
			o.logOf(LogPeers).Debug("connection refused", "from", from.String(), "reason", reason)
		},
	})
	if err != nil {
		return nil, err
	}
	n := &Node{signer: o.Signer, listener: listener, serving: make(chan struct{})}
	n.Kernel = durable.New(durable.Options{
		Journal: o.Journal, World: world{n, o.Log}, Log: o.logOf(LogActors),
	})
	n.chain = startChain(o, n.Kernel)
	n.furnish(o)
	err = n.register(o)
	if err == nil {
		err = n.Kernel.Start()
	}
	if err == nil {
		err = n.Wallet().Open(ctx)
	}
	if err == nil {
		err = n.channels.Start(ctx)
	}
	if err == nil {
		err = n.payments.Start(ctx)
	}
	if err == nil {
		err = n.Peers.Open(ctx)
	}
	if err != nil {
		ctx := context.WithoutCancel(ctx) // that it has ended may be why the start fails
		err = errors.Join(fmt.Errorf("start the node: %w", err), listener.Close(), n.Kernel.Stop(ctx))
		return nil, errors.Join(err, n.chain.close(ctx))
	}
	go func() {
		defer close(n.serving)
		n.peers.Serve(context.Background(), listener)
	}()
	return n, nil
}

// Signer has the node's keys.
func (n *Node) Signer() keys.Signer { return n.signer }

// Channels opens, lists and closes channels.
func (n *Node) Channels() channel.Client { return n.channels.Client() }

// Invoices makes, finds and settles invoices.
func (n *Node) Invoices() invoice.Client { return n.invoices.Client() }

// Payments pays, and tells of payments.
func (n *Node) Payments() payment.Client { return n.payments.Client() }

// Collectors are what Prometheus may know of the node.
func (n *Node) Collectors() []prometheus.Collector {
	return slices.Concat([]prometheus.Collector{n.Kernel}, n.payments.Collectors(), n.invoices.Collectors())
}

// PeerAddr is the address that the node listens on for peers.
func (n *Node) PeerAddr() net.Addr { return n.listener.Addr() }

// Stop closes the connections and ends the actors; the errors are the kernel's.
func (n *Node) Stop(ctx context.Context) error {
	err := n.listener.Close()
	<-n.serving
	closed := make(chan struct{})
	go func() {
		n.peers.Close(errStopping)
		close(closed)
	}()
	select {
	case <-closed:
	case <-ctx.Done():
		err = errors.Join(err, fmt.Errorf("close the connections: %w", ctx.Err()))
	}
	n.payments.Close()
	err = errors.Join(err, n.Kernel.Stop(ctx))
	return errors.Join(err, n.chain.close(ctx))
}
