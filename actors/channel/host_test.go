package channel

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	pb "stormcell/messages/channel"
	"stormcell/messages/record"
	"stormcell/peer/wire"
	"stormcell/persistence"
)

// host runs one core as the kernel does, with a log in memory: it holds every step against the kernel's contract, and every
// state against what a restart would build.
type host struct {
	t    require.TestingT
	addr durable.Address
	core *Core

	state    *State
	session  uint64
	snapshot *record.Record
	events   []record.Record
	inbox    []letter // not consumed yet, in order
	kept     []durable.Ref
	mailbox  []durable.Message
	lsn      persistence.LSN
	random   uint64

	released []durable.Effect   // in order, not looked at yet, without Changed
	changes  int                // of Changed that were released
	sent     []durable.Envelope // to others, not looked at yet
	refused  []error
	timers   map[string]durable.SetTimer

	height uint32 // that it knows from its start on; 0 for none

	quick bool // for benchmarks: no comparing of states
}

type letter struct {
	ref  durable.Ref
	from durable.Address
	rec  record.Record
}

func newHost(t require.TestingT, addr durable.Address, core *Core, snapshot *pb.Snapshot) *host {
	h := &host{t: t, addr: addr, core: core, height: newAdd(0, 0).GetExpiry() - 1_000}
	if snapshot != nil {
		rec, err := record.Encode(snapshot)
		require.NoError(t, err)
		h.snapshot = &rec
	}
	h.restart()
	return h
}

// knowNoHeight is for tests that tell the host every height.
func (h *host) knowNoHeight() *host {
	h.height, h.state = 0, h.rebuilt()
	return h
}

func (h *host) Self() durable.Address { return h.addr }
func (h *host) Session() uint64       { return h.session }
func (h *host) Now() time.Time        { return time.Unix(1_800_000_000, 0) }

func (h *host) Random(p []byte) {
	for i := range p {
		h.random = h.random*6364136223846793005 + 1442695040888963407
		p[i] = byte(h.random >> 56)
	}
}

func (h *host) Parallel(n int, f func(int)) {
	for i := range n {
		f(i)
	}
}

// rebuilt is the state that the log gives.
func (h *host) rebuilt() *State {
	var snapshot proto.Message
	if h.snapshot != nil {
		snapshot = h.decode(*h.snapshot)
	}
	s, err := h.core.Recover(h.addr, snapshot)
	require.NoError(h.t, err)
	for _, ev := range h.events {
		h.core.Apply(s, h.decode(ev))
	}
	return s
}

func (h *host) decode(r record.Record) proto.Message {
	m, err := record.Decode(r)
	require.NoError(h.t, err)
	return m
}

// restart loses all that is volatile.
func (h *host) restart() {
	h.state, h.kept, h.mailbox, h.released, h.timers = h.rebuilt(), nil, nil, nil, map[string]durable.SetTimer{}
	h.session++
	if h.snapshot != nil || len(h.events) > 0 {
		out := h.core.Resume(h.state, h)
		require.Empty(h.t, out.Events)
		require.Empty(h.t, out.Send)
		h.act(durable.Message{}, out)
	}
	if h.height > 0 {
		h.core.Apply(h.state, &pb.HeightSeen{Height: h.height})
	}
	for _, l := range h.inbox {
		h.mailbox = append(h.mailbox, durable.Message{ID: l.ref, From: l.from, Body: h.decode(l.rec)})
	}
}

// tell sends a volatile message, and deliver a durable one.
func (h *host) tell(body any) { h.mailbox = append(h.mailbox, durable.Message{Body: body}) }

func (h *host) deliver(from durable.Address, body proto.Message) {
	rec, err := record.Encode(body)
	require.NoError(h.t, err)
	h.lsn++
	l := letter{ref: durable.Ref{LSN: h.lsn}, from: from, rec: rec}
	h.inbox = append(h.inbox, l)
	h.mailbox = append(h.mailbox, durable.Message{ID: l.ref, From: from, Body: h.decode(rec)})
}

// step decides on the next message. False when none waits.
func (h *host) step() bool {
	if len(h.mailbox) == 0 {
		return false
	}
	m := h.mailbox[0]
	h.mailbox = h.mailbox[1:]
	before := h.bytes(h.state)
	out := h.core.Decide(h.state, m, h)
	require.True(h.t, bytes.Equal(before, h.bytes(h.state)), "Decide changed the state on %T", m.Body)
	if out.Keep {
		require.True(h.t, m.Durable())
		require.Empty(h.t, out.Events)
		require.Empty(h.t, out.Send)
		require.Empty(h.t, out.Also)
		h.kept = append(h.kept, m.ID)
	} else {
		h.commit(m, out)
	}
	h.act(m, out)
	if !h.quick {
		require.Equal(h.t, h.bytes(h.rebuilt()), h.bytes(h.state), "what lives after %T is not what the log gives", m.Body)
	}
	return true
}

func (h *host) commit(m durable.Message, out durable.Outcome) {
	for _, ev := range out.Events {
		rec, err := record.Encode(ev)
		require.NoError(h.t, err)
		h.events = append(h.events, rec)
		h.core.Apply(h.state, ev)
	}
	if len(h.events) > 16 {
		rec, err := record.Encode(h.core.Snapshot(h.state))
		require.NoError(h.t, err)
		h.snapshot, h.events = &rec, nil
	}
	consumed := slices.Clone(out.Also)
	for _, ref := range out.Also {
		require.Contains(h.t, h.kept, ref)
	}
	if m.Durable() {
		consumed = append(consumed, m.ID)
	}
	h.kept = slices.DeleteFunc(h.kept, func(r durable.Ref) bool { return slices.Contains(consumed, r) })
	h.inbox = slices.DeleteFunc(h.inbox, func(l letter) bool { return slices.Contains(consumed, l.ref) })
	for _, e := range out.Send {
		_, err := record.Encode(e.Body)
		require.NoError(h.t, err)
		require.NoError(h.t, e.To.Validate())
	}
	h.sent = append(h.sent, out.Send...)
}

func (h *host) act(m durable.Message, out durable.Outcome) {
	for _, ev := range out.Stage {
		h.core.Apply(h.state, ev)
	}
	for _, body := range out.Next {
		h.tell(body)
	}
	if out.Refuse != nil {
		require.False(h.t, m.Durable(), "a durable message is refused")
		h.refused = append(h.refused, out.Refuse)
	}
	for _, e := range out.Release {
		if lazy, ok := e.(durable.Lazy); ok {
			e = lazy.Effect
		}
		if timer, ok := e.(durable.SetTimer); ok {
			h.timers[timer.Key] = timer
			continue
		}
		if _, ok := e.(Changed); ok {
			h.changes++
			continue
		}
		h.released = append(h.released, e)
	}
}

// fire lets a timer run out, if it is set.
func (h *host) fire(key string) {
	if timer, ok := h.timers[key]; ok {
		delete(h.timers, key)
		h.tell(timer.Body)
	}
}

func (h *host) bytes(s *State) []byte {
	if h.quick {
		return nil
	}
	rec, err := record.Encode(h.core.Snapshot(s))
	require.NoError(h.t, err)
	return rec.Body
}

// takeReleased hands out what left since the last call.
func (h *host) takeReleased() []durable.Effect {
	out := h.released
	h.released = nil
	return out
}

// takeSent hands out what was sent since the last call.
func (h *host) takeSent() []durable.Envelope {
	out := h.sent
	h.sent = nil
	return out
}

// overWire is a message as the other side reads it.
func overWire(t require.TestingT, m wire.Message) wire.Message {
	data, err := wire.Encode(m)
	require.NoError(t, err, "encode %T", m)
	out, err := wire.Decode(data)
	require.NoError(t, err, "decode %T", m)
	return out
}

// seedBytes spreads a number over 32 bytes.
func seedBytes(n uint64) (out [32]byte) {
	binary.BigEndian.PutUint64(out[:], n)
	return out
}
