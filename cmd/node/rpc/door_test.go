package rpc

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"stormcell/peer/crowd"
)

// visit connects to an address from another one.
func visit(t *testing.T, to net.Addr, from string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.DialContext(t.Context(), "tcp", to.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

// begin makes a visit an HTTP/2 connection that has done nothing yet.
func begin(t *testing.T, conn net.Conn) *http2.Framer {
	t.Helper()
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	framer := http2.NewFramer(secure, secure)
	_, err := io.WriteString(secure, http2.ClientPreface)
	require.NoError(t, err)
	require.NoError(t, framer.WriteSettings())
	return framer
}

// awaitEnd reads until the other side has closed the connection.
func awaitEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, conn)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

// TestConnectionsThatStay: whoever holds connections keeps nobody else out, neither from his own address nor from another one, and
// does not end connections of those who have shown a macaroon.
func TestConnectionsThatStay(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]func(*testing.T, net.Conn){
		"silent": func(*testing.T, net.Conn) {},
		"half a TLS handshake": func(t *testing.T, conn net.Conn) {
			_, err := conn.Write([]byte{0x16, 3, 1, 2, 0, 1})
			require.NoError(t, err)
		},
		"HTTP/2 without a call": func(t *testing.T, conn net.Conn) { begin(t, conn) },
	} {
		for _, door := range []string{"gRPC", "REST"} {
			t.Run(name+", "+door, func(t *testing.T) {
				t.Parallel()
				l := newLightning(t, Node{Peers: fakePeers{}, Channels: &fakeChannels{}})
				serve(t, l.server)
				client, at := grpcCaller, l.server.Addr()
				if door == "REST" {
					client, at = restCaller, l.server.RESTAddr()
				}
				var dials atomic.Int64
				call := client(t, l.server, &dials)
				require.NoError(t, call(), "a friend")
				elsewhere := visit(t, at, "127.0.0.2")
				framer := begin(t, elsewhere)
				first := visit(t, at, "127.0.0.1")
				hold(t, first)
				for range maxStrangers {
					hold(t, visit(t, at, "127.0.0.1"))
				}
				awaitEnd(t, first)
				require.NoError(t, call())
				require.EqualValues(t, 1, dials.Load(), "the friend's connection has stayed")
				require.NoError(t, client(t, l.server, &dials)(), "from the same address")

				require.NoError(t, framer.WritePing(false, [8]byte{7}))
				for {
					frame, err := framer.ReadFrame()
					require.NoError(t, err, "a stranger from elsewhere has stayed")
					if ping, is := frame.(*http2.PingFrame); is && ping.IsAck() {
						break
					}
				}
			})
		}
	}
}

// TestFriendsLeaveAndCome: as many as there is room for have places of their own, which they give back. Others are served among
// strangers.
func TestFriendsLeaveAndCome(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &door{listener, crowd.New(2), newSlots(1)}
	t.Cleanup(func() { _ = d.Close() })
	next := func() (*visitor, net.Conn) {
		conn := visit(t, d.Addr(), "127.0.0.1")
		v, err := d.Accept()
		require.NoError(t, err)
		return v.(*visitor), conn
	}
	one, _ := next()
	one.befriend()
	one.befriend()
	two, _ := next()
	two.befriend()
	require.Equal(t, []int{1, 1}, []int{len(d.friends), d.strangers.Size()})
	three, _ := next()
	require.NoError(t, one.Close())
	require.Error(t, one.Close(), "as net.Conn has it")
	one.befriend()
	require.Empty(t, d.friends)
	three.befriend()
	require.Equal(t, []int{1, 1}, []int{len(d.friends), d.strangers.Size()})
	require.NoError(t, two.Close())
	require.NoError(t, three.Close())
	require.Equal(t, []int{0, 0}, []int{len(d.friends), d.strangers.Size()})
}

// TestBadMacaroonsMakeNoFriends: over gRPC and over REST.
func TestBadMacaroonsMakeNoFriends(t *testing.T) {
	t.Parallel()
	l := newLightning(t, Node{})
	m := l.server.macaroons
	from := func(ip string) context.Context { return withCaller(t.Context(), ip+":1") }
	with := func(caveat string) []byte {
		presented, err := parseMacaroon(m.admin)
		require.NoError(t, err)
		require.NoError(t, presented.AddFirstPartyCaveat([]byte(caveat)))
		serialized, err := presented.MarshalBinary()
		require.NoError(t, err)
		return serialized
	}
	require.True(t, m.good(from("10.0.0.1"), m.admin))
	require.True(t, m.good(from("10.0.0.1"), with("ipaddr 10.0.0.1")))
	require.False(t, m.good(from("10.0.0.2"), with("ipaddr 10.0.0.1")))
	require.False(t, m.good(from("10.0.0.1"), with("time-before 2020-01-01T00:00:00Z")))
	require.False(t, m.good(from("10.0.0.1"), m.admin[1:]))
	require.False(t, m.good(from("10.0.0.1"), nil))
}
