// Package hub runs all connections of a node: those that peers make and those that it makes itself. It decides nothing
// about them. Each has an owner, who is told what becomes of it.
package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"stormcell/peer/conn"
	"stormcell/peer/transport"
	"stormcell/peer/wire"
)

var (
	// ErrFull: there are Config.Max connections and dials already, or as many dials as users may ask for.
	ErrFull = errors.New("too many connections")
)

// Owner is told what becomes of one connection. Handler's methods are called only once it is up.
type Owner interface {
	conn.Handler
	// Ended is the last call, and the only one if the connection never came up. The error is the dialer's, ErrFull, or
	// wraps a *conn.Disconnect.
	Ended(reason error)
}

// Config says who this node is. Limits and Log may be left out.
type Config struct {
	Key      transport.NodeKey
	Features wire.Features
	Chain    chainhash.Hash // genesis block
	// Max is how many connections and dials there may be at once. A dial beyond it fails; a connection is closed.
	Max    int
	Limits conn.Limits
	Log    *slog.Logger
}

// dialsAtOnce bounds the dials under way that a user has asked for, and the others. More of a kind wait for their turn.
const dialsAtOnce = 32

// maxAsked is how many dials there may be that a user has asked for: he may ask for any address, and for any patience with it.
const maxAsked = 256

// Dial is a connection to be made.
type Dial struct {
	To      *btcec.PublicKey
	Address string        // host:port
	Timeout time.Duration // zero is the transport's
	// Asked says that a user asks for it. Others do not wait for such dials.
	Asked bool
}

// Hub holds the connections. Its methods are safe for concurrent use.
type Hub struct {
	config  Config
	asked   *dials
	own     *dials
	running sync.WaitGroup

	mu    sync.Mutex
	last  conn.Session
	count int // connections and dials
	live  map[conn.Session]*conn.Conn
}

// New makes a hub without connections.
func New(config Config) *Hub {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	return &Hub{config: config, asked: newDials(maxAsked), own: newDials(config.Max), live: map[conn.Session]*conn.Conn{}}
}

// dials are those of one kind.
type dials struct {
	underWay chan struct{}
	all      chan struct{} // those that wait for their turn too
}

func newDials(most int) *dials {
	return &dials{underWay: make(chan struct{}, dialsAtOnce), all: make(chan struct{}, most)}
}

func (h *Hub) dialsLike(d Dial) *dials {
	if d.Asked {
		return h.asked
	}
	return h.own
}

// Dial makes a connection and runs it until it ends or the context does. It returns at once.
func (h *Hub) Dial(ctx context.Context, d Dial, owner Owner) {
	all := h.dialsLike(d).all
	select {
	case all <- struct{}{}:
	default:
		owner.Ended(fmt.Errorf("connect to %s: %w", d.Address, ErrFull))
		return
	}
	if !h.enter() {
		<-all
		owner.Ended(fmt.Errorf("connect to %s: %w", d.Address, ErrFull))
		return
	}
	h.running.Go(func() {
		defer h.leave()
		link, err := h.dial(ctx, d)
		<-all
		if err != nil {
			owner.Ended(err)
			return
		}
		h.run(ctx, link, false, owner)
	})
}

func (h *Hub) dial(ctx context.Context, d Dial) (*transport.Conn, error) {
	underWay := h.dialsLike(d).underWay
	select {
	case underWay <- struct{}{}:
		defer func() { <-underWay }()
	case <-ctx.Done():
		return nil, fmt.Errorf("connect to %s: %w", d.Address, context.Cause(ctx))
	}
	dialer := transport.Dialer{Key: h.config.Key, Timeout: d.Timeout}
	return dialer.Dial(ctx, d.To, d.Address)
}

// Accept owns the connections that peers make. It gives a connection from an address its owner, and the context that it ends
// with; nil refuses it.
type Accept func(remote *btcec.PublicKey, from net.Addr) (context.Context, Owner)

// Serve takes connections from a listener until the context ends or the listener is closed.
func (h *Hub) Serve(ctx context.Context, listener *transport.Listener, accept Accept) {
	for {
		link, err := listener.Accept(ctx)
		if err != nil {
			return
		}
		connCtx, owner := accept(link.RemoteKey(), link.RemoteAddr())
		if owner == nil {
			_ = link.Close()
			continue
		}
		if !h.enter() {
			_ = link.Close()
			owner.Ended(fmt.Errorf("connection from %v: %w", link.RemoteAddr(), ErrFull))
			continue
		}
		h.running.Go(func() {
			defer h.leave()
			h.run(connCtx, link, true, owner)
		})
	}
}

// Close ends a connection, if it still is.
func (h *Hub) Close(session conn.Session, reason error) {
	h.mu.Lock()
	c := h.live[session]
	h.mu.Unlock()
	if c != nil {
		c.Close(reason)
	}
}

// Wait returns when no connection and no dial is left: when the contexts that they were given have ended, or before.
func (h *Hub) Wait() { h.running.Wait() }

// run runs one connection to its end.
func (h *Hub) run(ctx context.Context, link conn.Link, inbound bool, owner Owner) {
	c := h.add(link, inbound, owner)
	reason := c.Run(ctx)
	h.mu.Lock()
	delete(h.live, c.Session())
	h.mu.Unlock()
	owner.Ended(reason)
}

func (h *Hub) add(link conn.Link, inbound bool, owner Owner) *conn.Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	c := conn.New(link, owner, conn.Config{
		Session: h.last, Features: h.config.Features, Chain: h.config.Chain, Inbound: inbound,
		Limits: h.config.Limits, Log: h.config.Log,
	})
	h.live[h.last] = c
	return c
}

func (h *Hub) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.count >= h.config.Max {
		return false
	}
	h.count++
	return true
}

func (h *Hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count--
}
