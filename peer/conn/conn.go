package conn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"stormcell/peer/wire"
)

// ErrNotUp: a message was sent before the peer's init came (BOLT 1, "The `init` Message").
var ErrNotUp = errors.New("connection is not up yet")

// Conn is one connection. Its methods may be called by anyone at any time.
type Conn struct {
	link    Link
	handler Handler
	config  Config
	log     *slog.Logger

	out *queue
	up  atomic.Bool

	// ended ends with the connection; its cause is the *Disconnect.
	ended context.Context
	end   context.CancelCauseFunc

	mu       sync.Mutex
	liveness liveness

	// Of the reader alone.
	messages, bytes, pings bucket
}

// New makes a connection over a link, whose owner it becomes. Run must be called, or the link stays open.
func New(link Link, handler Handler, config Config) *Conn {
	config = config.withDefaults()
	now := config.Clock.Now()
	c := &Conn{
		link:    link,
		handler: handler,
		config:  config,
		log: config.Log.With("peer", fmt.Sprintf("%x", link.RemoteKey().SerializeCompressed()),
			"session", uint64(config.Session)),
		out:      newQueue(config.Limits.QueueBytes),
		liveness: newLiveness(config.Limits, now),
		messages: newBucket(config.Limits.Messages, now),
		bytes:    newBucket(config.Limits.Bytes, now),
		pings:    newBucket(config.Limits.Pings, now),
	}
	c.ended, c.end = context.WithCancelCause(context.Background())
	return c
}

// Session is the number of this connection among those to the peer.
func (c *Conn) Session() Session { return c.config.Session }

// Done is closed when the connection has ended or is about to.
func (c *Conn) Done() <-chan struct{} { return c.ended.Done() }

// Send queues a message for the peer and returns at once. Messages leave in the order they were queued. When the queue
// is full the connection ends. The error is ErrNotUp, the *Disconnect that ended the connection, or says that the
// message cannot be encoded; in that case the connection goes on.
func (c *Conn) Send(m wire.Message) error {
	if !c.up.Load() {
		return ErrNotUp
	}
	return c.send(m)
}

// Close ends the connection for the given reason, after what is queued has left or a short time has passed. It returns
// at once; Run returns when all is done.
func (c *Conn) Close(reason error) { c.fail(Closed, reason) }

// Run does the work of the connection, and returns when it has ended, with the *Disconnect that says why. It ends when
// the context does.
func (c *Conn) Run(ctx context.Context) error {
	release := context.AfterFunc(ctx, func() { c.Close(context.Cause(ctx)) })
	defer release()

	if err := c.send(c.ourInit()); err != nil {
		c.fail(Closed, err)
	}
	taken, written := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(taken)
		c.read()
	}()
	go func() {
		defer close(written)
		c.write()
	}()
	c.watch()

	reason := c.reason()
	if reason.Kind.drains() {
		c.out.close(c.farewell(reason))
		select {
		case <-written:
		case <-c.config.Clock.TickAfter(c.config.Limits.FlushTimeout):
		}
	}
	_ = c.link.Close()
	c.out.drop()
	<-written
	<-taken
	c.log.Info("peer disconnected", "reason", reason)
	return reason
}

// watch pings the peer and gives it up as liveness says, until the connection ends.
func (c *Conn) watch() {
	for {
		now := c.config.Clock.Now()
		c.mu.Lock()
		due := c.liveness.due(now)
		c.mu.Unlock()
		if due.giveUp != "" {
			c.fail(due.giveUp, nil)
		}
		if due.ping {
			_ = c.send(&wire.Ping{NumPongBytes: pongBytes})
		}
		select {
		case <-c.ended.Done():
			return
		case <-c.config.Clock.TickAfter(due.nothing):
		}
	}
}

// write sends what is queued, until nothing more will be.
func (c *Conn) write() {
	for {
		message, drained := c.out.pop()
		var err error
		c.live(func(l *liveness) { l.write(true, c.config.Clock.Now()) })
		if message != nil {
			err = c.link.WriteMessage(message)
		} else {
			err = c.link.Flush()
		}
		c.live(func(l *liveness) { l.write(false, c.config.Clock.Now()) })
		if err != nil {
			c.fail(NetworkFailed, err)
			return
		}
		if drained {
			return
		}
		if message == nil {
			<-c.out.wake
		}
	}
}

// send encodes and queues a message.
func (c *Conn) send(m wire.Message) error {
	data, err := wire.Encode(m)
	if err != nil {
		return err
	}
	if c.ended.Err() != nil {
		return c.reason()
	}
	if err := c.out.push(data); err != nil {
		c.fail(QueueFull, nil)
		return c.reason()
	}
	return nil
}

// fail ends the connection, unless it has ended.
func (c *Conn) fail(kind Kind, err error) { c.end(&Disconnect{Kind: kind, Err: err}) }

// reason is why the connection has ended.
func (c *Conn) reason() *Disconnect {
	return asDisconnect(context.Cause(c.ended))
}

// farewell is what the peer is told at the end, nil for nothing.
func (c *Conn) farewell(reason *Disconnect) []byte {
	if !reason.Kind.warns() {
		return nil
	}
	data, err := wire.Encode(&wire.Warning{Data: []byte(printable(reason.Error()))})
	if err != nil {
		return nil
	}
	return data
}

func (c *Conn) ourInit() *wire.Init {
	m := &wire.Init{Features: c.config.Features, Networks: []chainhash.Hash{c.config.Chain}}
	if addr, ok := c.link.RemoteAddr().(*net.TCPAddr); ok && c.config.Inbound {
		// BOLT 1: private addresses should not be told.
		if at := addr.AddrPort(); at.Addr().IsGlobalUnicast() && !at.Addr().IsPrivate() {
			m.RemoteAddr = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
		}
	}
	return m
}

// live gives access to the liveness that reader, writer and watch share.
func (c *Conn) live(do func(*liveness)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do(&c.liveness)
}
