package conn_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/stretchr/testify/require"

	"stormcell/peer/conn"
	"stormcell/peer/wire"
)

// script is a link from which given messages come, and then the end. What is written to it is lost.
type script struct {
	key    *btcec.PublicKey
	close  sync.Once
	closed chan struct{}
	left   [][]byte
}

func (s *script) ReadMessage() ([]byte, error) {
	select {
	case <-s.closed:
		return nil, net.ErrClosed
	default:
	}
	if len(s.left) == 0 {
		return nil, io.EOF
	}
	next := s.left[0]
	s.left = s.left[1:]
	return next, nil
}

func (s *script) WriteMessage([]byte) error { return nil }
func (s *script) Flush() error              { return nil }
func (s *script) Close() error {
	s.close.Do(func() { close(s.closed) })
	return nil
}
func (s *script) RemoteKey() *btcec.PublicKey { return s.key }
func (s *script) RemoteAddr() net.Addr        { return &net.TCPAddr{IP: net.IPv4(8, 8, 8, 8), Port: 9735} }

// sink is a handler that takes anything that can be sent on.
type sink struct{ t *testing.T }

func (s sink) Up(context.Context, *conn.Conn, conn.Peer) error { return nil }

func (s sink) Message(_ context.Context, _ conn.Session, m wire.Message) error {
	_, err := wire.Encode(m)
	require.NoError(s.t, err)
	return nil
}

// FuzzPeer plays any messages of an authenticated peer, with a good init before them or without. The connection ends,
// for a reason, and leaves nothing behind.
func FuzzPeer(f *testing.F) {
	encoded := func(messages ...wire.Message) []byte {
		var all []byte
		for _, m := range messages {
			data, err := wire.Encode(m)
			require.NoError(f, err)
			all = append(binary.BigEndian.AppendUint16(all, uint16(len(data))), data...)
		}
		return all
	}
	f.Add(true, encoded(&wire.Ping{NumPongBytes: 100}, &wire.Pong{}, &wire.Warning{Data: []byte("x")}, &wire.Stfu{}))
	f.Add(true, encoded(theirInit()))
	f.Add(true, encoded(&wire.Unknown{Type: wire.TypeReplyChannelRange, Body: make([]byte, 43)}, &wire.Error{}))
	f.Add(false, encoded(theirInit(), &wire.UpdateAddHTLC{}, &wire.Unknown{Type: 7777}, &wire.Unknown{Type: 7778}))
	f.Add(false, []byte{0, 1, 0})
	key, err := btcec.NewPrivateKey()
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, good bool, data []byte) {
		link := &script{key: key.PubKey(), closed: make(chan struct{})}
		if good {
			first, err := wire.Encode(theirInit())
			require.NoError(t, err)
			link.left = append(link.left, first)
		}
		for len(data) >= 2 {
			n := min(int(binary.BigEndian.Uint16(data)), len(data)-2)
			link.left = append(link.left, data[2:2+n])
			data = data[2+n:]
		}
		c := conn.New(link, sink{t}, conn.Config{Features: wire.DefaultFeatures(), Chain: chain, Inbound: true})
		var d *conn.Disconnect
		require.ErrorAs(t, c.Run(t.Context()), &d)
		require.NotEmpty(t, d.Kind)
		require.NotEqual(t, conn.HandlerFailed, d.Kind)
		<-c.Done()
	})
}
