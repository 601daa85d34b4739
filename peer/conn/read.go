package conn

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"stormcell/peer/wire"
)

const (
	// noPong is the smallest num_pong_bytes that asks for no pong (BOLT 1, "The `ping` and `pong` Messages").
	noPong = 65532
	// pongBytes is the size in bytes of the pong we ask for.
	pongBytes = 16
	// maxText in bytes is how much of a peer's text goes into a log or an error.
	maxText = 400
)

// read takes messages from the link, one after the other, until the connection ends.
func (c *Conn) read() {
	for {
		data, err := c.link.ReadMessage()
		if err != nil {
			c.end(readFailure(err))
			return
		}
		c.live(func(l *liveness) { l.hear(c.config.Clock.Now()) })
		if !c.throttle(len(data)) {
			return
		}
		m, err := wire.Decode(data)
		if err == nil {
			err = c.receive(m)
		} else {
			err = c.refuse(err)
		}
		if err != nil {
			c.end(asDisconnect(err))
		}
		if c.ended.Err() != nil {
			return
		}
	}
}

// throttle waits while the peer sends more than it may. It is false if the connection ended meanwhile.
func (c *Conn) throttle(size int) bool {
	now := c.config.Clock.Now()
	wait := max(c.messages.take(1, now), c.bytes.take(float64(size), now))
	if wait == 0 {
		return true
	}
	c.log.Debug("peer is throttled", "wait", wait)
	c.live(func(l *liveness) { l.hold(true, now) })
	defer func() { c.live(func(l *liveness) { l.hold(false, c.config.Clock.Now()) }) }()
	select {
	case <-c.config.Clock.TickAfter(wait):
		return true
	case <-c.ended.Done():
		return false
	}
}

// receive deals with a message that could be read.
func (c *Conn) receive(m wire.Message) error {
	if !c.up.Load() {
		return c.receiveFirst(m)
	}
	switch m := m.(type) {
	case *wire.Init:
		return &Disconnect{Kind: InitRepeated}
	case *wire.Ping:
		return c.receivePing(m)
	case *wire.Pong:
		return nil // liveness has heard it
	case *wire.Unknown:
		c.log.Debug("unknown message ignored", "type", uint16(m.Type), "bytes", len(m.Body))
		return nil
	case *wire.Error:
		c.log.Warn("peer sent an error", "channel", m.ChanID, "text", printable(string(m.Data)))
	case *wire.Warning:
		c.log.Warn("peer sent a warning", "channel", m.ChanID, "text", printable(string(m.Data)))
	}
	return c.deliver(func() error { return c.handler.Message(c.ended, c.config.Session, m) })
}

// receiveFirst takes the message that must be init.
func (c *Conn) receiveFirst(m wire.Message) error {
	var first *wire.Init
	switch m := m.(type) {
	case *wire.Init:
		first = m
	case *wire.Error:
		return &Disconnect{Kind: InitMissing, Err: fmt.Errorf("peer refuses: %s", printable(string(m.Data)))}
	case *wire.Warning:
		return &Disconnect{Kind: InitMissing, Err: fmt.Errorf("peer warns: %s", printable(string(m.Data)))}
	default:
		return &Disconnect{Kind: InitMissing, Err: fmt.Errorf("got %s, type %d", wire.Name(m.MsgType()), m.MsgType())}
	}
	if len(first.Networks) > 0 && !slices.Contains(first.Networks, c.config.Chain) {
		return &Disconnect{Kind: ChainMismatch, Err: fmt.Errorf("peer has %v, not %v", first.Networks[0], c.config.Chain)}
	}
	features, err := wire.Negotiate(c.config.Features, first.Features)
	if err != nil {
		return &Disconnect{Kind: FeatureMismatch, Err: err}
	}
	c.live(func(l *liveness) { l.up = true })
	c.up.Store(true)
	c.log.Info("peer connected", "addr", c.link.RemoteAddr(), "features", first.Features)
	peer := Peer{
		Key: c.link.RemoteKey(), Addr: c.link.RemoteAddr(), Features: features, SeesUsAt: first.RemoteAddr,
	}
	return c.deliver(func() error { return c.handler.Up(c.ended, c, peer) })
}

func (c *Conn) receivePing(m *wire.Ping) error {
	if !c.pings.allow(1, c.config.Clock.Now()) {
		return &Disconnect{Kind: PingFlood}
	}
	if m.NumPongBytes >= noPong {
		return nil
	}
	return c.send(&wire.Pong{PongBytes: make([]byte, m.NumPongBytes)})
}

// refuse answers a message that could not be read. It ends the connection, but not for gossip that is wrong inside:
// that would take down channels over something that is about none of them, so the peer is only warned.
func (c *Conn) refuse(err error) error {
	var (
		unknown   *wire.UnknownEvenError
		malformed *wire.MalformedError
	)
	switch {
	case errors.As(err, &unknown):
		return &Disconnect{Kind: UnknownRequired, Err: err}
	case c.up.Load() && errors.As(err, &malformed) && wire.IsRouting(malformed.Type) && !errors.Is(err, wire.ErrTooShort):
		c.log.Debug("malformed gossip ignored", "err", err)
		return c.send(&wire.Warning{Data: []byte(printable(err.Error()))})
	default:
		return &Disconnect{Kind: Malformed, Err: err}
	}
}

// deliver calls the handler. While it takes its time, the peer's silence is not held against it.
func (c *Conn) deliver(call func() error) error {
	c.live(func(l *liveness) { l.hold(true, c.config.Clock.Now()) })
	err := call()
	c.live(func(l *liveness) { l.hold(false, c.config.Clock.Now()) })
	if err != nil {
		return &Disconnect{Kind: HandlerFailed, Err: err}
	}
	return nil
}

// printable is a text that is safe to show and not too long: what is not printable ASCII is replaced (BOLT 1, "The
// `error` and `warning` Messages").
func printable(text string) string {
	if len(text) > maxText {
		text = text[:maxText] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < 32 || r > 126 {
			return '?'
		}
		return r
	}, text)
}
