package channel

import (
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/chain/fees"
	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// State is one channel. Nobody but the core's Apply changes it.
type State struct {
	phase   pb.Phase
	c       *Commitments
	closing *pb.Closing
	setup   *pb.Setup // replaced as a whole, never changed
	// shutdown is a cooperative close on its way; replaced as a whole.
	shutdown *pb.Shutdown

	// Staged: it ends with the incarnation, and all but height and waiting with the connection.
	link       uint64 // number of the connection; 0 without one
	features   wire.Features
	opening    durable.Asker // waits for the channel to be opened
	synced     bool          // both sides have sent channel_reestablish
	signWanted bool
	said       [2]bool  // shutdown, by each side
	offer      *offered // what we last signed to close
	batchSize  int      // of commitment_signed that belong together; 0 outside a batch
	batch      []*wire.CommitSig
	waiting    []*waiting // adds in the inbox that no commitment carries yet
	height     uint32     // of the chain; 0 while unknown
	patience   *pb.Patience
	spentBy    *chainhash.Hash // what spends the funding in a block that may yet be undone
	withheld   string          // why our commitment would be published, were it not in doubt
	// firstHeight is the first that this incarnation has seen.
	firstHeight uint32
}

// maxAgreed is how many closing transactions are kept, and published by us: a peer may negotiate again and again.
const maxAgreed = 20

// waiting is an AddHTLC that is left in the inbox until a signature carries it: staged as the message it is, with its
// place and its sender.
type waiting struct {
	*pb.AddHTLC
	ref  durable.Ref
	from durable.Address
}

// answered takes an add out of those that wait: it was refused. Staged.
type answered struct {
	*pb.HTLCRefused
	ref durable.Ref
}

// asked notes who waits for the channel to be opened. Staged.
type asked struct {
	*pb.Linked
	asker durable.Asker
}

// offered is the last closing transaction that we offered over this connection. Staged.
type offered struct {
	*pb.ClosingAgreed
	legacy  *wire.ClosingSigned
	against *wire.ClosingSigned // the peer's, which legacy is the answer to without agreeing
	simple  *wire.ClosingComplete
}

// batched is a commitment_signed that waits for the others of its batch; staged.
type batched struct {
	*pb.Signatures
	message *wire.CommitSig
}

// snapshot is what is stored.
func (s *State) snapshot() *pb.Snapshot {
	out := &pb.Snapshot{Phase: s.phase}
	if s.c != nil {
		out.Commitments = s.c.proto()
	}
	if s.closing != nil {
		out.Closing = proto.CloneOf(s.closing)
	}
	if s.setup != nil {
		out.Setup = proto.CloneOf(s.setup)
	}
	if s.shutdown != nil {
		out.Shutdown = proto.CloneOf(s.shutdown)
	}
	return out
}

func recovered(p *pb.Snapshot) (*State, error) {
	s, r := &State{phase: p.GetPhase(), closing: p.GetClosing(), setup: p.GetSetup(), shutdown: p.GetShutdown()}, &reader{}
	if p.GetCommitments() != nil {
		s.c = r.commitments(p.GetCommitments())
	}
	return s, r.err
}

// refs are the inbox entries of the adds that the next signature carries: all that wait, once the height is known.
func (s *State) refs() []durable.Ref {
	if s.height == 0 {
		return nil
	}
	refs := make([]durable.Ref, len(s.waiting))
	for i, w := range s.waiting {
		refs[i] = w.ref
	}
	return refs
}

// must reads what this program wrote itself: an event that does not parse is a bug.
func must[T any](read func(*reader) T) T {
	r := &reader{}
	v := read(r)
	if r.err != nil {
		panic(fmt.Errorf("channel: event: %w", r.err))
	}
	return v
}

// apply folds one event in, stored or staged.
func (s *State) apply(event proto.Message) {
	switch ev := event.(type) {
	case *pb.HTLCAdded:
		s.c.add(must(func(r *reader) *HTLC { return r.htlc(ev.GetHtlc()) }))
	case *pb.HTLCRemoved:
		if h := s.c.htlc(sideOf(ev.GetBy()), ev.GetId()); h.Removal == nil {
			h.Removal = must(func(r *reader) *Removal { return r.removal(ev.GetRemoval()) })
		}
	case *pb.PreimageLearned:
		s.c.htlc(Local, ev.GetId()).Preimage = must(func(r *reader) *[32]byte { return r.preimage(ev.GetPreimage()) })
	case *pb.FeeChanged:
		s.c.setFee(fees.SatPerKW(ev.GetSatPerKw()))
	case *pb.CommitmentSigned:
		s.c.SignedAfter, s.c.Awaiting = s.c.LocalNumber, true
		s.c.advance(weSigned)
		if s.height > 0 { // else none of them is proposed
			s.waiting, s.patience = nil, nil // in replay nothing waits
		}
	case *pb.CommitmentReceived:
		s.c.received(ev)
		s.batchSize, s.batch = 0, nil
	case *pb.RevocationReceived:
		s.c.revoked(ev)
	case *pb.Failed:
		s.phase, s.closing = pb.Phase_CLOSING, ev.GetClosing()
	case *pb.Vouched:
		s.changeSetup(func(p *pb.Setup) { p.Vouched = ev.GetDoubt() })
		s.withheld = ""
	case *pb.SetupChanged:
		s.phase, s.setup = ev.GetPhase(), ev.GetSetup()
	case *pb.Funded:
		s.phase, s.setup = pb.Phase_WAIT_CONFIRMED, ev.GetSetup()
		s.c = must(func(r *reader) *Commitments { return r.commitments(ev.GetCommitments()) })
	case *pb.Confirmed:
		s.changeSetup(func(p *pb.Setup) {
			p.Scid, p.LocalAlias, p.FundingTx, p.BlockHash = ev.GetScid(), ev.GetAlias(), nil, ev.GetBlockHash()
		})
		if s.phase == pb.Phase_WAIT_CONFIRMED {
			s.ready(pb.Phase_WAIT_READY)
		}
	case *pb.Unconfirmed:
		s.changeSetup(func(p *pb.Setup) { p.Scid, p.BlockHash = 0, nil })
		s.phase = pb.Phase_WAIT_CONFIRMED
	case *pb.ReadyReceived:
		s.changeSetup(func(p *pb.Setup) { p.RemoteReady, p.RemoteAlias = true, ev.GetAlias() })
		s.c.RemoteNextPoint = must(func(r *reader) *btcec.PublicKey { return r.key("second point", ev.GetNextPoint()) })
		s.ready(s.phase)
	case *pb.ForwardingChanged:
		s.changeSetup(func(p *pb.Setup) { p.Forwarding = ev.GetForwarding() })
	case *pb.ShutdownWanted:
		s.shut(func(p *pb.Shutdown) { p.LocalScript, p.SatPerKw = ev.GetScript(), ev.GetSatPerKw() })
	case *pb.ShutdownReceived:
		s.shut(func(p *pb.Shutdown) { p.RemoteScript = ev.GetScript() })
	case *pb.ClosingAgreed:
		s.shut(func(p *pb.Shutdown) { p.Txs = append(p.Txs, ev.GetTx()) })
		s.phase = pb.Phase_AGREED
	case *pb.Closed:
		s.phase = pb.Phase_CLOSED
	case *pb.Abandoned:
		s.phase = pb.Phase_ABANDONED
	default:
		s.applyStaged(event)
	}
}

func (s *State) applyStaged(event proto.Message) {
	switch ev := event.(type) {
	case *pb.Linked:
		s.link, s.features = ev.GetLink(), wire.ParseFeatures(ev.GetFeatures())
	case *pb.Unlinked:
		s.link, s.synced, s.signWanted, s.batchSize, s.batch = 0, false, false, 0, nil
		s.said, s.offer = [2]bool{}, nil
		if s.c != nil {
			s.c.forgetProposed()
		}
	case *pb.Synced:
		s.synced = true
	case *pb.SignWanted:
		s.signWanted = ev.GetWanted()
	case *pb.BatchStarted:
		s.batchSize, s.batch = int(ev.GetSize()), nil
	case *pb.HeightSeen:
		if s.height = ev.GetHeight(); s.firstHeight == 0 {
			s.firstHeight = s.height
		}
	case *pb.Patience:
		s.patience = ev
	case *pb.SpendSeen:
		s.spentBy = nil
		if id := ev.GetTxid(); len(id) > 0 {
			s.spentBy = (*chainhash.Hash)(id)
		}
	case *pb.Withheld:
		s.withheld = ev.GetReason()
	case *pb.ShutdownSaid:
		s.said[sideOf(ev.GetBy())] = true
	case *offered:
		s.offer = ev
	case *asked:
		s.opening = ev.asker
	case *batched:
		s.batch = append(s.batch, ev.message)
	case *answered:
		s.waiting = slices.DeleteFunc(s.waiting, func(w *waiting) bool { return w.ref == ev.ref })
		if len(s.waiting) == 0 {
			s.patience = nil
		}
	case *waiting:
		s.waiting = append(s.waiting, ev)
	default:
		panic(fmt.Sprintf("channel: unknown event %T", event))
	}
}

// changeSetup replaces the setup by a changed copy.
func (s *State) changeSetup(f func(*pb.Setup)) {
	s.setup = proto.CloneOf(s.setup)
	f(s.setup)
}

// shut replaces the shutdown by a changed copy, and begins it if this is the first that is heard of it.
func (s *State) shut(f func(*pb.Shutdown)) {
	next := &pb.Shutdown{}
	if s.shutdown != nil {
		next = proto.CloneOf(s.shutdown)
	}
	f(next)
	s.shutdown = next
	if s.phase != pb.Phase_AGREED {
		s.phase = pb.Phase_SHUTTING_DOWN
	}
}

// ready begins normal operation once both sides have said channel_ready, else the given phase.
func (s *State) ready(otherwise pb.Phase) {
	s.phase = otherwise
	if s.setup.GetScid() != 0 && s.setup.GetRemoteReady() && otherwise == pb.Phase_WAIT_READY {
		s.phase = pb.Phase_NORMAL
	}
}

// isReady tells whether HTLCs may be in the channel: both sides said channel_ready. A channel may close before that.
func (s *State) isReady() bool {
	return s.phase == pb.Phase_NORMAL || isShutting(s.phase) && s.setup.GetScid() != 0 && s.setup.GetRemoteReady()
}

// add enters an HTLC. It is there already when it was staged and is now stored.
func (c *Commitments) add(h *HTLC) {
	if c.htlc(h.By, h.ID) == nil {
		c.HTLCs[h.By] = append(c.HTLCs[h.By], h)
	}
}

// setFee proposes a fee rate, in place of one that is only proposed.
func (c *Commitments) setFee(rate fees.SatPerKW) {
	c.FeeChanges = slices.DeleteFunc(c.FeeChanges, func(f FeeChange) bool { return f.Progress == Proposed })
	c.FeeChanges = append(c.FeeChanges, FeeChange{Rate: rate, Progress: Proposed})
}

func (c *Commitments) received(ev *pb.CommitmentReceived) {
	for i, a := range c.Active {
		stored := ev.GetActive()[i]
		a.Signature = must(func(r *reader) wire.Sig { return r.signature(stored.GetSignature()) })
		a.HTLCSignatures = must(func(r *reader) []wire.Sig { return r.signatures(stored.GetHtlcSignatures()) })
	}
	c.advance(theySigned)
	c.LocalNumber++
}

func (c *Commitments) revoked(ev *pb.RevocationReceived) {
	var secret keys.Secret
	copy(secret[:], ev.GetSecret())
	if err := c.Revealed.Add(c.RemoteNumber, secret); err != nil {
		panic(fmt.Errorf("channel: %w", err)) // it was checked
	}
	c.RemotePoint = c.RemoteNextPoint
	c.RemoteNextPoint = must(func(r *reader) *btcec.PublicKey { return r.key("per-commitment point", ev.GetNextPoint()) })
	c.RemoteNumber++
	c.Awaiting = false
	c.advance(theyRevoked)
}

// advance moves every update as far as a fact takes it, and settles what has come to its end.
func (c *Commitments) advance(f fact) {
	for by, list := range c.HTLCs {
		by := Side(by)
		for _, h := range list {
			if h.Add == Proposed && h.Add.advance(by, f) != Proposed {
				c.NextID[by] = h.ID + 1
			}
			h.Add = h.Add.advance(by, f)
			// Ours may have to be sent again until it is acknowledged; the peer's is passed on once it is irrevocable.
			if by == Local && h.Add >= Acked || by == Remote && h.Add == Settled {
				h.Onion = nil
			}
			if h.Removal != nil {
				h.Removal.Progress = h.Removal.Progress.advance(by.Other(), f)
			}
		}
		c.HTLCs[by] = slices.DeleteFunc(list, func(h *HTLC) bool {
			gone := h.Removal != nil && h.Removal.Progress == Settled
			if gone && h.Removal.Preimage != nil {
				c.paid(h)
			}
			return gone
		})
	}
	for i := range c.FeeChanges {
		change := &c.FeeChanges[i]
		if change.Progress = change.Progress.advance(c.pays(), f); change.Progress == Settled {
			c.FeeRate = change.Rate
		}
	}
	c.FeeChanges = slices.DeleteFunc(c.FeeChanges, func(f FeeChange) bool { return f.Progress == Settled })
}

// paid moves the amount of a settled HTLC, on every funding.
func (c *Commitments) paid(h *HTLC) {
	for _, a := range c.Active {
		a.Balance[h.By] -= h.Amount
		a.Balance[h.By.Other()] += h.Amount
	}
	if h.By == Local {
		c.Sent += h.Amount
	} else {
		c.Received += h.Amount
	}
}

// forgetProposed drops what no signature carries and only the connection knew (BOLT 2, "Message Retransmission"). Removals
// of ours are stored, and are proposed again.
func (c *Commitments) forgetProposed() {
	for by, list := range c.HTLCs {
		c.HTLCs[by] = slices.DeleteFunc(list, func(h *HTLC) bool { return h.Add == Proposed })
	}
	for _, h := range c.HTLCs[Local] {
		if h.Removal != nil && h.Removal.Progress == Proposed {
			h.Removal = nil
		}
	}
	c.FeeChanges = slices.DeleteFunc(c.FeeChanges, func(f FeeChange) bool { return f.Progress == Proposed })
}
