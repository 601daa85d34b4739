package address

import (
	"cmp"
	"slices"
)

// Source is who says that a node is somewhere. Better sources are tried first.
type Source int

const (
	// User: somebody typed it.
	User Source = iota
	// Announced: the node's node_announcement has it.
	Announced
)

// MaxPerNode is how many addresses of one node are kept.
const MaxPerNode = 16

// Book has the addresses of one node, and which of them work. The zero value has none.
type Book struct {
	entries []entry
}

type entry struct {
	address  Address
	source   Source
	failures int // since it last worked
}

// AddUser adds an address that a user gave. If there are too many, one that failed often goes.
func (b *Book) AddUser(a Address) { b.add(entry{address: a, source: User}) }

// Announce replaces the announced addresses by those of a new node_announcement. What is known of those that stay is kept.
func (b *Book) Announce(announced []Address) {
	b.entries = slices.DeleteFunc(b.entries, func(e entry) bool {
		return e.source == Announced && !slices.Contains(announced, e.address)
	})
	for _, a := range announced {
		b.add(entry{address: a, source: Announced})
	}
}

// Remove forgets an address, whoever gave it.
func (b *Book) Remove(a Address) {
	b.entries = slices.DeleteFunc(b.entries, func(e entry) bool { return e.address == a })
}

// Worked notes that a connection came up at an address.
func (b *Book) Worked(a Address) {
	if e := b.find(a); e != nil {
		e.failures = 0
	}
}

// Failed notes that none did.
func (b *Book) Failed(a Address) {
	if e := b.find(a); e != nil {
		e.failures++
	}
}

// Next is the address to try: the one with the fewest failures, from the best source, known the longest. It is false if
// there is none.
func (b *Book) Next() (Address, bool) {
	if len(b.entries) == 0 {
		return Address{}, false
	}
	return slices.MinFunc(b.entries, preference).address, true
}

// All lists the addresses, the one to try first.
func (b *Book) All() []Address {
	sorted := slices.Clone(b.entries)
	slices.SortStableFunc(sorted, preference)
	all := make([]Address, len(sorted))
	for i, e := range sorted {
		all[i] = e.address
	}
	return all
}

func (b *Book) add(e entry) {
	if known := b.find(e.address); known != nil {
		known.source = min(known.source, e.source)
		return
	}
	if len(b.entries) == MaxPerNode && !b.makeRoom(e.source) {
		return
	}
	b.entries = append(b.entries, e)
}

// makeRoom drops the announced address that failed most often, or a user's if there is no other. An announcement does not
// push out a user's address, nor one that has not failed.
func (b *Book) makeRoom(source Source) bool {
	worst := 0
	for i, e := range b.entries {
		w := b.entries[worst]
		if cmp.Or(cmp.Compare(e.source, w.source), cmp.Compare(e.failures, w.failures)) > 0 {
			worst = i
		}
	}
	if w := b.entries[worst]; source == Announced && (w.source == User || w.failures == 0) {
		return false
	}
	b.entries = slices.Delete(b.entries, worst, worst+1)
	return true
}

func (b *Book) find(a Address) *entry {
	if i := slices.IndexFunc(b.entries, func(e entry) bool { return e.address == a }); i >= 0 {
		return &b.entries[i]
	}
	return nil
}

// preference orders entries by which to try first.
func preference(a, b entry) int {
	return cmp.Or(cmp.Compare(a.failures, b.failures), cmp.Compare(a.source, b.source))
}
