package durable

import (
	"fmt"
	"sync"

	"stormcell/messages/journal"
	"stormcell/messages/record"
	"stormcell/persistence"
)

// cell is the place of one actor: its queue, which outlives the incarnations, and what the kernel knows of it. It exists
// while the actor is awake, asked for, or halted.
type cell struct {
	k    *Kernel
	kind *kind
	addr Address

	mu       sync.Mutex
	phase    phase
	box      *mailbox // of the present incarnation
	session  uint64
	queue    queue[*item]
	letters  int             // durable messages in the queue
	guests   int             // messages from outside in the queue
	read     persistence.LSN // the inbox was last read as of here
	fresh    bool            // there was no incarnation yet
	left     persistence.LSN // what an earlier cell of the address submitted is durable when the log is up to here
	timers   map[string]*timer
	troubles troubles

	kept int // inbox entries left for a later commit

	// head is the newest submitted head record: the incarnation's own while it runs, the manager's when it has ended.
	head *journal.Head
}

// phase is where a cell stands in the life of its incarnations.
type phase int

const (
	asleep     phase = iota // no incarnation
	waking                  // the manager was asked to spawn one
	recovering              // spawned; messages wait until it has recovered
	ready                   // takes messages
	leaving                 // stopping because it has nothing to do
	failing                 // stopping because it failed; will be restarted
	resting                 // stopped after a failure, until its back-off has passed
	halting                 // stopping because it failed too often
	halted                  // takes nothing until an operator decides
)

func (p phase) String() string {
	return [...]string{"asleep", "waking", "recovering", "ready", "leaving", "failing", "resting", "halting", "halted"}[p]
}

// item is a message in a cell's queue.
type item struct {
	msg Message
	// rec is a durable message's body, decoded by the receiver: it sees what it would see after a restart.
	rec record.Record
	// session, when set, is the only incarnation that may see a volatile message.
	session uint64
	// depends is the newest commit that a volatile message may know of.
	depends persistence.LSN
	// internal marks what the kernel itself sends: timers, Next, Loaded. They are not counted as guests.
	internal bool
}

// cellOf finds or makes the cell of an address, and calls f while no one can remove it.
func (k *Kernel) cellOf(addr Address, f func(*cell)) error {
	kd, err := k.kindOf(addr)
	if err != nil {
		return err
	}
	k.cellsMu.Lock()
	defer k.cellsMu.Unlock()
	c := k.cells[addr]
	if c == nil {
		c = &cell{k: k, kind: kd, addr: addr, fresh: true, left: k.gone.at[addr]}
		k.cells[addr] = c
		defer k.discard(c)
	}
	f(c)
	return nil
}

// discard forgets a new cell if the message that it was made for was refused. The caller holds k.cellsMu.
func (k *Kernel) discard(c *cell) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == asleep && c.queue.len() == 0 {
		delete(k.cells, c.addr)
	}
}

// post puts a message into the queue and wakes the actor if it sleeps. It takes whatever was promised: durable messages
// and the kernel's own, which nobody waits for. A volatile message whose incarnation is gone is dropped.
func (c *cell) post(it *item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if it.session != 0 && it.session != c.session {
		return
	}
	if it.msg.Durable() && it.msg.ID.LSN <= c.read {
		return // submitted before the inbox was read, and found there
	}
	if c.phase == halted || c.phase == halting {
		return // a durable message is in the inbox, and will be read from there
	}
	c.push(it)
	c.stir()
}

// offer is post for messages from outside, which may be refused.
func (c *cell) offer(it *item, newWork bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.k.closed(); err != nil {
		return fmt.Errorf("%s: %w", c.addr, err)
	}
	switch {
	case it.session != 0 && it.session != c.session:
		return fmt.Errorf("%s: %w", c.addr, ErrRestarted)
	case c.phase == halted || c.phase == halting:
		return fmt.Errorf("%s: %w", c.addr, ErrHalted)
	case c.guests >= c.kind.Mailbox:
		c.kind.figures.refused.Add(1)
		return fmt.Errorf("%s: %w: %d messages wait", c.addr, ErrBusy, c.guests)
	case newWork && c.letters+c.kept >= c.kind.Watermark:
		c.kind.figures.refused.Add(1)
		return fmt.Errorf("%s: %w: %d promised messages wait", c.addr, ErrOverloaded, c.letters+c.kept)
	}
	c.push(it)
	c.stir()
	return nil
}

func (c *cell) push(it *item) {
	c.queue.push(it)
	c.count(it, 1)
}

// count keeps the depths right as an item enters (1) or leaves (-1) the queue.
func (c *cell) count(it *item, by int) {
	switch {
	case it.msg.Durable():
		c.letters += by
		c.kind.figures.inbox.Add(int64(by))
	case !it.internal:
		c.guests += by
	}
	c.kind.figures.mailbox.Add(int64(by))
}

// countKept notes how many inbox entries the incarnation keeps for a later commit.
func (c *cell) countKept(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kind.figures.kept.Add(int64(n - c.kept))
	c.kept = n
}

// stir lets the incarnation take a turn, or asks for one. The caller holds c.mu.
func (c *cell) stir() {
	switch c.phase {
	case asleep:
		if c.k.stopping.Load() {
			return
		}
		c.phase = waking
		c.k.sys.Root.Send(c.kind.manager, &spawn{c})
	case ready:
		c.box.schedule()
	}
}

// next is the message for the next turn. The caller holds c.mu and knows that the incarnation takes messages.
func (c *cell) next() (*item, bool) {
	it, ok := c.queue.pop()
	if ok {
		c.count(it, -1)
	}
	return it, ok
}

// open lets messages through to a recovered incarnation: first what the inbox holds, then what was queued meanwhile. What
// the inbox read has seen is in the inbox, or was consumed; what was for an earlier incarnation is dropped.
func (c *cell) open(inbox []*item, asOf persistence.LSN) {
	c.mu.Lock()
	defer c.mu.Unlock()
	queued := c.queue.take()
	for _, it := range queued {
		c.count(it, -1)
	}
	for _, it := range inbox {
		c.push(it)
	}
	for _, it := range queued {
		if it.msg.Durable() && it.msg.ID.LSN > asOf || !it.msg.Durable() && (it.session == 0 || it.session == c.session) {
			c.push(it)
		}
	}
	c.read = asOf
	c.phase = ready
	c.box.schedule()
}

// dismiss empties the queue and refuses the questions in it. Durable messages stay in the inbox. The caller holds c.mu.
func (c *cell) dismiss(reason error) {
	for _, it := range c.queue.take() {
		c.count(it, -1)
		if it.msg.Asker.Waits() {
			c.k.out.add(0, parcel{c: c, effect: refusal{it.msg.Asker, fmt.Errorf("%s: %w", c.addr, reason)}})
		}
	}
}

// tryLeave ends the incarnation if nothing waits for it.
func (c *cell) tryLeave() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != ready || c.queue.len() > 0 {
		return false
	}
	c.phase = leaving
	return true
}

// idle tells whether no durable message waits. None can come while the caller holds the sequencer.
func (c *cell) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.letters == 0
}

// isAlmostIdle tells whether few messages wait, but some. In a burst it is not: then those who are sent something had better
// find more of it.
func (c *cell) isAlmostIdle() bool {
	const few = 2
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.queue.len()
	return 0 < n && n <= few
}

// begin starts an incarnation. It gives its session, and how far the log must be durable for its recovery: so far that what
// earlier incarnations submitted can be read. What others have sent meanwhile need not be: it is in the queue of a cell that
// is fresh. In others it may be gone, taken along by an incarnation that failed.
func (c *cell) begin() (session uint64, need persistence.LSN) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if need = c.left; !c.fresh {
		need = c.k.journal.Last()
	}
	c.fresh = false
	c.phase = recovering
	c.session = c.k.sessions.Add(1)
	c.head = nil
	c.kind.figures.awake.Add(1)
	return c.session, need
}

// end closes an incarnation: its timers stop, and the world hears of it. That waits for no disk: what feeds the incarnation
// feeds nobody from now on.
func (c *cell) end() {
	c.mu.Lock()
	session := c.session
	c.session = 0
	c.kind.figures.kept.Add(int64(-c.kept))
	c.kept = 0
	for _, t := range c.timers {
		t.stop()
	}
	c.timers = nil
	c.mu.Unlock()
	c.kind.figures.awake.Add(-1)
	c.k.out.add(0, parcel{c: c, session: session, effect: ended{}})
}

// terminated follows the end of an incarnation's process. It runs in the manager's turn.
func (c *cell) terminated() {
	c.k.cellsMu.Lock()
	defer c.k.cellsMu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.box = nil
	switch c.phase {
	case failing:
		c.phase = resting
		c.rest()
	case halting:
		c.halt()
	default:
		c.phase = asleep
		if c.queue.len() == 0 {
			delete(c.k.cells, c.addr)
			c.k.gone.add(c.addr, c.k.journal.Last(), c.k.journal.Durable())
			return
		}
		c.stir()
	}
}

// departed are addresses whose cells were removed, until all that those submitted is durable.
type departed struct {
	at    map[Address]persistence.LSN
	order []Address // each as often as it was added
	lsns  []persistence.LSN
}

// add notes an address of which nothing was submitted after last, and forgets those that are durable.
func (d *departed) add(addr Address, last, durable persistence.LSN) {
	forgotten := 0
	for forgotten < len(d.order) && d.lsns[forgotten] <= durable {
		if old := d.order[forgotten]; d.at[old] == d.lsns[forgotten] {
			delete(d.at, old)
		}
		forgotten++
	}
	d.order, d.lsns = d.order[forgotten:], d.lsns[forgotten:]
	if last > durable {
		d.at[addr] = last
		d.order, d.lsns = append(d.order, addr), append(d.lsns, last)
	}
}
