package transport_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/brontide"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/stretchr/testify/require"

	"stormcell/peer/transport"
)

// replay is a socket from which given bytes come.
type replay struct {
	net.Conn
	from io.Reader
}

func (r replay) Read(p []byte) (int, error)  { return r.from.Read(p) }
func (r replay) Write(p []byte) (int, error) { return len(p), nil }
func (r replay) Close() error                { return nil }

// FuzzServer plays any bytes at a port. Nothing gets through that does not know the key.
func FuzzServer(f *testing.F) {
	secret, err := btcec.NewPrivateKey()
	require.NoError(f, err)
	key := &keychain.PrivKeyECDH{PrivKey: secret}
	one, err := brontide.NewBrontideMachine(true, key, key.PubKey()).GenActOne()
	require.NoError(f, err)
	f.Add(one[:])
	f.Add(append(one[:], make([]byte, brontide.ActThreeSize)...))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := transport.Server(context.Background(), replay{from: bytes.NewReader(data)}, key)
		var failed *transport.HandshakeError
		require.ErrorAs(t, err, &failed)
		require.NotEmpty(t, failed.Error())
	})
}
