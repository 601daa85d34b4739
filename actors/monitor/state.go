package monitor

import (
	"cmp"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/monitor"
)

// State is one monitor. Nobody but the core's Apply changes it.
type State struct {
	stored *pb.Snapshot // replaced as a whole, never changed
	now    holdings     // with what is in the inbox

	// Staged: what waits in the inbox.
	refs    []durable.Ref
	bytes   int
	revoked []durable.Column
}

// kept is a piece of news that stays in the inbox. Staged.
type kept struct {
	proto.Message
	ref     durable.Ref
	size    int
	revoked *durable.Column
}

func (s *State) apply(event proto.Message) {
	switch ev := event.(type) {
	case *kept:
		s.now = s.now.with(ev.Message)
		s.refs, s.bytes = append(s.refs, ev.ref), s.bytes+ev.size
		if ev.revoked != nil {
			s.revoked = append(s.revoked, *ev.revoked)
		}
	case *pb.Folded:
		s.stored = s.now.snapshot()
		s.refs, s.bytes, s.revoked = nil, 0, nil
	case *pb.Swept:
		s.now = s.now.with(ev)
		s.stored = s.now.snapshot()
	default:
		s.now = s.now.with(event)
	}
}

// holdings are what a monitor has. with gives changed ones; what a field points to never changes.
type holdings struct {
	contract            *channelpb.Contract
	local, remote, next *channelpb.SignedCommitment
	preimages           [2][]*channelpb.Preimage // by who offered the HTLC, each by id
	finished, behind    bool
	revoked, swept      uint64
	vouched             uint64
}

func holdingsOf(p *pb.Snapshot) holdings {
	h := holdings{
		contract: p.GetContract(), local: p.GetLocal(), remote: p.GetRemote(), next: p.GetNext(),
		finished: p.GetFinished(), behind: p.GetBehind(), revoked: p.GetRevoked(), swept: p.GetSwept(),
		vouched: p.GetVouched(),
	}
	for _, preimage := range p.GetPreimages() {
		h.preimages[preimage.GetBy()] = append(h.preimages[preimage.GetBy()], preimage)
	}
	return h
}

func (h *holdings) snapshot() *pb.Snapshot {
	return &pb.Snapshot{
		Contract: h.contract, Local: h.local, Remote: h.remote, Next: h.next,
		Preimages: slices.Concat(h.preimages[channelpb.Side_REMOTE], h.preimages[channelpb.Side_LOCAL]),
		Finished:  h.finished, Behind: h.behind, Revoked: h.revoked, Swept: h.swept, Vouched: h.vouched,
	}
}

// empty tells whether there is nothing left to keep.
func (h *holdings) empty() bool {
	return h.finished && len(h.preimages[channelpb.Side_LOCAL]) == 0 && h.swept == h.revoked
}

// with gives the holdings after a piece of news.
func (h holdings) with(news proto.Message) holdings {
	switch news := news.(type) {
	case *channelpb.MonitorUpdate:
		h.update(news)
	case *channelpb.Recorded:
		if news.GetBy() == channelpb.Side_LOCAL {
			h.forget(news.GetId())
		}
	case *pb.Swept:
		h.swept = news.GetThrough()
	default:
		panic(fmt.Sprintf("monitor: unknown news %T", news))
	}
	return h
}

func (h *holdings) update(u *channelpb.MonitorUpdate) {
	if u.GetContract() != nil {
		h.contract = u.GetContract()
	}
	if r := u.GetRevocation(); r != nil {
		h.remote, h.next, h.revoked = h.next, nil, r.GetNumber()+1
	}
	if told := u.GetRemote(); told != nil {
		if h.remote == nil {
			h.remote = told
		} else {
			h.next = told
		}
	}
	if u.GetLocal() != nil {
		h.local = u.GetLocal()
	}
	for _, p := range u.GetPreimages() {
		h.keep(p)
	}
	h.behind, h.vouched = h.behind || u.GetBehind(), max(h.vouched, u.GetVouched())
	if h.finished = h.finished || u.GetFinished(); h.finished {
		h.local, h.remote, h.next = nil, nil, nil
	}
	if h.finished || u.GetLocal() != nil || u.GetRemote() != nil || u.GetRevocation() != nil {
		h.forgetRemoved()
	}
}

func byID(p *channelpb.Preimage, id uint64) int { return cmp.Compare(p.GetId(), id) }

// keep adds a preimage, unless it is there.
func (h *holdings) keep(p *channelpb.Preimage) {
	list := h.preimages[p.GetBy()]
	if at, there := slices.BinarySearchFunc(list, p.GetId(), byID); !there {
		h.preimages[p.GetBy()] = slices.Insert(slices.Clone(list), at, p)
	}
}

// forget drops the preimage of an HTLC of ours.
func (h *holdings) forget(id uint64) {
	list := h.preimages[channelpb.Side_LOCAL]
	if at, there := slices.BinarySearchFunc(list, id, byID); there {
		h.preimages[channelpb.Side_LOCAL] = slices.Delete(slices.Clone(list), at, at+1)
	}
}

// forgetRemoved drops the preimages of the peer's HTLCs that are on no commitment which could still be published: their
// removal is irrevocable.
func (h *holdings) forgetRemoved() {
	list := h.preimages[channelpb.Side_REMOTE]
	if len(list) == 0 {
		return
	}
	there := map[uint64]bool{}
	for _, c := range []*channelpb.SignedCommitment{h.local, h.remote, h.next} {
		for _, htlc := range c.GetHtlcs() {
			if htlc.GetBy() == channelpb.Side_REMOTE {
				there[htlc.GetId()] = true
			}
		}
	}
	h.preimages[channelpb.Side_REMOTE] = slices.DeleteFunc(slices.Clone(list), func(p *channelpb.Preimage) bool {
		return !there[p.GetId()]
	})
}
