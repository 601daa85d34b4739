package conn

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/clock"

	"stormcell/peer/wire"
)

// Link carries whole messages to and from a peer. *transport.Conn is one.
type Link interface {
	// ReadMessage waits for the next message, which is valid until the next call. At a clean end the error is io.EOF.
	ReadMessage() ([]byte, error)
	// WriteMessage sends a message, at the latest with Flush.
	WriteMessage(message []byte) error
	Flush() error
	// Close ends the link, and reads and writes under way with it.
	Close() error
	RemoteKey() *btcec.PublicKey
	RemoteAddr() net.Addr
}

// Session numbers the connections to one peer, so that what belongs to an earlier one can be told apart.
type Session uint64

// Peer is who is at the other end, as known after the init exchange.
type Peer struct {
	Key      *btcec.PublicKey
	Addr     net.Addr
	Features wire.Negotiated
	// SeesUsAt is our address as the peer sees it; the zero value if it does not say.
	SeesUsAt netip.AddrPort
}

// Handler receives what comes from a peer. Its methods are called by one goroutine, one after the other, and nothing
// more is read from this peer until they return. They must return when the context ends, which it does with the
// connection. An error ends the connection.
type Handler interface {
	// Up is called first, when both have sent init. The connection can be sent on from here on.
	Up(ctx context.Context, c *Conn, peer Peer) error
	// Message is called for each message that is not about the connection itself: not for init, ping, pong and messages
	// of unknown odd types. Errors and warnings of the peer come here too.
	Message(ctx context.Context, session Session, m wire.Message) error
}

// Config is what a connection needs to know. Clock, Log and Limits may be left out.
type Config struct {
	Session  Session
	Features wire.Features  // ours
	Chain    chainhash.Hash // genesis block
	// Inbound says that the peer connected to us. It is then told at which address it is seen.
	Inbound bool
	Clock   clock.Clock
	Log     *slog.Logger
	Limits  Limits
}

// Limits are what is waited for and what is put up with. Zero fields take the value of DefaultLimits.
type Limits struct {
	InitTimeout  time.Duration // for the peer's init
	PingInterval time.Duration // of silence before a ping
	PongTimeout  time.Duration // of silence after it
	WriteTimeout time.Duration // for one message to leave
	FlushTimeout time.Duration // for what is queued, when the connection closes

	QueueBytes int // waiting to be sent, with a little per message

	Messages Rate // incoming; above it reading pauses
	Bytes    Rate // incoming; above it reading pauses
	Pings    Rate // incoming; above it the connection ends
}

// DefaultLimits fit a routing node with hundreds of peers.
func DefaultLimits() Limits {
	return Limits{
		InitTimeout:  15 * time.Second,
		PingInterval: time.Minute,
		PongTimeout:  30 * time.Second,
		WriteTimeout: 30 * time.Second,
		FlushTimeout: 2 * time.Second,
		QueueBytes:   8 << 20,
		Messages:     Rate{PerSecond: 10_000, Burst: 20_000},
		Bytes:        Rate{PerSecond: 16 << 20, Burst: 16 << 20},
		Pings:        Rate{PerSecond: 1, Burst: 60},
	}
}

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = clock.NewDefaultClock()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	l, d := &c.Limits, DefaultLimits()
	for at, value := range map[*time.Duration]time.Duration{
		&l.InitTimeout: d.InitTimeout, &l.PingInterval: d.PingInterval, &l.PongTimeout: d.PongTimeout,
		&l.WriteTimeout: d.WriteTimeout, &l.FlushTimeout: d.FlushTimeout,
	} {
		if *at == 0 {
			*at = value
		}
	}
	for at, value := range map[*Rate]Rate{&l.Messages: d.Messages, &l.Bytes: d.Bytes, &l.Pings: d.Pings} {
		if *at == (Rate{}) {
			*at = value
		}
	}
	if l.QueueBytes == 0 {
		l.QueueBytes = d.QueueBytes
	}
	return c
}
