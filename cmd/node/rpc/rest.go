package rpc

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protojson"

	"stormcell/messages/lnrpc"
	"stormcell/messages/lnrpc/invoicesrpc"
	"stormcell/messages/lnrpc/routerrpc"
	"stormcell/messages/lnrpc/verrpc"
	"stormcell/peer/crowd"
)

// rest answers lnd's REST calls: it translates them to gRPC, for a server of the same services that listens in memory only.
type rest struct {
	http     *http.Server
	listener net.Listener
	grpc     *grpc.Server
	memory   *bufconn.Listener
	conn     *grpc.ClientConn
	// writeLimit is in how much time a part of an answer has to be taken.
	writeLimit time.Duration
}

// Bounds of a REST request. An answer may take as long as its stream lasts: see timely.
const (
	maxRESTCalls  = maxCalls + maxStreams
	maxOpenREST   = maxOpenCalls + maxOpenStreams // of who has no macaroon of ours
	maxRESTBody   = 2 * maxRequestBytes           // JSON takes more
	maxOpenBody   = 16 << 10                      // as above
	restReadLimit = 30 * time.Second
	restBuffer    = 256 << 10 // of requests of one connection that nobody reads yet
	memoryBuffer  = 64 << 10
	maxAnswer     = 200 << 20
)

// macaroonHeader has a client's macaroon, in hexadecimal digits.
const macaroonHeader = "Grpc-Metadata-Macaroon"

// callerKey is the metadata with the address that a REST call comes from. Clients cannot send it.
const callerKey = "stormcell-caller"

// newREST listens on an address, for calls that server will answer.
func newREST(
	address string, certificate tls.Certificate, server *grpc.Server, macaroons *macaroons, log *slog.Logger,
) (*rest, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for clients of REST: %w", err)
	}
	r := &rest{listener: listener, grpc: server, memory: bufconn.Listen(memoryBuffer), writeLimit: restWriteLimit}
	r.conn, err = grpc.NewClient("passthrough:///rest",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return r.memory.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithStaticStreamWindowSize(streamBuffer), // so much lies there of what a slow reader has not read
	)
	if err != nil {
		return nil, err
	}
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{
			MarshalOptions: protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true},
		}),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithIncomingHeaderMatcher(func(header string) (string, bool) {
			return "macaroon", strings.EqualFold(header, macaroonHeader)
		}),
		runtime.WithMetadata(func(_ context.Context, request *http.Request) metadata.MD {
			return metadata.Pairs(callerKey, request.RemoteAddr)
		}),
		runtime.WithRoutingErrorHandler(unservedREST), runtime.WithErrorHandler(refuseREST),
	)
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		lnrpc.RegisterStateHandler, lnrpc.RegisterWalletUnlockerHandler, lnrpc.RegisterLightningHandler,
		invoicesrpc.RegisterInvoicesHandler, routerrpc.RegisterRouterHandler, verrpc.RegisterVersionerHandler,
	} {
		if err := register(context.Background(), mux, r.conn); err != nil {
			return nil, fmt.Errorf("REST: %w", err)
		}
	}
	r.http = &http.Server{
		Handler:        bounded(r.timely(mux), macaroons),
		TLSConfig:      &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		MaxHeaderBytes: maxHeaderBytes, ReadHeaderTimeout: handshakeLimit, ReadTimeout: restReadLimit, IdleTimeout: idleLimit,
		ConnContext: withVisitor,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerConnection: restBuffer, MaxReceiveBufferPerStream: streamBuffer, WriteByteTimeout: restWriteLimit,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return r, nil
}

// unservedREST answers a path that leads nowhere as gRPC answers a method that is not served.
func unservedREST(
	ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int,
) {
	if code != http.StatusNotFound {
		runtime.DefaultRoutingErrorHandler(ctx, mux, m, w, r, code)
		return
	}
	runtime.HTTPError(ctx, mux, m, w, r,
		status.Errorf(codes.Unimplemented, "this node does not serve %s %s", r.Method, r.URL.Path))
}

// refuseREST answers with an error.
func refuseREST(
	ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error,
) {
	if context.Cause(r.Context()) == errTooMany { // whatever came of that
		err = errTooMany
	}
	runtime.DefaultHTTPErrorHandler(ctx, mux, m, w, r, brief(err))
}

// bounded lets a bounded number of requests be translated at once, and reads little of those whose sender nobody knows. These
// take nothing from those who have a macaroon.
func bounded(translate http.Handler, macaroons *macaroons) http.Handler {
	friends, strangers := newSlots(maxRESTCalls), crowd.New(maxOpenREST)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := withCaller(r.Context(), r.RemoteAddr)
		serialized, err := hex.DecodeString(r.Header.Get(macaroonHeader))
		if err != nil || !macaroons.good(ctx, serialized) {
			ctx, leave := context.WithCancelCause(ctx)
			defer leave(nil)
			s := strangers.Enter(hostOf(ctx), func() {
				leave(errTooMany)
				_ = http.NewResponseController(w).SetReadDeadline(time.Unix(0, 0)) // no more of its body is waited for
			})
			defer strangers.Exit(s)
			r.Body = http.MaxBytesReader(w, r.Body, maxOpenBody)
			translate.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		befriendRequester(r.Context())
		if !friends.take() {
			http.Error(w, "too many calls at once, try again later", http.StatusServiceUnavailable)
			return
		}
		defer friends.free()
		r.Body = http.MaxBytesReader(w, r.Body, maxRESTBody)
		translate.ServeHTTP(w, r)
	})
}

// serve answers until stop.
func (r *rest) serve() error {
	ended := make(chan error, 2)
	go func() { ended <- r.grpc.Serve(r.memory) }()
	go func() {
		err := r.http.ServeTLS(newDoor(r.listener), "", "")
		if err == http.ErrServerClosed {
			err = nil
		}
		ended <- err
	}()
	return <-ended
}

// stop takes no more calls and waits for those under way, until the context ends.
func (r *rest) stop(ctx context.Context) {
	if r.http.Shutdown(ctx) != nil {
		_ = r.http.Close()
	}
	r.grpc.Stop()
	_ = r.conn.Close()
}

// fromREST gives a call of the translated the address of who made it.
func fromREST(ctx context.Context) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	from := md.Get(callerKey)
	if len(from) != 1 {
		return ctx
	}
	return withCaller(ctx, from[0])
}

// withCaller tells where a call comes from, as net/http writes it.
func withCaller(ctx context.Context, from string) context.Context {
	at, err := netip.ParseAddrPort(from)
	if err != nil {
		return ctx
	}
	return peer.NewContext(ctx, &peer.Peer{Addr: net.TCPAddrFromAddrPort(at)})
}

// callFromREST is around every call that was translated.
func callFromREST(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	return handle(server, &streamOf{stream, fromREST(stream.Context())})
}

// streamOf is a stream with another context.
type streamOf struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s *streamOf) Context() context.Context { return s.ctx }
