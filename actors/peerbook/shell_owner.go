package peerbook

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/btcsuite/btcd/btcec/v2"

	"stormcell/actors/durable"
	"stormcell/peer/conn"
	"stormcell/peer/wire"
)

// Sink takes what comes over the connections that the book uses.
type Sink interface {
	// Up says that a connection is used from now on, in place of any other to that node. It must not block.
	Up(*Link)
	// Message brings what the peer says, in order. While it blocks the peer has to wait. An error closes the connection.
	Message(context.Context, *Link, wire.Message) error
	// Down is the last call about a connection.
	Down(*Link)
	// HasChannels tells whether there are channels with a node, which stays connected when others have to leave. It must not block.
	HasChannels(NodeKey) bool
}

// Link is a connection that the book uses.
type Link struct {
	Key      NodeKey
	Number   conn.Session // never used again in this process
	Address  string       // host:port at which we reached the node; empty if it connected to us
	Features wire.Negotiated
	Conn     Conn
}

// Conn is what can be done with a connection.
type Conn interface {
	// Send queues a message and returns at once; see conn.Conn.
	Send(wire.Message) error
	// Close ends the connection for the given reason and returns at once.
	Close(reason error)
}

// owner reports one connection to the book, and once the book uses it, to the sink.
type owner struct {
	shell   *Shell
	tenure  *tenure
	key     NodeKey
	inbound bool
	dial    Dial
	link    *Link  // nil until it is up
	exit    func() // called at the end

	// decided is set by whoever comes first: the book, which uses the connection, or its end. used is closed when the sink
	// has been told of it.
	decided atomic.Bool
	used    chan struct{}
}

func newOwner(s *Shell, t *tenure, key NodeKey, inbound bool, d Dial) *owner {
	return &owner{shell: s, tenure: t, key: key, inbound: inbound, dial: d, exit: func() {}, used: make(chan struct{})}
}

// Up implements conn.Handler: it returns when the book has decided to use the connection, or has closed it.
func (o *owner) Up(ctx context.Context, c *conn.Conn, peer conn.Peer) error {
	o.link = &Link{Key: o.key, Number: c.Session(), Address: o.dial.Address, Features: peer.Features, Conn: c}
	o.shell.owners.Store(o.link.Number, o)
	o.shell.log.Info("peer connected", "peer", o.key, "address", peer.Addr.String(), "inbound", o.inbound)
	err := o.tell(Up{
		Key: o.key, Number: o.link.Number, Address: peer.Addr.String(), Inbound: o.inbound,
		Features: peer.Features.Theirs, Dial: o.dial,
	})
	if err != nil {
		return err
	}
	select {
	case <-o.used:
	case <-ctx.Done():
	}
	return nil
}

// use tells the sink of the connection, unless it has ended.
func (o *owner) use() {
	if o.decided.CompareAndSwap(false, true) {
		o.shell.sink.Up(o.link)
		close(o.used)
	}
}

// Message implements conn.Handler.
func (o *owner) Message(ctx context.Context, _ conn.Session, m wire.Message) error {
	return o.shell.sink.Message(ctx, o.link, m)
}

// Ended implements hub.Owner.
func (o *owner) Ended(reason error) {
	o.exit()
	var disconnect *conn.Disconnect
	incompatible := errors.As(reason, &disconnect) && disconnect.Kind.Incompatible()
	switch {
	case o.link != nil:
		o.shell.owners.Delete(o.link.Number)
		if !o.decided.CompareAndSwap(false, true) {
			<-o.used
			o.shell.sink.Down(o.link)
		}
		_ = o.tell(Down{Key: o.key, Number: o.link.Number, Incompatible: incompatible})
	case o.inbound:
		o.shell.log.Debug("a peer's connection did not come up", "peer", o.key, "error", reason)
	default:
		o.shell.log.Debug("dial failed", "peer", o.key, "address", o.dial.Address, "error", reason)
		_ = o.tell(Failed{Dial: o.dial, Err: reason, Incompatible: incompatible})
	}
}

// tell reports to the incarnation that the connection belongs to. When that has ended, so has the connection, and the next
// incarnation starts without it. The mailbox has room: see Kind.
func (o *owner) tell(fact any) error {
	err := o.shell.kernel.Tell(Address, o.tenure.session, fact)
	if err != nil && !errors.Is(err, durable.ErrRestarted) && !errors.Is(err, durable.ErrStopping) {
		o.shell.log.Warn("the peer book was not told", "error", err)
	}
	return err
}

func keyOf(key *btcec.PublicKey) NodeKey { return NodeKey(key.SerializeCompressed()) }
