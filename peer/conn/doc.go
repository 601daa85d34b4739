// Package conn is one live connection to a peer: the init exchange, pings, errors and warnings, and channel messages in
// order to a handler, and from anyone to the peer.
//
// It holds a fixed amount of memory whatever the peer does. Outgoing messages wait in a bounded queue; a peer that lets
// it fill is disconnected. Incoming messages do not wait at all: the reader hands each to the handler before it reads
// the next, so a handler that is full, and a rate that is exceeded, hold up this peer's socket and nothing else.
//
// A connection ends once, for one reason, a *Disconnect, and leaves no goroutine behind.
package conn
