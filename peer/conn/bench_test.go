package conn_test

import (
	"context"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/keychain"

	"stormcell/peer/conn"
	"stormcell/peer/transport"
	"stormcell/peer/wire"
)

// countdown is a handler that says when so many messages have come.
type countdown struct {
	up   chan *conn.Conn
	left int
	done chan struct{}
}

func (h *countdown) Up(_ context.Context, c *conn.Conn, _ conn.Peer) error {
	h.up <- c
	return nil
}

func (h *countdown) Message(context.Context, conn.Session, wire.Message) error {
	if h.left--; h.left == 0 {
		close(h.done)
	}
	return nil
}

// BenchmarkUpdateAddHTLC sends update_add_htlc over loopback: encoded, encrypted, decrypted, decoded, delivered.
func BenchmarkUpdateAddHTLC(b *testing.B) {
	newKey := func() transport.NodeKey {
		key, err := btcec.NewPrivateKey()
		if err != nil {
			b.Fatal(err)
		}
		return &keychain.PrivKeyECDH{PrivKey: key}
	}
	key := newKey()
	l, err := transport.Listen("127.0.0.1:0", transport.ListenConfig{Key: key})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	out, err := (&transport.Dialer{Key: newKey()}).Dial(b.Context(), key.PubKey(), l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	in, err := l.Accept(b.Context())
	if err != nil {
		b.Fatal(err)
	}

	limits := conn.DefaultLimits()
	limits.QueueBytes = 2000 * (b.N + 100)
	limits.Messages = conn.Rate{PerSecond: 1e9, Burst: 1e9}
	limits.Bytes = conn.Rate{PerSecond: 1e12, Burst: 1e12}
	config := conn.Config{Features: wire.DefaultFeatures(), Chain: chain, Limits: limits}
	sender := &countdown{up: make(chan *conn.Conn, 1), left: -1}
	receiver := &countdown{up: make(chan *conn.Conn, 1), left: b.N, done: make(chan struct{})}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 2)
	go func() { ended <- conn.New(out, sender, config).Run(ctx) }()
	go func() { ended <- conn.New(in, receiver, config).Run(ctx) }()
	c := <-sender.up

	m := new(wire.UpdateAddHTLC)
	b.SetBytes(1450)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		m.ID = uint64(i)
		if err := c.Send(m); err != nil {
			b.Fatal(err)
		}
	}
	<-receiver.done
	b.StopTimer()
	cancel()
	<-ended
	<-ended
}
