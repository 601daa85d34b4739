package rpc

import (
	"context"
	"crypto/tls"
	"net"
	"runtime"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"stormcell/peer/address"
	"stormcell/peer/crowd"
)

// door is a listener that bounds its connections, and never waits with taking one: others would wait behind it. Each is a stranger's
// until it has shown a macaroon that is good.
type door struct {
	net.Listener
	strangers *crowd.Crowd
	friends   slots
}

func newDoor(listener net.Listener) *door {
	return &door{listener, crowd.New(maxStrangers), newSlots(maxFriends)}
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	raw, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	v := &visitor{Conn: raw, door: d}
	v.stranger = d.strangers.Enter(address.HostOf(raw.RemoteAddr()), func() { _ = raw.Close() })
	return v, nil
}

// visitor is a connection through a door.
type visitor struct {
	net.Conn
	door     *door
	stranger *crowd.Stranger

	mu     sync.Mutex
	friend atomic.Bool
	closed bool
}

// befriend is called when a good macaroon has been shown. Where there are friends enough the visitor stays a stranger, who may have
// to leave.
func (v *visitor) befriend() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.friend.Load() || v.closed || !v.door.friends.take() {
		return
	}
	v.friend.Store(true)
	v.door.strangers.Exit(v.stranger)
}

// Close implements net.Conn.
func (v *visitor) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.friend.Load() && !v.closed {
		v.door.friends.free()
	}
	v.closed = true
	v.door.strangers.Exit(v.stranger)
	return v.Conn.Close()
}

// doorCredentials are TLS that lets a call know the visitor who makes it.
type doorCredentials struct {
	credentials.TransportCredentials
}

// tlsOfVisitor is what a call knows of its connection.
type tlsOfVisitor struct {
	credentials.TLSInfo
	*visitor
}

// ServerHandshake implements credentials.TransportCredentials.
func (d doorCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := d.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	v := raw.(*visitor)
	return &guarded{conn, v}, tlsOfVisitor{info.(credentials.TLSInfo), v}, nil
}

// guarded is a visitor's connection inside of TLS. gRPC begins every call that it reads of at once, a thousand on each connection:
// of a stranger it reads a little at a time, and goes on when others have had their turn.
type guarded struct {
	net.Conn
	visitor *visitor
}

const littleOfStrangers = 256 // bytes

// Read implements net.Conn.
func (g *guarded) Read(p []byte) (int, error) {
	if !g.visitor.friend.Load() {
		p = p[:min(len(p), littleOfStrangers)]
		runtime.Gosched()
	}
	return g.Conn.Read(p)
}

// Clone implements credentials.TransportCredentials.
func (d doorCredentials) Clone() credentials.TransportCredentials {
	return doorCredentials{d.TransportCredentials.Clone()}
}

// befriendCaller is befriend for who makes a gRPC call.
func befriendCaller(ctx context.Context) {
	if caller, ok := peer.FromContext(ctx); ok {
		if info, ok := caller.AuthInfo.(tlsOfVisitor); ok {
			info.befriend()
		}
	}
}

type visitorKey struct{}

// withVisitor lets a REST request know the visitor who makes it.
func withVisitor(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, visitorKey{}, conn.(*tls.Conn).NetConn())
}

// befriendRequester is befriend for who makes a REST request.
func befriendRequester(ctx context.Context) {
	if v, ok := ctx.Value(visitorKey{}).(*visitor); ok {
		v.befriend()
	}
}
