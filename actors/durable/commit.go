package durable

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"stormcell/messages/journal"
	"stormcell/messages/record"
	"stormcell/persistence"
)

// commit applies and submits what a step changes. It applies first: when anything goes wrong from there on the panic
// discards the state, and nothing was stored. False says that the log has ended: then nothing of the step may leave.
func (a *shell) commit(m Message, out Outcome) bool {
	c := &persistence.Commit{Actor: a.c.addr, Before: a.head, Patient: true}
	events := encodeAll(out.Events)
	a.apply(out.Events)
	for _, e := range out.Send {
		c.Send = append(c.Send, persistence.Letter{To: e.To, Body: encode(e.Body)})
	}
	for _, col := range out.Put {
		c.Columns = append(c.Columns, encodeColumn(col))
	}
	kept := slices.DeleteFunc(slices.Clone(a.kept), func(r Ref) bool { return slices.Contains(out.Also, r) })
	c.Consume = append(c.Consume, out.Also...)
	if m.Durable() {
		c.Consume = append(c.Consume, m.ID)
	}

	stored := a.exists() || len(events) > 0
	if stored {
		c.Head = a.nextHead(m, out, kept)
		a.storeEvents(c, events)
	}
	a.apply(out.Stage)
	lsn, err := a.k.submit(a.c, c, stored && !c.Head.Done, len(kept) == 0)
	if errors.Is(err, persistence.ErrClosed) {
		a.k.fail(err)
		return false
	}
	if err != nil {
		panic(fmt.Errorf("commit of %s: %w", a.c.addr, err))
	}
	if stored {
		a.head, a.c.head = c.Head, c.Head
	}
	a.setKept(kept)
	a.horizon = lsn
	a.kind.figures.commits.Add(1)
	a.kind.figures.events.Add(uint64(len(events)))
	return true
}

// nextHead is the head record after this step, events not counted yet.
func (a *shell) nextHead(m Message, out Outcome, kept []Ref) *journal.Head {
	h := &journal.Head{}
	if a.head != nil {
		h = proto.CloneOf(a.head)
	}
	// Late messages to an actor that is done do not make it live again unless they change it.
	if len(out.Events) > 0 {
		h.Done = out.Done
	} else {
		h.Done = h.Done || out.Done
	}
	low := Ref{LSN: a.seen.LSN, N: a.seen.N + 1}
	if len(kept) > 0 {
		low = kept[0]
	}
	if (Ref{LSN: persistence.LSN(h.InboxLsn), N: h.InboxN}).Less(low) {
		h.InboxLsn, h.InboxN = uint64(low.LSN), low.N
	}
	if f := h.Failure; f != nil && m.ID == (Ref{LSN: persistence.LSN(f.Lsn), N: f.N}) {
		h.Failure = nil
	}
	return h
}

// storeEvents writes the events of a step, or a snapshot in their place when one is due.
func (a *shell) storeEvents(c *persistence.Commit, events []record.Record) {
	if len(events) == 0 {
		return
	}
	h := c.Head
	before := h.LastEvent
	if !a.kind.storesState() {
		h.LastEvent += uint64(len(events))
	}
	for _, r := range events {
		a.eventBytes += len(r.Body)
	}
	if !a.snapshotDue(h) {
		c.Events = events
		return
	}
	snap := encode(a.kind.core.snapshot(a.state))
	c.Snapshot = &snap
	if before > h.SnapshotEvent {
		c.DropFrom, c.DropTo = h.SnapshotEvent+1, before
	}
	h.SnapshotEvent, h.HasSnapshot = h.LastEvent, true
	a.eventBytes, a.snapBytes = 0, len(snap.Body)
}

func (a *shell) snapshotDue(h *journal.Head) bool {
	since := h.LastEvent - h.SnapshotEvent
	switch {
	case a.kind.storesState() || since >= maxEventsToReplay:
		return true
	default:
		return since >= uint64(a.kind.SnapshotEvery) && a.eventBytes >= a.snapBytes
	}
}

// submit puts a commit into the log and hands its messages on, in one order for all actors. stay says that the actor
// belongs into the live set; otherwise it leaves it once no message waits for it.
func (k *Kernel) submit(c *cell, commit *persistence.Commit, stay, noneKept bool) (persistence.LSN, error) {
	k.seq.Lock()
	defer k.seq.Unlock()
	self := commit.Actor
	toSelf := false
	for _, l := range commit.Send {
		toSelf = toSelf || l.To == self
		if !k.live[l.To] && !slices.Contains(commit.Wake, l.To) {
			commit.Wake = append(commit.Wake, l.To)
		}
	}
	switch {
	case stay && !k.live[self] && !slices.Contains(commit.Wake, self):
		commit.Wake = append(commit.Wake, self)
	case !stay && k.live[self] && noneKept && !toSelf && c.idle():
		commit.Leave = true
	}
	lsn, err := k.journal.Submit(commit)
	if err != nil {
		return 0, err
	}
	k.backlog.submitted(lsn)
	for _, addr := range commit.Wake {
		k.live[addr] = true
	}
	if commit.Leave {
		delete(k.live, self)
	}
	for i, l := range commit.Send {
		id := Ref{LSN: lsn, N: uint32(i)}
		// The kind is known: the step was checked.
		_ = k.cellOf(l.To, func(to *cell) { to.post(&item{msg: Message{ID: id, From: self}, rec: l.Body}) })
	}
	return lsn, nil
}

// leaveLive takes an actor that has nothing to do out of the live set, if no commit of its own has done so: when its last
// message was dropped.
func (k *Kernel) leaveLive(c *cell) {
	k.seq.Lock()
	defer k.seq.Unlock()
	if !k.live[c.addr] || !c.idle() {
		return
	}
	lsn, err := k.journal.Submit(&persistence.Commit{Actor: c.addr, Leave: true, Patient: true})
	if err != nil {
		k.fail(err) // ErrClosed: nothing else can be wrong with such a commit
		return
	}
	k.backlog.submitted(lsn)
	delete(k.live, c.addr)
}

// encode is record.Encode inside a step: a message that cannot be stored is a bug in the core.
func encode(m proto.Message) record.Record {
	r, err := record.Encode(m)
	if err != nil {
		panic(err)
	}
	return r
}

func encodeAll(ms []proto.Message) []record.Record {
	out := make([]record.Record, len(ms))
	for i, m := range ms {
		out[i] = encode(m)
	}
	return out
}

func encodeColumn(c Column) persistence.Column {
	if c.Value == nil {
		return persistence.Column{Key: c.Key}
	}
	r := encode(c.Value)
	return persistence.Column{Key: c.Key, Value: &r, Numbered: c.Numbered}
}
