package durable

import (
	"sync"

	"stormcell/persistence"
)

// outbox holds the effects of all actors until the log is durable as far as they depend on it, and lets them leave one
// after the other. It is also what hurries the journal: commits that nothing waits for share the sync of the next one that
// somebody does wait for. What one actor depends on never decreases, so each actor's effects leave in the order of its steps.
type outbox struct {
	k       *Kernel
	mu      sync.Mutex
	durable persistence.LSN
	hurried persistence.LSN // what the journal was asked for
	waiting map[persistence.LSN][]parcel
	due     queue[parcel]
	leaving bool
}

// parcel is one effect on its way out, or something else that waits for durability.
type parcel struct {
	c       *cell
	session uint64
	effect  Effect
	lazy    bool // it asks for no sync
	then    func()
}

// add lets p leave when the log is durable up to need.
func (o *outbox) add(need persistence.LSN, p parcel) {
	o.mu.Lock()
	if need <= o.durable {
		o.due.push(p)
	} else {
		o.waiting[need] = append(o.waiting[need], p)
	}
	hurry := need > max(o.hurried, o.durable) && !p.lazy
	if hurry {
		o.hurried = need
	}
	o.leave()
	o.mu.Unlock()
	if hurry {
		o.k.journal.Hurry(need)
	}
}

// advance notes that the log is durable up to lsn.
func (o *outbox) advance(lsn persistence.LSN) {
	o.mu.Lock()
	for l := o.durable + 1; l <= lsn; l++ {
		for _, p := range o.waiting[l] {
			o.due.push(p)
		}
		delete(o.waiting, l)
	}
	o.durable = lsn
	o.leave()
	o.mu.Unlock()
}

// leave starts the one that carries out what is due, unless it runs already. The caller holds the mutex.
func (o *outbox) leave() {
	if o.leaving || o.due.len() == 0 {
		return
	}
	o.leaving = true
	o.k.rt.Go(o.drain)
}

func (o *outbox) drain() {
	for range max(o.k.rt.Throughput(), 1) {
		o.mu.Lock()
		p, ok := o.due.pop()
		o.mu.Unlock()
		if !ok {
			break
		}
		o.carryOut(p)
	}
	o.mu.Lock()
	o.leaving = false
	o.leave()
	o.mu.Unlock()
}

// size counts the effects that have not left.
func (o *outbox) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.due.len()
	for _, ps := range o.waiting {
		n += len(ps)
	}
	return n
}

func (o *outbox) carryOut(p parcel) {
	switch e := p.effect.(type) {
	case nil:
		p.then()
	case Reply:
		e.To.settle(e.Body, nil)
	case refusal:
		e.to.settle(nil, e.err)
	case SetTimer:
		p.c.setTimer(p.session, e)
	case StopTimer:
		p.c.stopTimer(p.session, e.Key)
	case ended:
		o.k.world.Ended(p.c.addr, p.session)
	case Load:
		o.k.rt.Go(func() { o.k.load(p, e) })
	default:
		o.k.world.Release(p.c.addr, p.session, p.effect)
	}
}

// load reads columns for an actor.
func (k *Kernel) load(p parcel, e Load) {
	out := Loaded{Tag: e.Tag}
	out.Columns, out.Err = k.columns(e.Page)
	seen := k.journal.Last() // the page may show any commit up to here, durable or not
	p.c.post(&item{msg: Message{Body: out}, session: p.session, internal: true, depends: seen})
}
