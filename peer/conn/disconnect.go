package conn

import (
	"errors"
	"fmt"
	"io"

	"stormcell/peer/transport"
)

// Kind is why a connection ended.
type Kind string

const (
	// Closed: this node closed the connection.
	Closed Kind = "closed by this node"
	// HandlerFailed: the handler returned an error.
	HandlerFailed Kind = "handler failed"
	// QueueFull: the peer took messages more slowly than they came.
	QueueFull Kind = "outgoing queue is full"

	// PeerClosed: the peer closed the connection between two messages.
	PeerClosed Kind = "closed by the peer"
	// NetworkFailed: the network did.
	NetworkFailed Kind = "network failed"
	// WriteStalled: a message could not be written in time.
	WriteStalled Kind = "write stalled"
	// Silent: nothing came from the peer, not even after a ping.
	Silent Kind = "peer is silent"
	// InitTimeout: init did not come in time.
	InitTimeout Kind = "init did not come in time"

	// Corrupt: a message failed its authentication.
	Corrupt Kind = "corrupt message"
	// InitMissing: the first message was not init.
	InitMissing Kind = "first message is not init"
	// InitRepeated: init came twice.
	InitRepeated Kind = "init came twice"
	// FeatureMismatch: the features do not go together; the error is a *wire.FeatureError.
	FeatureMismatch Kind = "features do not match"
	// ChainMismatch: the peer is on other chains.
	ChainMismatch Kind = "peer is on another chain"
	// Malformed: a message could not be read; the error is a *wire.MalformedError or wraps wire.ErrTooShort.
	Malformed Kind = "malformed message"
	// UnknownRequired: a message of an unknown even type; the error is a *wire.UnknownEvenError.
	UnknownRequired Kind = "unknown message of even type"
	// PingFlood: too many pings.
	PingFlood Kind = "too many pings"
)

// Incompatible reports whether another connection to the same node would end the same way, until one of the two
// changes.
func (k Kind) Incompatible() bool {
	return k == FeatureMismatch || k == ChainMismatch
}

// warns reports whether the peer did something wrong that it should be told about before the connection closes.
func (k Kind) warns() bool {
	switch k {
	case InitMissing, InitRepeated, FeatureMismatch, ChainMismatch, Malformed, UnknownRequired, PingFlood:
		return true
	}
	return false
}

// drains reports whether queued messages can still reach the peer.
func (k Kind) drains() bool {
	return k.warns() || k == Closed || k == HandlerFailed || k == InitTimeout
}

// Disconnect is how a connection ended.
type Disconnect struct {
	Kind Kind
	// Err says more; it may be nil.
	Err error
}

func (d *Disconnect) Error() string {
	if d.Err == nil {
		return string(d.Kind)
	}
	return fmt.Sprintf("%s: %v", d.Kind, d.Err)
}

func (d *Disconnect) Unwrap() error { return d.Err }

// readFailure tells why a link gave no more messages.
func readFailure(err error) *Disconnect {
	switch {
	case err == io.EOF:
		return &Disconnect{Kind: PeerClosed}
	case errors.Is(err, transport.ErrCorrupt):
		return &Disconnect{Kind: Corrupt, Err: err}
	default:
		return &Disconnect{Kind: NetworkFailed, Err: err}
	}
}

// asDisconnect is an error as the reason for an end.
func asDisconnect(err error) *Disconnect {
	if d, ok := err.(*Disconnect); ok {
		return d
	}
	return &Disconnect{Kind: Closed, Err: err}
}
