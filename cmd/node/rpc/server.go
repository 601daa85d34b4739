// Package rpc is the daemon's API: lnd's services, and a small one of our own, over gRPC with TLS and macaroons.
package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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
	"stormcell/peer/crowd"
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
	maxStrangers        = 256 // connections that have shown no good macaroon
	maxFriends          = 256 // connections that have
	maxStreamsPerClient = 1024
	maxCalls            = 256
	maxStreams          = 2048
	maxWaiting          = 64  // of a method that waits for another node
	maxOpenCalls        = 64  // that need no macaroon
	maxOpenStreams      = 256 // likewise
	maxRequestBytes     = 256 << 10
	requestLimit        = 10 * time.Second // from a call to its request
	maxHeaderBytes      = 64 << 10
	handshakeLimit      = 10 * time.Second
	idleLimit           = 10 * time.Minute
	streamBuffer        = 64 << 10        // of a request that nobody reads yet: gRPC lets it grow to megabytes
	leastPingInterval   = 5 * time.Second // of clients, lnd's: gRPC's is five minutes, and who pings more often is cut off
)

// Options of a server. All must be set but RESTListen and Names.
type Options struct {
	Listen string
	// RESTListen is where REST is answered; empty is nowhere.
	RESTListen string
	// Names are what the certificate is for, besides this machine's own.
	Names Names
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
	rest      *rest // nil if nobody asks
	states    *states
	macaroons *macaroons
	// Calls with one answer that are under way, and with many; open ones need no macaroon.
	calls, streams         slots
	waiting                map[string]slots // of methods that wait for another node, which may take as long as it likes
	openCalls, openStreams *crowd.Crowd
	requestLimit           time.Duration

	methods  map[string]bool // that there are, as "/package.Service/Method"
	answered *prometheus.CounterVec

	unlocking slots // one: scrypt needs much memory
	node      atomic.Pointer[Node]
}

// New makes a server, and its certificate and macaroon where they are missing, and listens. Serve it.
func New(o Options) (*Server, error) {
	exists, err := fileExists(filepath.Join(o.Dir, seedFile))
	if err != nil {
		return nil, err
	}
	files := certificateFiles{
		cert: filepath.Join(o.Dir, CertFile), key: filepath.Join(o.Dir, certKeyFile), names: o.Names, log: o.Log,
	}
	certificate, err := files.load(time.Now())
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
		calls: newSlots(maxCalls), streams: newSlots(maxStreams), waiting: map[string]slots{
			lnrpc.Lightning_ConnectPeer_FullMethodName:     newSlots(maxWaiting),
			lnrpc.Lightning_OpenChannelSync_FullMethodName: newSlots(maxWaiting),
		}, openCalls: crowd.New(maxOpenCalls),
		openStreams: crowd.New(maxOpenStreams), requestLimit: requestLimit, unlocking: newSlots(1),
		methods: map[string]bool{},
		answered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stormcell_grpc_calls_total", Help: "Calls answered since the start, and streams ended.",
		}, []string{"method", "code"}),
	}
	s.grpc = s.newGRPC(maxStreamsPerClient, grpc.Creds(doorCredentials{credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
	})}))
	for service, info := range s.grpc.GetServiceInfo() {
		for _, method := range info.Methods {
			s.methods["/"+service+"/"+method.Name] = true
		}
	}
	if o.RESTListen != "" {
		// All clients of REST share one connection to this one.
		translated := s.newGRPC(maxRESTCalls, grpc.ChainStreamInterceptor(callFromREST))
		if s.rest, err = newREST(o.RESTListen, certificate, translated, macaroons, o.Log); err != nil {
			return nil, errors.Join(err, listener.Close())
		}
	}
	return s, nil
}

// newGRPC makes a server of all services. Interceptors among the options come before our own.
func (s *Server) newGRPC(streams uint32, options ...grpc.ServerOption) *grpc.Server {
	server := grpc.NewServer(append(options,
		grpc.MaxConcurrentStreams(streams),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.StaticStreamWindowSize(streamBuffer),
		grpc.ConnectionTimeout(handshakeLimit),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, MaxConnectionIdle: idleLimit}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: leastPingInterval}),
		grpc.MaxRecvMsgSize(maxRequestBytes),
		grpc.ChainStreamInterceptor(s.call),
		grpc.UnknownServiceHandler(answerUnserved),
	)...)
	services := lateServices{server}
	lnrpc.RegisterStateServer(services, &stateService{states: s.states})
	lnrpc.RegisterWalletUnlockerServer(services, &unlocker{server: s})
	lnrpc.RegisterLightningServer(services, &lightning{server: s})
	invoicesrpc.RegisterInvoicesServer(services, &holdInvoices{server: s})
	routerrpc.RegisterRouterServer(services, &router{server: s})
	verrpc.RegisterVersionerServer(services, versioner{})
	debugrpc.RegisterDebugServer(services, &debugger{server: s})
	return server
}

// Collectors are what Prometheus may know of the server.
func (s *Server) Collectors() []prometheus.Collector { return []prometheus.Collector{s.answered} }

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// RESTAddr is where the server listens for clients of REST; nil is nowhere.
func (s *Server) RESTAddr() net.Addr {
	if s.rest == nil {
		return nil
	}
	return s.rest.listener.Addr()
}

// HasWallet tells whether there is a wallet, locked or not.
func (s *Server) HasWallet() bool { return s.states.now() != lnrpc.WalletState_NON_EXISTING }

// Serve answers until Stop.
func (s *Server) Serve() error {
	ended := make(chan error, 2)
	go func() { ended <- s.grpc.Serve(newDoor(s.listener)) }()
	if s.rest != nil {
		go func() { ended <- s.rest.serve() }()
	}
	return <-ended
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
		if s.rest != nil {
			s.rest.stop(ctx)
		}
		s.grpc.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.grpc.Stop() // GracefulStop goes on waiting for what does not end, as making the key of a wallet may; we do not
	}
}
