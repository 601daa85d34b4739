package channel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"stormcell/actors/durable"
	"stormcell/actors/onchain"
	"stormcell/actors/peerbook"
	"stormcell/actors/registry"
	"stormcell/chain/backend"
	"stormcell/chain/fees"
	registrypb "stormcell/messages/registry"
)

// errRestarts closes the connections that fed an incarnation of a channel that has ended.
var errRestarts = errors.New("this node restarts a channel")

// tellAgain is how long a channel with a full mailbox is left alone.
const tellAgain = 10 * time.Millisecond

// Config is what channels need of the node. All must be set.
type Config struct {
	Kernel  *durable.Kernel
	Runtime durable.Runtime
	Desk    *onchain.Desk
	Chain   chainhash.Hash // genesis block
	// Funder provides funding transactions.
	Funder durable.Address
	// NewScript gives a script of the wallet that was never used.
	NewScript func(context.Context) ([]byte, error)
	// MaxCommitFeeRate is the most that the node sets for commitments by itself.
	MaxCommitFeeRate fees.SatPerKW
	Log              *slog.Logger
}

// Shell is the world of all channels of a node: it brings them what their peers say and what happens on the chain, and carries
// out what they release.
type Shell struct {
	Config
	registry registry.Client

	// loaded is closed when all channels of the registry are known: before that nobody's messages are taken.
	loaded  chan struct{}
	members sync.Map // by durable.Address
	links   sync.Map // *peerbook.Link by [33]byte
	routes  sync.Map // *member by route
	claims  sync.Map // *member by claim
	changed backend.Signal
	// spare are scripts of the wallet for channels of which nothing came: no peer has seen them.
	spare     chan []byte
	adjusting atomic.Bool
}

// NewShell makes the world of a node's channels.
func NewShell(c Config) *Shell {
	return &Shell{
		Config: c, registry: registry.Client{Kernel: c.Kernel}, loaded: make(chan struct{}), spare: make(chan []byte, 16),
	}
}

// Start learns from the registry which channels there are, and begins to follow the chain. The kernel and the desk run.
func (s *Shell) Start(ctx context.Context) error {
	roster, err := s.registry.Roster(ctx)
	if err != nil {
		return fmt.Errorf("find the channels: %w", err)
	}
	for _, c := range roster {
		s.enter(addressOf(c.GetKeyIndex()), c)
	}
	s.Desk.Heights(s.height)
	close(s.loaded)
	return nil
}

// Client gives access to the channels.
func (s *Shell) Client() Client { return Client{shell: s} }

// addressOf is where the channel with a key index lives.
func addressOf(keyIndex uint32) durable.Address {
	return durable.Address(Name + "/" + strconv.FormatUint(uint64(keyIndex), 10))
}

// indexOf is the key index of the channel that lives there.
func indexOf(addr durable.Address) (uint32, bool) {
	index, err := strconv.ParseUint(strings.TrimPrefix(string(addr), Name+"/"), 10, 32)
	return uint32(index), err == nil
}

// Release carries out an effect of a channel.
func (s *Shell) Release(from durable.Address, session uint64, e durable.Effect) {
	switch e := e.(type) {
	case SendWire:
		s.send(from, e)
	case Hangup:
		if link := s.linkOf(e.Peer); link != nil && uint64(link.Number) == e.Link {
			link.Conn.Close(e.Reason)
		}
	case Publish:
		s.publish(onchain.Owner{Address: from, Session: session}, e)
	case Failing:
		s.Log.Warn("a channel closes by a commitment", "channel", from, "reason", e.Reason)
	case Withheld:
		s.Log.Warn("a channel is not closed by our commitment: that may be an old one, and the peer has not shown yet that it is not",
			"channel", from, "reason", e.Reason)
	case Proved:
		s.Log.Info("a channel is current, as its peer has shown", "channel", from)
	case Changed:
		s.changed.Raise()
	case WatchFunding:
		s.watchFunding(onchain.Owner{Address: from, Session: session}, e)
	case durable.Refused:
		s.Log.Debug("a channel refused what it was told", "channel", from, "message", fmt.Sprintf("%T", e.Body), "error", e.Err)
	default:
		s.Log.Error("a channel released an unknown effect", "channel", from, "effect", fmt.Sprintf("%T", e))
	}
}

// Ended closes the connection that fed an incarnation, so that the peer sends again what that has taken along. When the
// incarnation ended because the channel did, nobody needs to find it any more.
func (s *Shell) Ended(addr durable.Address, _ uint64) {
	index, ok := indexOf(addr)
	if !ok {
		return
	}
	_ = s.Kernel.AskFunc(registry.Address, registry.Find{Index: index}, false, func(body any, err error) {
		switch c, _ := body.(*registrypb.Channel); {
		case err != nil: // the node stops
		case c == nil:
			s.withdraw(addr)
		default:
			if link := s.linkOf([33]byte(c.GetPeer())); link != nil {
				link.Conn.Close(errRestarts)
			}
		}
	})
}

// linkOf is the connection to a peer, nil when there is none.
func (s *Shell) linkOf(peer [33]byte) *peerbook.Link {
	link, ok := s.links.Load(peer)
	if !ok {
		return nil
	}
	return link.(*peerbook.Link)
}

// tell tells a channel, again and again while it has no room.
func (s *Shell) tell(addr durable.Address, body any) {
	if err := s.Kernel.Tell(addr, 0, body); errors.Is(err, durable.ErrBusy) {
		s.Runtime.AfterFunc(tellAgain, func() { s.tell(addr, body) })
	}
}
