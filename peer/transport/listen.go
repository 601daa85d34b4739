package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"stormcell/peer/address"
)

var (
	// ErrCrowded: a host has too many handshakes under way.
	ErrCrowded = errors.New("too many handshakes under way from this host")
	// ErrListenerClosed: the listener is closed.
	ErrListenerClosed = errors.New("listener is closed")
)

// ListenConfig says how to take incoming connections. Zero fields take the defaults.
type ListenConfig struct {
	// Key is our identity.
	Key NodeKey
	// Handshakes bounds the handshakes under way, and the connections through it that nobody has accepted yet. At the
	// bound no more TCP connections are taken; they wait in the kernel's queue.
	Handshakes int
	// PerHost bounds the handshakes under way with one host: an IPv4 address or an IPv6 /64. One more is closed at
	// once.
	PerHost int
	// Timeout bounds one handshake, all acts together.
	Timeout time.Duration
	// Refused, if set, hears of every connection that did not get through, and why: ErrCrowded, a *HandshakeError, or
	// what accept said. It is called by several goroutines.
	Refused func(from net.Addr, reason error)
}

// Defaults of ListenConfig.
const (
	DefaultHandshakes       = 64
	DefaultPerHost          = 16
	DefaultHandshakeTimeout = 5 * time.Second
)

// Listener takes incoming connections.
type Listener struct {
	config ListenConfig
	tcp    net.Listener
	ready  chan *Conn
	slots  chan struct{} // one per handshake under way

	stop    context.CancelCauseFunc
	stopped context.Context
	running sync.WaitGroup

	mu    sync.Mutex
	hosts map[netip.Prefix]int // handshakes under way
}

// Listen opens a host:port for incoming connections.
func Listen(at string, config ListenConfig) (*Listener, error) {
	tcp, err := net.Listen("tcp", at)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", at, err)
	}
	if config.Handshakes == 0 {
		config.Handshakes = DefaultHandshakes
	}
	if config.PerHost == 0 {
		config.PerHost = DefaultPerHost
	}
	if config.Timeout == 0 {
		config.Timeout = DefaultHandshakeTimeout
	}
	if config.Refused == nil {
		config.Refused = func(net.Addr, error) {}
	}
	l := &Listener{
		config: config,
		tcp:    tcp,
		ready:  make(chan *Conn),
		slots:  make(chan struct{}, config.Handshakes),
		hosts:  make(map[netip.Prefix]int),
	}
	l.stopped, l.stop = context.WithCancelCause(context.Background())
	l.running.Go(l.accept)
	return l, nil
}

// Accept waits for the next connection whose handshake is through. The error is ErrListenerClosed or the context's
// cause.
func (l *Listener) Accept(ctx context.Context) (*Conn, error) {
	select {
	case conn := <-l.ready:
		return conn, nil
	case <-l.stopped.Done():
		return nil, ErrListenerClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Addr is the address listened on.
func (l *Listener) Addr() net.Addr { return l.tcp.Addr() }

// Close stops listening, ends the handshakes under way, and returns when they are gone. Connections that were accepted
// stay.
func (l *Listener) Close() error {
	l.stop(ErrListenerClosed)
	err := l.tcp.Close()
	l.running.Wait()
	return err
}

func (l *Listener) accept() {
	const pause = 100 * time.Millisecond
	for {
		select {
		case l.slots <- struct{}{}:
		case <-l.stopped.Done():
			return
		}
		raw, err := l.tcp.Accept()
		if err != nil {
			<-l.slots
			if l.stopped.Err() != nil {
				return
			}
			l.config.Refused(l.tcp.Addr(), fmt.Errorf("accept: %w", err))
			// Out of file descriptors, most likely: others are about to be closed.
			select {
			case <-time.After(pause):
			case <-l.stopped.Done():
				return
			}
			continue
		}
		host := address.HostOf(raw.RemoteAddr())
		if !l.enter(host) {
			raw.Close()
			<-l.slots
			l.config.Refused(raw.RemoteAddr(), ErrCrowded)
			continue
		}
		l.running.Go(func() {
			defer func() { <-l.slots }()
			l.handshake(raw, host)
		})
	}
}

func (l *Listener) handshake(raw net.Conn, host netip.Prefix) {
	ctx, cancel := context.WithTimeout(l.stopped, l.config.Timeout)
	conn, err := Server(ctx, raw, l.config.Key)
	cancel()
	l.leave(host)
	if err != nil {
		l.config.Refused(raw.RemoteAddr(), err)
		return
	}
	select {
	case l.ready <- conn:
	case <-l.stopped.Done():
		conn.Close()
	}
}

func (l *Listener) enter(host netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hosts[host] >= l.config.PerHost {
		return false
	}
	l.hosts[host]++
	return true
}

func (l *Listener) leave(host netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hosts[host]--; l.hosts[host] == 0 {
		delete(l.hosts, host)
	}
}
