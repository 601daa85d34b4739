// Package rpc is the daemon's API: lnd's services, and a small one of our own, over gRPC with TLS and macaroons.
package rpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"stormcell/chain/backend"
	"stormcell/chain/wallet"
	"stormcell/messages/debugrpc"
	"stormcell/messages/lnrpc"
	"stormcell/messages/lnrpc/invoicesrpc"
	"stormcell/messages/lnrpc/routerrpc"
	"stormcell/messages/lnrpc/verrpc"
)

// Files in the data directory.
const (
	CertFile             = "tls.cert"
	certKeyFile          = "tls.key"
	MacaroonFile         = "admin.macaroon" // allows everything
	readonlyMacaroonFile = "readonly.macaroon"
	invoiceMacaroonFile  = "invoice.macaroon"
	rootKeyFile          = "macaroon.key"
	seedFile             = "seed"
)

// Bounds of what clients can have open at once. A call beyond those of one client waits, whatever it asks: so they are more
// than there are payments in flight over a full channel, each of which somebody may follow.
const (
	maxConnections      = 256
	maxStreamsPerClient = 1024
	maxCalls            = 256
	maxStreams          = 2048
	maxOpenCalls        = 64  // that need no macaroon
	maxOpenStreams      = 256 // likewise
	maxRequestBytes     = 256 << 10
	requestLimit        = 10 * time.Second // from a call to its request
	maxHeaderBytes      = 64 << 10
	handshakeLimit      = 10 * time.Second
	idleLimit           = 10 * time.Minute
)

// Options of a server. All must be set.
type Options struct {
	Listen string
	// Dir is the data directory: certificate, macaroon and seed are there.
	Dir     string
	Network backend.Network
	Log     *slog.Logger
	Levels  Levels
	// Unlocked is called once, when the seed is known. It must not block.
	Unlocked func(wallet.Seed)
	// Stop asks the daemon to stop. It must not block.
	Stop func()
}

// Levels are how much the daemon logs; levels.Levels says what the methods do.
type Levels interface {
	Set(spec string) error
	Names() []string
	Of(subsystem string) string
}

// Server answers clients.
type Server struct {
	o         Options
	log       *slog.Logger
	grpc      *grpc.Server
	listener  net.Listener
	states    *states
	macaroons *macaroons
	// Calls with one answer that are under way, and with many; open ones need no macaroon.
	calls, streams, openCalls, openStreams slots
	requestLimit                           time.Duration

	methods  map[string]bool // that there are, as "/package.Service/Method"
	answered *prometheus.CounterVec

	unlocking sync.Mutex // scrypt needs much memory: one at a time
	node      atomic.Pointer[Node]
}

// New makes a server, and its certificate and macaroon where they are missing, and listens. Serve it.
func New(o Options) (*Server, error) {
	exists, err := fileExists(filepath.Join(o.Dir, seedFile))
	if err != nil {
		return nil, err
	}
	certificate, err := certificate(filepath.Join(o.Dir, CertFile), filepath.Join(o.Dir, certKeyFile), time.Now())
	if err != nil {
		return nil, err
	}
	macaroons, err := openMacaroons(o.Dir)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for clients: %w", err)
	}
	initial := lnrpc.WalletState_NON_EXISTING
	if exists {
		initial = lnrpc.WalletState_LOCKED
	}
	s := &Server{
		o: o, log: o.Log, listener: listener, states: newStates(initial), macaroons: macaroons,
		calls: newSlots(maxCalls), streams: newSlots(maxStreams), openCalls: newSlots(maxOpenCalls),
		openStreams: newSlots(maxOpenStreams), requestLimit: requestLimit,
		methods: map[string]bool{},
		answered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stormcell_grpc_calls_total", Help: "Calls answered since the start, and streams ended.",
		}, []string{"method", "code"}),
	}
	s.grpc = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(&tls.Config{
			Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
		})),
		grpc.MaxConcurrentStreams(maxStreamsPerClient),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.ConnectionTimeout(handshakeLimit),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, MaxConnectionIdle: idleLimit}),
		grpc.MaxRecvMsgSize(maxRequestBytes),
		grpc.StreamInterceptor(s.call),
		grpc.UnknownServiceHandler(answerUnserved),
	)
	services := lateServices{s.grpc}
	lnrpc.RegisterStateServer(services, &stateService{states: s.states})
	lnrpc.RegisterWalletUnlockerServer(services, &unlocker{server: s})
	lnrpc.RegisterLightningServer(services, &lightning{server: s})
	invoicesrpc.RegisterInvoicesServer(services, &holdInvoices{server: s})
	routerrpc.RegisterRouterServer(services, &router{server: s})
	verrpc.RegisterVersionerServer(services, versioner{})
	debugrpc.RegisterDebugServer(services, &debugger{server: s})
	for service, info := range s.grpc.GetServiceInfo() {
		for _, method := range info.Methods {
			s.methods["/"+service+"/"+method.Name] = true
		}
	}
	return s, nil
}

// Collectors are what Prometheus may know of the server.
func (s *Server) Collectors() []prometheus.Collector { return []prometheus.Collector{s.answered} }

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// HasWallet tells whether there is a wallet, locked or not.
func (s *Server) HasWallet() bool { return s.states.now() != lnrpc.WalletState_NON_EXISTING }

// Serve answers until Stop.
func (s *Server) Serve() error {
	return s.grpc.Serve(netutil.LimitListener(s.listener, maxConnections))
}

// Activate lets the Lightning service answer, for a node that has started.
func (s *Server) Activate(n Node) {
	s.node.Store(&n)
	s.states.set(lnrpc.WalletState_SERVER_ACTIVE)
}

// Stop takes no more calls and waits for those under way, until the context ends.
func (s *Server) Stop(ctx context.Context) {
	s.states.end()
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
	}
}
