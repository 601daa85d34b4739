package channel

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lightningnetwork/lnd/lnwire"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/registry"
	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// Name is the kind in the addresses of channels.
const Name = "channel"

// Core is the logic of all channels of a node.
type Core struct {
	Signer keys.Signer
	Policy Policy
	// Doubt numbers the last doubt about the node's data, 0 for none: see doubt.go.
	Doubt uint64
	// Resolver names who is told of an irrevocable HTLC of the peer, and will resolve it. It depends on the HTLC alone.
	Resolver func(*pb.IncomingHTLC) durable.Address
	// AliasKey gives channels their aliases.
	AliasKey registry.AliasKey
	// Registry is told where each channel stands; nobody is if it is empty.
	Registry durable.Address
}

var _ durable.Core[*State] = (*Core)(nil)

// Kind is how the kernel runs channels.
func Kind() durable.Kind {
	return durable.Kind{Name: Name, Creates: creates}
}

// creates tells which messages begin a channel.
func creates(body any) bool {
	switch body.(type) {
	case Open, Incoming:
		return true
	}
	return false
}

// MonitorOf is the address of a channel's monitor.
func MonitorOf(channel durable.Address) durable.Address {
	return durable.Address("monitor/" + strings.TrimPrefix(string(channel), Name+"/"))
}

// Recover implements durable.Core.
func (*Core) Recover(addr durable.Address, snapshot proto.Message) (*State, error) {
	if snapshot == nil {
		return &State{}, nil
	}
	s, err := recovered(snapshot.(*pb.Snapshot))
	if err != nil {
		return nil, fmt.Errorf("recover %s: %w", addr, err)
	}
	return s, nil
}

// Apply implements durable.Core.
func (*Core) Apply(s *State, event proto.Message) { s.apply(event) }

// Snapshot implements durable.Core.
func (*Core) Snapshot(s *State) proto.Message { return s.snapshot() }

// Resume implements durable.Core.
func (c *Core) Resume(s *State, env durable.Env) durable.Outcome {
	t := c.turn(s, durable.Message{}, env)
	switch {
	case isOpening(s.phase):
		// The connection is gone, and the peer has forgotten the channel.
		t.out.Next = []any{abandonNow{}}
	case s.setup != nil && s.phase != pb.Phase_ABANDONED && s.phase != pb.Phase_CLOSED:
		t.resumeFunding()
		t.resumeClosing()
	}
	if s.phase == pb.Phase_CLOSING {
		t.publish()
	}
	return t.out
}

// Decide implements durable.Core.
func (c *Core) Decide(s *State, m durable.Message, env durable.Env) durable.Outcome {
	t := c.turn(s, m, env)
	if err := t.decide(); err != nil {
		t.failed(err)
	}
	t.tellStanding()
	t.tellWatchers()
	return t.out
}

// decide hands the message to whom it is for.
func (t *turn) decide() error {
	switch body := t.m.Body.(type) {
	case *pb.AddHTLC:
		return t.addHTLC(body)
	case *pb.FulfillHTLC:
		return t.fulfillHTLC(body)
	case *pb.FailHTLC:
		return t.removeHTLC(body.GetId(), &Removal{Progress: Proposed, Reason: body.GetReason()})
	case *pb.FailMalformedHTLC:
		return t.failMalformedHTLC(body)
	case Connected:
		return t.connected(body)
	case Disconnected:
		return t.disconnected(body)
	case Received:
		return t.received(body)
	case Height:
		return t.heightSeen(body.Height)
	case SetFeeRate:
		return t.setFeeRate(body.Rate)
	case Close:
		return t.close(body)
	case ForceClose:
		return t.forceClose()
	case Figures:
		return t.figures()
	case Describe:
		return t.describe()
	case signNow:
		return t.signNow()
	case prepareNow:
		return t.prepareNext()
	case revocationLate:
		return t.giveUpRevocation(body)
	case outOfReach:
		return t.giveUpWaiting()
	case Open:
		return t.open(body)
	case Incoming:
		return t.incoming(body)
	case *pb.FundingReady:
		return t.fundingReady(body)
	case *pb.FundingRefused:
		return t.fundingRefused(body)
	case FundingConfirmed:
		return t.fundingConfirmed(body)
	case FundingUndone:
		return t.fundingUndone()
	case FundingSpend:
		return t.fundingSpend(body)
	case FundingSpent:
		return t.fundingSpent(body)
	case abandonNow:
		t.abandon("the node restarted")
		return nil
	case openingLate:
		t.giveUpOpening()
		return nil
	case publishNow:
		t.publish()
		return nil
	default:
		if t.m.Durable() {
			return nil // someone whom we told something is not there any more
		}
		return refuse(pb.RefusalCode_BAD_REQUEST, "a channel knows nothing of %T", body)
	}
}

// turn is one decision on its way.
type turn struct {
	*Core
	*State
	env durable.Env
	m   durable.Message
	out durable.Outcome

	peer [33]byte
	id   wire.ChannelID // as the peer knows the channel now
	via  uint64         // the connection
}

func (c *Core) turn(s *State, m durable.Message, env durable.Env) *turn {
	t := &turn{Core: c, State: s, env: env, m: m, via: s.link}
	switch {
	case s.c != nil:
		t.peer, t.id = s.c.Peer, s.c.ChannelID
	case s.setup != nil:
		copy(t.peer[:], s.setup.GetContract().GetPeer())
		copy(t.id[:], s.setup.GetTemporaryId())
	}
	return t
}

func (t *turn) event(events ...proto.Message) { t.out.Events = append(t.out.Events, events...) }
func (t *turn) stage(events ...proto.Message) { t.out.Stage = append(t.out.Stage, events...) }

func (t *turn) send(to durable.Address, body proto.Message) {
	t.out.Send = append(t.out.Send, durable.Envelope{To: to, Body: body})
}

func (t *turn) release(e durable.Effect) { t.out.Release = append(t.out.Release, e) }

// write sends messages to the peer.
func (t *turn) write(messages ...wire.Message) {
	for _, m := range messages {
		t.release(SendWire{Peer: t.peer, Link: t.via, Message: m})
	}
}

// writeWithSignature sends a message that the peer can do nothing with before the `commitment_signed` that is to follow soon:
// both wait for one sync.
func (t *turn) writeWithSignature(m wire.Message) {
	t.release(durable.Lazy{Effect: SendWire{Peer: t.peer, Link: t.via, Message: m}})
}

// monitor tells the channel's monitor.
func (t *turn) monitor(u *pb.MonitorUpdate) { t.send(MonitorOf(t.env.Self()), u) }

// wantSign has the channel sign once it has seen what already waits, so that a burst becomes one commitment.
func (t *turn) wantSign() {
	if t.signWanted {
		return
	}
	t.stage(&pb.SignWanted{Wanted: true})
	t.out.Next = append(t.out.Next, signNow{})
}

// failed turns an error into an outcome that changes nothing but what the error demands.
func (t *turn) failed(err error) {
	var refusal *Refusal
	var wrong *Violation
	t.out = durable.Outcome{}
	switch {
	case errors.As(err, &wrong) && isOpening(t.phase):
		t.failOpening(err)
	case errors.As(err, &wrong) && wrong.Fatal && t.phase == pb.Phase_AGREED:
		t.letGo()
	case errors.As(err, &wrong) && wrong.Fatal:
		t.write(t.wireError(err))
		t.fail(&pb.Closing{Reason: "the peer broke the protocol: " + err.Error()})
	case errors.As(err, &wrong):
		warning := &wire.Warning{ChanID: t.id, Data: lnwire.WarningData(err.Error())}
		t.write(warning)
		t.hangup(err)
		t.out.Refuse = err
	case errors.As(err, &refusal):
		t.out.Refuse = err
	default:
		// Something of ours is not there, the signer say. What the peer sent meanwhile it will send again.
		t.hangup(err)
	}
}

// wireError is an error for the peer.
func (t *turn) wireError(err error) *wire.Error {
	return &wire.Error{ChanID: t.id, Data: lnwire.ErrorData(err.Error())}
}

// hangup ends the connection, and from now on nothing that comes over it counts.
func (t *turn) hangup(why error) {
	t.abandon(why.Error())
	if t.link != 0 {
		t.release(Hangup{Peer: t.peer, Link: t.link, Reason: why})
		t.stage(&pb.Unlinked{})
		t.bePatient()
	}
}
