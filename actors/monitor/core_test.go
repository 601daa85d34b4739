package monitor

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"stormcell/actors/durable"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/monitor"
	"stormcell/messages/record"
)

const self durable.Address = "monitor/7"

// env is all that a monitor may ask of it.
type env struct{ durable.Env }

func (env) Self() durable.Address { return self }

// host runs one monitor as the kernel does, with an inbox and a snapshot that survive a restart.
type host struct {
	t        rapid.TB
	core     *Core
	state    *State
	snapshot *record.Record
	inbox    []letter
	columns  map[string]*record.Record
	lsn      int
	done     bool
	commits  int
	answers  []any
	next     []any
}

type letter struct {
	ref durable.Ref
	rec record.Record
}

func newHost(t rapid.TB) *host {
	h := &host{t: t, core: &Core{}, columns: map[string]*record.Record{}}
	h.restart()
	return h
}

func (h *host) encode(m proto.Message) record.Record {
	r, err := record.Encode(m)
	require.NoError(h.t, err)
	return r
}

func (h *host) decode(r record.Record) proto.Message {
	m, err := record.Decode(r)
	require.NoError(h.t, err)
	return m
}

// restart loses all but the log.
func (h *host) restart() {
	var snapshot proto.Message
	if h.snapshot != nil {
		snapshot = h.decode(*h.snapshot)
	}
	var err error
	h.state, err = h.core.Recover(self, snapshot)
	require.NoError(h.t, err)
	h.next = nil
	if h.snapshot != nil {
		h.next = h.core.Resume(h.state, env{}).Next
	}
	for _, l := range slices.Clone(h.inbox) {
		h.decide(durable.Message{ID: l.ref, Body: h.decode(l.rec)})
	}
}

// deliver brings a durable message.
func (h *host) deliver(m proto.Message) {
	h.lsn++
	l := letter{ref: durable.Ref{LSN: durable.Ref{}.LSN + 1}, rec: h.encode(m)}
	l.ref.N = uint32(h.lsn)
	h.inbox = append(h.inbox, l)
	h.decide(durable.Message{ID: l.ref, Body: h.decode(l.rec)})
}

func (h *host) decide(m durable.Message) {
	before := h.encode(h.core.Snapshot(h.state))
	out := h.core.Decide(h.state, m, env{})
	require.Equal(h.t, before, h.encode(h.core.Snapshot(h.state)), "Decide changes nothing")
	for _, ev := range slices.Concat(out.Events, out.Stage) {
		h.core.Apply(h.state, ev)
	}
	if len(out.Events) > 0 {
		h.commits++
		snapshot := h.encode(h.core.Snapshot(h.state))
		h.snapshot, h.done = &snapshot, out.Done
	}
	if !out.Keep {
		consumed := append(slices.Clone(out.Also), m.ID)
		h.inbox = slices.DeleteFunc(h.inbox, func(l letter) bool { return slices.Contains(consumed, l.ref) })
	}
	for _, c := range out.Put {
		if c.Value == nil {
			delete(h.columns, c.Key)
			continue
		}
		require.NotContains(h.t, h.columns, c.Key, "a revoked state is written once")
		r := h.encode(c.Value)
		h.columns[c.Key] = &r
	}
	for _, e := range out.Release {
		h.answers = append(h.answers, e.(durable.Reply).Body)
	}
	h.next = append(h.next, out.Next...)
}

// rest lets the monitor take what it sent itself.
func (h *host) rest() {
	for len(h.next) > 0 {
		body := h.next[0]
		h.next = h.next[1:]
		h.decide(durable.Message{Body: body})
	}
}

func (h *host) holdings() *pb.Snapshot {
	h.decide(durable.Message{Body: Holdings{}})
	return h.answers[len(h.answers)-1].(*pb.Snapshot)
}

func htlc(by channelpb.Side, id uint64) *channelpb.CommittedHTLC {
	return &channelpb.CommittedHTLC{By: by, Id: id, AmountMsat: 1000 + id, PaymentHash: make([]byte, 32), Origin: "shard/1"}
}

func commitment(number uint64, htlcs ...*channelpb.CommittedHTLC) *channelpb.SignedCommitment {
	return &channelpb.SignedCommitment{
		Number: number, Point: []byte{2}, SatPerKw: 253, Htlcs: htlcs, Active: []*channelpb.Commitment{{CapacitySat: 1}},
	}
}

func first() *channelpb.MonitorUpdate {
	return &channelpb.MonitorUpdate{
		Contract: &channelpb.Contract{KeyIndex: 7}, Remote: commitment(0), Local: commitment(0),
	}
}

func secret(number uint64) []byte { return slices.Repeat([]byte{byte(number)}, 32) }

func preimage(by channelpb.Side, id uint64) *channelpb.Preimage {
	return &channelpb.Preimage{By: by, Id: id, Preimage: slices.Repeat([]byte{byte(by), byte(id)}, 16)}
}

func TestOnlyTheFirstNewsCreates(t *testing.T) {
	t.Parallel()
	require.True(t, Kind().Creates(first()))
	require.False(t, Kind().Creates(&channelpb.MonitorUpdate{Preimages: []*channelpb.Preimage{preimage(0, 1)}}))
	require.False(t, Kind().Creates(&channelpb.Recorded{}))
	require.False(t, Kind().Creates(Holdings{}))
}

func TestFirstNewsIsStoredAtOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.deliver(first())
	require.NotNil(t, h.snapshot)
	require.Empty(t, h.inbox)
}

func TestNewsWaitsInTheInboxUntilThereIsEnough(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.deliver(first())
	for id := range uint64(maxKept - 1) {
		h.deliver(&channelpb.MonitorUpdate{Preimages: []*channelpb.Preimage{preimage(channelpb.Side_LOCAL, id)}})
	}
	require.Len(t, h.inbox, maxKept-1)
	require.Equal(t, 1, h.commits)
	require.Len(t, h.holdings().GetPreimages(), maxKept-1, "it answers with what waits as well")
	h.restart()
	require.Len(t, h.holdings().GetPreimages(), maxKept-1)
	h.deliver(&channelpb.Recorded{By: channelpb.Side_LOCAL, Id: 0})
	require.Empty(t, h.inbox)
	require.Equal(t, 2, h.commits)
}

func TestLargeNewsIsConsumedSooner(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.deliver(first())
	var htlcs []*channelpb.CommittedHTLC
	for id := range uint64(966) {
		htlcs = append(htlcs, htlc(channelpb.Side_LOCAL, id))
	}
	for n := uint64(1); h.commits < 2; n++ {
		h.deliver(&channelpb.MonitorUpdate{Local: commitment(n, htlcs...)})
		require.Less(t, n, uint64(20))
	}
	require.Empty(t, h.inbox)
}

func TestCommitmentsFollowTheDance(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.deliver(first())
	h.deliver(&channelpb.MonitorUpdate{Remote: commitment(1, htlc(channelpb.Side_LOCAL, 0))})
	held := h.holdings()
	require.EqualValues(t, 0, held.GetRemote().GetNumber(), "the peer may still publish what it has not revoked")
	require.EqualValues(t, 1, held.GetNext().GetNumber())
	h.deliver(&channelpb.MonitorUpdate{Revocation: &channelpb.Revocation{Number: 0, Secret: secret(0)}})
	held = h.holdings()
	require.EqualValues(t, 1, held.GetRemote().GetNumber())
	require.Nil(t, held.GetNext())
	require.EqualValues(t, 1, held.GetRevoked())
	h.deliver(&channelpb.MonitorUpdate{Local: commitment(1, htlc(channelpb.Side_LOCAL, 0))})
	require.EqualValues(t, 1, h.holdings().GetLocal().GetNumber())
}

func TestRevocationOfAnythingElseIsABug(t *testing.T) {
	t.Parallel()
	for name, number := range map[string]uint64{"early": 1, "repeated": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.deliver(first())
			if name == "repeated" {
				h.deliver(&channelpb.MonitorUpdate{Remote: commitment(1)})
				h.deliver(&channelpb.MonitorUpdate{Revocation: &channelpb.Revocation{Number: 0, Secret: secret(0)}})
				h.deliver(&channelpb.MonitorUpdate{Remote: commitment(2)})
			}
			require.Panics(t, func() {
				h.deliver(&channelpb.MonitorUpdate{Revocation: &channelpb.Revocation{Number: number, Secret: secret(number)}})
			})
		})
	}
}

func TestPreimagesStayAsLongAsTheyAreNeeded(t *testing.T) {
	t.Parallel()
	const local, remote = channelpb.Side_LOCAL, channelpb.Side_REMOTE
	h := newHost(t)
	h.deliver(first())
	h.deliver(&channelpb.MonitorUpdate{Local: commitment(1, htlc(remote, 4), htlc(local, 4))})
	h.deliver(&channelpb.MonitorUpdate{Remote: commitment(1, htlc(remote, 4), htlc(local, 4))})
	h.deliver(&channelpb.MonitorUpdate{Revocation: &channelpb.Revocation{Number: 0, Secret: secret(0)}})
	h.deliver(&channelpb.MonitorUpdate{Preimages: []*channelpb.Preimage{preimage(remote, 4), preimage(local, 4)}})
	h.deliver(&channelpb.MonitorUpdate{Preimages: []*channelpb.Preimage{preimage(remote, 4)}})
	require.Len(t, h.holdings().GetPreimages(), 2, "each once")

	h.deliver(&channelpb.Recorded{By: remote, Id: 4})
	require.Len(t, h.holdings().GetPreimages(), 2, "the peer's HTLC has yet to be claimed on the chain, maybe")
	h.deliver(&channelpb.MonitorUpdate{Remote: commitment(2, htlc(local, 4))})
	h.deliver(&channelpb.MonitorUpdate{Revocation: &channelpb.Revocation{Number: 1, Secret: secret(1)}})
	require.Len(t, h.holdings().GetPreimages(), 2, "our own commitment has it still")
	h.deliver(&channelpb.MonitorUpdate{Local: commitment(2)})
	require.Equal(t, []*channelpb.Preimage{preimage(local, 4)}, h.holdings().GetPreimages(), "our HTLC's waits for Recorded")
	h.deliver(&channelpb.Recorded{By: local, Id: 4})
	require.Empty(t, h.holdings().GetPreimages())
}

func TestDoneWhenNothingIsLeft(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.deliver(first())
	for n := range uint64(2*sweepStep + 1) {
		h.deliver(&channelpb.MonitorUpdate{Remote: commitment(n + 1)})
		h.deliver(&channelpb.MonitorUpdate{Revocation: &channelpb.Revocation{Number: n, Secret: secret(n)}})
	}
	h.deliver(&channelpb.MonitorUpdate{Preimages: []*channelpb.Preimage{preimage(channelpb.Side_LOCAL, 9)}})
	require.NotEmpty(t, h.columns)
	h.deliver(&channelpb.MonitorUpdate{Finished: true})
	require.False(t, h.done, "a preimage is not recorded yet")
	h.restart()
	h.rest()
	require.Empty(t, h.columns, "the revoked states are deleted")
	require.False(t, h.done)
	h.deliver(&channelpb.Recorded{By: channelpb.Side_LOCAL, Id: 9})
	require.True(t, h.done)
	require.Nil(t, h.holdings().GetLocal())
	h.deliver(&channelpb.Recorded{By: channelpb.Side_LOCAL, Id: 9})
	require.True(t, h.done, "late news changes nothing")
}

func TestNoCommitmentAfterTheEnd(t *testing.T) {
	t.Parallel()
	for want, news := range map[error]*channelpb.MonitorUpdate{ErrBehind: {Behind: true}, ErrFinished: {Finished: true}} {
		h := newHost(t)
		h.deliver(first())
		h.deliver(news)
		h.restart()
		require.ErrorIs(t, h.core.Decide(h.state, durable.Message{Body: Latest{}}, env{}).Refuse, want)
	}
}

// TestNoCommitmentInDoubt: it may be revoked, until the peer has vouched for the channel.
func TestNoCommitmentInDoubt(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	opened := first()
	opened.Vouched = 1
	h.deliver(opened)
	latest := func() error { return h.core.Decide(h.state, durable.Message{Body: Latest{}}, env{}).Refuse }
	for doubt := range uint64(4) {
		h.core.Doubt = doubt
		h.restart()
		if doubt < 2 {
			require.NotErrorIs(t, latest(), ErrDoubted)
			continue
		}
		require.ErrorIs(t, latest(), ErrDoubted)
		h.deliver(&channelpb.MonitorUpdate{Vouched: doubt - 1})
		require.ErrorIs(t, latest(), ErrDoubted)
		h.deliver(&channelpb.MonitorUpdate{Vouched: doubt})
		h.deliver(&channelpb.MonitorUpdate{Vouched: 1})
		require.NotErrorIs(t, latest(), ErrDoubted)
		h.restart()
		require.NotErrorIs(t, latest(), ErrDoubted)
	}
}

// TestHoldsWhatItWasTold plays a dance by chance, with restarts at any moment, beside a model that remembers everything.
func TestHoldsWhatItWasTold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := newHost(t)
		h.deliver(first())
		history := []*channelpb.SignedCommitment{commitment(0)} // of the peer
		local, revoked, id := commitment(0), 0, uint64(0)
		recorded, learned := map[uint64]bool{}, map[uint64]bool{}
		for range rapid.IntRange(1, 250).Draw(t, "steps") {
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0, 1:
				if revoked+1 == len(history) {
					id++
					history = append(history, commitment(uint64(len(history)), htlc(channelpb.Side_LOCAL, id), htlc(channelpb.Side_REMOTE, id)))
					h.deliver(&channelpb.MonitorUpdate{Remote: history[len(history)-1]})
				}
			case 2, 3:
				if revoked+1 < len(history) {
					h.deliver(&channelpb.MonitorUpdate{Revocation: &channelpb.Revocation{Number: uint64(revoked), Secret: secret(uint64(revoked))}})
					revoked++
				}
			case 4:
				local = commitment(local.GetNumber()+1, htlc(channelpb.Side_LOCAL, id))
				h.deliver(&channelpb.MonitorUpdate{Local: local})
			case 5:
				of := rapid.Uint64Range(0, id).Draw(t, "preimage of")
				if learned[of] && !recorded[of] {
					recorded[of] = true
					h.deliver(&channelpb.Recorded{By: channelpb.Side_LOCAL, Id: of})
				} else if !learned[of] {
					learned[of] = true
					h.deliver(&channelpb.MonitorUpdate{Preimages: []*channelpb.Preimage{preimage(channelpb.Side_LOCAL, of)}})
				}
			default:
				h.restart()
			}
		}
		held := h.holdings()
		require.True(t, proto.Equal(local, held.GetLocal()))
		require.True(t, proto.Equal(history[revoked], held.GetRemote()))
		require.Equal(t, revoked+1 < len(history), held.GetNext() != nil)
		require.Len(t, held.GetPreimages(), len(learned)-len(recorded))
		h.deliver(&channelpb.MonitorUpdate{Behind: true, Finished: true}) // consumes all that waits
		require.Empty(t, h.inbox)
		require.Len(t, h.columns, revoked)
		for n := range revoked {
			column := h.decode(*h.columns[RevokedKey(self, uint64(n))]).(*pb.Revoked)
			require.Equal(t, secret(uint64(n)), column.GetSecret())
			require.EqualValues(t, n, column.GetCommitment().GetNumber())
			require.Len(t, column.GetCommitment().GetHtlcs(), len(history[n].GetHtlcs()), fmt.Sprint(n))
		}
	})
}
