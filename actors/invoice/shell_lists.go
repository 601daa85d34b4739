package invoice

import (
	"context"
	"fmt"
	"time"

	"stormcell/actors/durable"
	pb "stormcell/messages/invoice"
	"stormcell/persistence"
)

// pageSize is how many entries are read at once.
const pageSize = 100

// entry is a line of a list.
type entry struct {
	number uint64
	*pb.Entry
}

// entries reads a page of a list.
func entries(v durable.View, prefix string, q Query) ([]entry, error) {
	page := persistence.Page{Prefix: prefix, Reverse: q.Reverse, Limit: q.Limit}
	if q.After != 0 {
		page.After = persistence.NumberedKey(prefix, persistence.LSN(q.After))
	}
	columns, err := v.Columns(page)
	if err != nil {
		return nil, err
	}
	all := make([]entry, len(columns))
	for n, c := range columns {
		number, ok := persistence.NumberOf(prefix, c.Key)
		line, is := c.Value.(*pb.Entry)
		if !ok || !is {
			return nil, fmt.Errorf("%w: column %q is no line of a list of invoices", persistence.ErrCorrupt, c.Key)
		}
		all[n] = entry{uint64(number), line}
	}
	return all, nil
}

// invoice is what a line is about.
func (e entry) invoice(v durable.View, now time.Time) (Info, error) {
	if len(e.GetPaymentHash()) != 32 {
		return Info{}, fmt.Errorf("%w: line %d of a list of invoices names none", persistence.ErrCorrupt, e.number)
	}
	return lookup(v, [32]byte(e.GetPaymentHash()), now)
}

// lookup gives the invoice of a hash, as it is now, with its numbers.
func lookup(v durable.View, hash [32]byte, now time.Time) (Info, error) {
	state, err := v.State(Address(hash))
	if err != nil {
		return Info{}, err
	}
	i, ok := state.(*pb.Invoice)
	if !ok {
		return Info{}, ErrNotFound
	}
	if lapsed(i, now) {
		i.Status, i.ClosedNs = pb.Status_CANCELED, expiryOf(i).UnixNano()
	}
	info := Info{Invoice: i}
	lines, err := entries(v, ofPrefix(hash[:]), Query{Limit: 2})
	if err != nil {
		return Info{}, err
	}
	for _, line := range lines {
		if line.GetSettled() {
			info.SettleIndex = line.number
		}
		if info.AddIndex == 0 {
			info.AddIndex = line.number // the first line: it may be settled in the commit that adds it
		}
	}
	return info, nil
}

// list gives the invoices that a query wants.
func list(ctx context.Context, v durable.View, q Query, now time.Time) ([]Info, error) {
	var all []Info
	for {
		lines, err := entries(v, addedPrefix, Query{After: q.After, Reverse: q.Reverse, Limit: min(pageSize, q.Limit)})
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			i, err := line.invoice(v, now)
			if err != nil {
				return nil, err
			}
			if q.Wanted == nil || q.Wanted(i.Invoice) {
				all = append(all, i)
			}
			if q.After = line.number; len(all) == q.Limit {
				return all, nil
			}
		}
		if len(lines) < min(pageSize, q.Limit) {
			return all, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// listed gives a page of what was added, or settled, after a number.
func listed(v durable.View, settled bool, after uint64, now time.Time) ([]Info, error) {
	prefix := addedPrefix
	if settled {
		prefix = settledPrefix
	}
	lines, err := entries(v, prefix, Query{After: after, Limit: pageSize})
	if err != nil {
		return nil, err
	}
	all := make([]Info, len(lines))
	for n, line := range lines {
		if all[n], err = line.invoice(v, now); err != nil {
			return nil, err
		}
	}
	return all, nil
}
