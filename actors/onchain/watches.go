package onchain

import (
	"fmt"

	"stormcell/actors/durable"
	"stormcell/chain/watch"
)

// watchKey names a watch as its owner knows it.
type watchKey struct {
	owner durable.Address
	id    watch.ID
}

// registration is a watch that somebody asked for. Each has an ID of its own for the watcher, so that what an earlier one with
// the same key found is told to nobody.
type registration struct {
	key     watchKey
	session uint64
	inner   watch.ID
	tell    func(watch.Fact)
}

type watches struct {
	count uint64
	byKey map[watchKey]*registration
	byID  map[watch.ID]*registration
}

func newWatches() watches {
	return watches{byKey: map[watchKey]*registration{}, byID: map[watch.ID]*registration{}}
}

// Watch begins to watch for an owner, in place of what it watched under the same ID: two owners may use the same one. The owner
// is told what as makes of each fact; nil is told to nobody. as is called on the desk's goroutine and must not call the desk.
// A watch that cannot work is watch.ErrInvalidWatch.
func (d *Desk) Watch(owner Owner, w watch.Watch, as func(watch.Fact) any) error {
	var err error
	d.do(func() {
		err = d.register(owner, w, func(fact watch.Fact) {
			if body := as(fact); body != nil {
				d.tell(owner, body)
			}
		})
	})
	return err
}

// Forget ends a watch. It is no mistake if there is none.
func (d *Desk) Forget(owner durable.Address, id watch.ID) {
	d.do(func() { d.drop(d.watches.byKey[watchKey{owner, id}]) })
}

func (d *Desk) register(owner Owner, w watch.Watch, tell func(watch.Fact)) error {
	key := watchKey{owner.Address, w.ID}
	old := d.watches.byKey[key]
	if old != nil && owner.Session != 0 && old.session > owner.Session {
		return nil // an effect of an incarnation that has ended since
	}
	d.watches.count++
	r := &registration{
		key: key, session: owner.Session, tell: tell,
		inner: watch.ID(fmt.Sprintf("%s %s %d", owner.Address, w.ID, d.watches.count)),
	}
	w.ID = r.inner
	if err := d.watcher.Watch(w); err != nil {
		return err
	}
	d.drop(old)
	d.watches.byKey[key] = r
	d.watches.byID[r.inner] = r
	return nil
}

func (d *Desk) drop(r *registration) {
	if r == nil || d.watches.byID[r.inner] != r {
		return
	}
	delete(d.watches.byID, r.inner)
	delete(d.watches.byKey, r.key)
	d.watcher.Forget(r.inner)
}

// dropAll ends the watches of an incarnation that has ended.
func (d *Desk) dropAll(owner Owner) {
	for key, r := range d.watches.byKey {
		if key.owner == owner.Address && r.session == owner.Session {
			d.drop(r)
		}
	}
}

// found tells a fact, under the name that its owner gave the watch.
func (d *Desk) found(fact watch.Fact) {
	r := d.watches.byID[fact.About()]
	if r == nil {
		return
	}
	switch f := fact.(type) {
	case watch.Found:
		f.Watch = r.key.id
		r.tell(f)
	case watch.Undone:
		f.Watch = r.key.id
		r.tell(f)
	}
}
