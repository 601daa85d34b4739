package peerbook

import (
	"encoding/hex"
	"errors"
	"time"

	"stormcell/actors/durable"
	"stormcell/peer/address"
	"stormcell/peer/conn"
	"stormcell/peer/wire"
)

// Address is where the one peer book of a node lives.
const Address durable.Address = "peerbook/main"

const (
	// MaxKept is how many nodes can be kept connected.
	MaxKept = 1000
	// MaxConnections is how many connections and dials there may be at once, in the world that the book lives in.
	MaxConnections = 2000
	// MaxStrangers is how many of these nodes can have made that have no channel with this one. One more ends another one: see
	// crowd.Crowd.
	MaxStrangers = 256
)

// Refusals.
var (
	// ErrConnected: the node is connected already.
	ErrConnected = errors.New("already connected to peer")
	// ErrConnecting: the node is being dialled for somebody else, or because it is kept.
	ErrConnecting = errors.New("a connection to this peer is being made already")
	// ErrNotConnected: the node is neither connected nor kept.
	ErrNotConnected = errors.New("peer is not connected")
	// ErrSelf: the node is this one.
	ErrSelf = errors.New("cannot connect to self")
	// ErrFull: MaxKept nodes are kept already.
	ErrFull = errors.New("the peer book is full")
)

// NodeKey is a node's compressed public key.
type NodeKey [33]byte

func (k NodeKey) String() string { return hex.EncodeToString(k[:]) }

// MarshalText lets logs show a key as people know it.
func (k NodeKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// What the book can be asked. All is volatile: whoever asks can ask again.
type (
	// Open makes the book, once. The answer is nil.
	Open struct{}

	// Connect asks for a connection now, and for nothing when it is lost. The answer, nil or an error, comes when the
	// connection is up or could not be made. Refused with ErrConnected, ErrConnecting and ErrSelf.
	Connect struct {
		Key     NodeKey
		Address address.Address
		Timeout time.Duration // zero leaves it to the dialer
	}

	// Keep asks to stay connected to a node, there. The answer, nil, does not wait for a connection. Asking again changes
	// the address. Refused with ErrSelf and ErrFull.
	Keep struct {
		Key     NodeKey
		Address address.Address
	}

	// Disconnect ends the connection to a node, and keeps it connected no more. The answer, nil, does not wait for the end.
	// Refused with ErrNotConnected.
	Disconnect struct{ Key NodeKey }

	// List asks for all peers that are connected or kept. The answer is a []Peer in the order of the keys.
	List struct{}
)

// Peer is a node as List describes it.
type Peer struct {
	Key NodeKey
	// KeptAt is where the node is kept connected, host:port; empty if it is not kept.
	KeptAt string
	// Connection is nil while there is none.
	Connection *Connection
}

// Connection is a live connection to a peer.
type Connection struct {
	Number   conn.Session
	Address  string // host:port of the other end
	Inbound  bool   // the peer connected to us
	Since    time.Time
	Features wire.Features // the peer's
}

// What the world reports. Each names the incarnation that it is for.
type (
	// Up: the init messages of a connection have been exchanged.
	Up struct {
		Key     NodeKey
		Number  conn.Session
		Address string
		Inbound bool
		// Features are the peer's.
		Features wire.Features
		// Dial is what made the connection; its zero value if the peer did.
		Dial Dial
	}

	// Down: a connection that was Up has ended.
	Down struct {
		Key    NodeKey
		Number conn.Session
		// Incompatible: another connection would end the same way.
		Incompatible bool
	}

	// Failed: a dial came to nothing. No Up was said.
	Failed struct {
		Dial         Dial
		Err          error
		Incompatible bool
	}
)

// What leaves the book.
type (
	// Attend tells the world which incarnation hears of connections from now on.
	Attend struct{}

	// Dial asks for a connection. It is answered with Up or Failed.
	Dial struct {
		Key     NodeKey
		Address string // host:port
		Timeout time.Duration
		// Asker waits for this connection. A dial without one is for a kept node.
		Asker durable.Asker
	}

	// Use says that a connection that is Up is the one to be used with its node.
	Use struct{ Number conn.Session }

	// Lost says that the connection to a peer is gone, and List tells so.
	Lost struct{}

	// Hangup asks to end a connection, if it still is.
	Hangup struct {
		Number conn.Session
		Reason error
	}
)

// redial is what the timers say: it is time to try a kept node again.
type redial struct{ key NodeKey }
