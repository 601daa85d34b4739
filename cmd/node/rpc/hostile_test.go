package rpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"stormcell/messages/lnrpc"
)

// serve lets a server answer until the test ends, and connects a client that trusts whoever answers.
func serve(t *testing.T, s *Server) *grpc.ClientConn {
	t.Helper()
	go func() { _ = s.Serve() }()
	t.Cleanup(s.grpc.Stop)
	return connect(t, s)
}

func connect(t *testing.T, s *Server) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+s.Addr().String(),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestMethodsThatAreNone: whoever reaches the port can name methods. They cost nothing that stays, and break nothing.
func TestMethodsThatAreNone(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	conn := serve(t, s)
	call := func(method string) codes.Code {
		return status.Code(conn.Invoke(t.Context(), method, &lnrpc.GetInfoRequest{}, &lnrpc.GetInfoResponse{}))
	}
	require.Equal(t, codes.Unimplemented, call("/lnrpc.Lightning/\xff\xfe"), "no text")
	require.Equal(t, codes.Unimplemented, call("/\xff/\xfe"))
	for i := range 100 {
		require.Equal(t, codes.Unimplemented, call(fmt.Sprintf("/lnrpc.Lightning/Fly%d", i)))
	}
	kept := 0
	for _, c := range s.Collectors() {
		kept += testutil.CollectAndCount(c.(prometheus.Collector))
	}
	require.LessOrEqual(t, kept, 1, "what somebody makes up is not counted by name")
	_, err := lnrpc.NewStateClient(conn).GetState(context.Background(), &lnrpc.GetStateRequest{})
	require.NoError(t, err)
}
