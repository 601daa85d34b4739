package rpc

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"stormcell/messages/lnrpc"
)

// patience is how long anything may take before a test gives up.
const patience = 30 * time.Second

// anyone trusts whoever answers.
var anyone = &tls.Config{InsecureSkipVerify: true}

// counted dials, and counts how often.
func counted(dials *atomic.Int64) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, at string) (net.Conn, error) {
		dials.Add(1)
		return new(net.Dialer).DialContext(ctx, network, at)
	}
}

// grpcCaller makes a client of its own connection, with the admin's macaroon. It gives its call, which asks for the channels.
func grpcCaller(t *testing.T, s *Server, dials *atomic.Int64) (call func() error) {
	t.Helper()
	dial := counted(dials)
	conn, err := grpc.NewClient("passthrough:///"+s.Addr().String(),
		grpc.WithContextDialer(func(ctx context.Context, at string) (net.Conn, error) { return dial(ctx, "tcp", at) }),
		grpc.WithTransportCredentials(credentials.NewTLS(anyone)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return func() error {
		ctx, cancel := context.WithTimeout(withAdmin(t, s), patience)
		defer cancel()
		_, err := lnrpc.NewLightningClient(conn).ListChannels(ctx, &lnrpc.ListChannelsRequest{})
		return err
	}
}

// withAdmin is a context with the admin's macaroon.
func withAdmin(t *testing.T, s *Server) context.Context {
	t.Helper()
	return metadata.AppendToOutgoingContext(t.Context(), "macaroon", hex.EncodeToString(s.macaroons.admin))
}

// restCaller is grpcCaller for REST.
func restCaller(t *testing.T, s *Server, dials *atomic.Int64) (call func() error) {
	t.Helper()
	client := restClient(t, counted(dials))
	return func() error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.RESTAddr().String()+"/v1/channels", nil)
		if err != nil {
			return err
		}
		request.Header.Set(macaroonHeader, hex.EncodeToString(s.macaroons.admin))
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		said, err := io.ReadAll(answer.Body)
		if err == nil && answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", answer.Status, said)
		}
		return err
	}
}

// restClient speaks HTTP/2 with the daemon.
func restClient(t *testing.T, dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: anyone, ForceAttemptHTTP2: true, DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
