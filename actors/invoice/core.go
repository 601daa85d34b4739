package invoice

import (
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	channelpb "stormcell/messages/channel"
	durablepb "stormcell/messages/durable"
	pb "stormcell/messages/invoice"
	"stormcell/peer/onion"
)

// Core is the logic of invoices.
type Core struct {
	Network *chaincfg.Params
	// ECDH opens onions, SignInvoice signs invoices, with the node's key.
	ECDH        onion.ECDH
	SignInvoice func(signed []byte) ([]byte, error)
	// Height is how many blocks the chain has, zero while that is not known.
	Height func() uint32
	Policy Policy
}

var _ durable.Core[*State] = Core{}

// Policy is what the node's owner decides.
type Policy struct {
	// Keysend takes payments that nobody asked for.
	Keysend bool
	// MPPTimeout is how long the parts of a payment wait for the rest. BOLT 4 wants at least a minute.
	MPPTimeout time.Duration
	// Expiry and FinalCLTVDelta are of invoices that do not say otherwise.
	Expiry         time.Duration
	FinalCLTVDelta uint32
	// MinFinalCLTVDelta is the least that an invoice may ask for, and what a payment that nobody asked for must have.
	MinFinalCLTVDelta uint32
	// ClaimMargin is how many blocks an HTLC must have left to be claimed. The channel of a claimed HTLC is closed when its
	// peer does not settle it long enough before its expiry; this is more than that.
	ClaimMargin uint32
}

// DefaultPolicy is what most nodes want.
func DefaultPolicy() Policy {
	return Policy{
		MPPTimeout: 2 * time.Minute, Expiry: 24 * time.Hour, FinalCLTVDelta: 80, MinFinalCLTVDelta: 22,
		ClaimMargin: channel.DefaultPolicy().FulfillDeadline + 2,
	}
}

// Bounds on what is stored for one invoice.
const (
	maxParts  = 256 // held at once
	maxFailed = 32  // of earlier attempts
)

// State is an invoice. What is stored is replaced as a whole, and so can be shared. It is nil where there is none.
type State struct{ stored *pb.Invoice }

// Kind is how the kernel runs invoices. An HTLC for an unknown hash is decided on, and leaves nothing behind.
func Kind() durable.Kind {
	return durable.Kind{Name: Name, SnapshotEvery: 1, Creates: func(body any) bool {
		switch body.(type) {
		case Add, *channelpb.IncomingHTLC:
			return true
		default:
			return false
		}
	}}
}

// Recover implements durable.Core.
func (Core) Recover(_ durable.Address, snapshot proto.Message) (*State, error) {
	if snapshot == nil {
		return &State{}, nil
	}
	return &State{snapshot.(*pb.Invoice)}, nil
}

// Apply implements durable.Core.
func (Core) Apply(s *State, event proto.Message) { s.stored = event.(*pb.Invoice) }

// Snapshot implements durable.Core.
func (Core) Snapshot(s *State) proto.Message {
	if s.stored == nil {
		return &pb.Invoice{}
	}
	return s.stored
}

// Resume implements durable.Core.
func (c Core) Resume(s *State, env durable.Env) durable.Outcome {
	var out durable.Outcome
	if !holds(s.stored) {
		return out
	}
	out.Release = append(out.Release, Holding{On: true})
	if s.stored.GetStatus() == pb.Status_OPEN {
		out.Release = append(out.Release, c.timeout(s.stored, env))
	}
	return out
}

// Decide implements durable.Core.
func (c Core) Decide(s *State, m durable.Message, env durable.Env) durable.Outcome {
	height := c.Height()
	c.Height = func() uint32 { return height } // it may change meanwhile: one step sees one height
	t := &turn{Core: c, env: env, m: m, old: s.stored, i: s.stored}
	switch body := m.Body.(type) {
	case Add:
		t.add(body.Request)
	case *channelpb.IncomingHTLC:
		t.receive(body)
	case Settle:
		t.settle(body.Preimage)
	case Cancel:
		t.cancel()
	case Height:
		t.newHeight(body.Height)
	case tooLong:
		t.waitedTooLong()
	case *durablepb.Absent:
		// A monitor that has done its work has gone, and a channel with it: nobody needs to hear of the claim there.
	default:
		panic(fmt.Sprintf("invoice: unknown message %T", m.Body))
	}
	return t.done()
}

// turn is one decision under way.
type turn struct {
	Core
	env    durable.Env
	m      durable.Message
	old, i *pb.Invoice // before, and as it will be
	out    durable.Outcome
}

// change gives the invoice to be changed.
func (t *turn) change() *pb.Invoice {
	if t.i == t.old {
		t.i = proto.CloneOf(t.old)
	}
	return t.i
}

func (t *turn) reply(body any) { t.release(durable.Reply{To: t.m.Asker, Body: body}) }

func (t *turn) refuse(err error) { t.out.Refuse = err }

func (t *turn) release(e durable.Effect) { t.out.Release = append(t.out.Release, e) }

func (t *turn) send(to durable.Address, body proto.Message) {
	t.out.Send = append(t.out.Send, durable.Envelope{To: to, Body: body})
}

func (t *turn) now() int64 { return t.env.Now().UnixNano() }

// done is the outcome. An invoice that holds nothing sleeps until something comes for it.
func (t *turn) done() durable.Outcome {
	if t.i == t.old {
		return t.out
	}
	t.forgetFailed()
	t.list()
	t.out.Events = []proto.Message{t.i}
	t.out.Done = !holds(t.i)
	if on := holds(t.i); on != holds(t.old) {
		t.release(Holding{on})
	}
	if waits := t.waits(t.i); waits && !t.waits(t.old) {
		t.release(t.timeout(t.i, t.env))
	} else if !waits && t.waits(t.old) {
		t.release(durable.StopTimer{Key: timer})
	}
	t.release(t.changed())
	return t.out
}

// changed tells those who follow the invoice. What tells channels how HTLCs end asks for no sync of its own: they do, when they
// tell the peer in a moment.
func (t *turn) changed() durable.Effect {
	changed := Changed{Invoice: t.i, Settled: t.settles()}
	if len(t.out.Send) > 0 {
		return durable.Lazy{Effect: changed}
	}
	return changed
}

// forgetFailed bounds what is kept of parts that were failed: the newest are.
func (t *turn) forgetFailed() {
	failed := 0
	for n := len(t.i.Htlcs) - 1; n >= 0; n-- {
		if t.i.Htlcs[n].State == pb.HTLCState_FAILED {
			failed++
		}
	}
	var kept []*pb.HTLC
	for _, h := range t.i.Htlcs {
		if h.State == pb.HTLCState_FAILED && failed > maxFailed {
			failed--
			continue
		}
		kept = append(kept, h)
	}
	t.i.Htlcs = kept
}

// holds tells whether an invoice has HTLCs that are neither claimed nor failed.
func holds(i *pb.Invoice) bool {
	for _, h := range i.GetHtlcs() {
		if h.GetState() == pb.HTLCState_ACCEPTED {
			return true
		}
	}
	return false
}

// waits tells whether parts wait for the rest of their set.
func (t *turn) waits(i *pb.Invoice) bool { return i.GetStatus() == pb.Status_OPEN && holds(i) }

// timer is the key of the one timer there is.
const timer = "rest of the set"

// timeout ends the waiting for the rest of a set, so long after its first part.
func (c Core) timeout(i *pb.Invoice, env durable.Env) durable.Effect {
	return durable.SetTimer{Key: timer, After: max(c.deadline(i).Sub(env.Now()), 0), Body: tooLong{}}
}

func (c Core) deadline(i *pb.Invoice) time.Time {
	for _, h := range i.GetHtlcs() {
		if h.GetState() == pb.HTLCState_ACCEPTED {
			return time.Unix(0, h.GetAcceptedNs()).Add(c.Policy.MPPTimeout)
		}
	}
	return time.Time{}
}

// Expired tells whether it is too late to pay an invoice that is open.
func Expired(i *pb.Invoice, now time.Time) bool { return now.After(expiryOf(i)) }

func expiryOf(i *pb.Invoice) time.Time {
	return time.Unix(0, i.GetCreatedNs()).Add(time.Duration(i.GetExpiryS()) * time.Second)
}

// lapsed tells whether an invoice is as good as cancelled because nobody paid it in time. It is not stored: it follows from the
// clock, and an invoice that nobody pays is never woken.
func lapsed(i *pb.Invoice, now time.Time) bool {
	return i.GetStatus() == pb.Status_OPEN && !holds(i) && Expired(i, now)
}
