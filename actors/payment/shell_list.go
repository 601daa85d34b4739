package payment

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"stormcell/actors/durable"
	pb "stormcell/messages/payment"
	"stormcell/persistence"
)

// pageSize is how many columns are read at a time.
const pageSize = 500

// Selection says which payments are listed.
type Selection struct {
	// After is the number after which the list begins, or before which, in reverse. Zero begins at the end that comes first.
	After   uint64
	Reverse bool
	Limit   int // of what is returned; it must be positive
	// Wanted chooses by what the list knows; nil takes all.
	Wanted func(*pb.Listed) bool
}

// List gives payments in the order of their numbers, or in reverse, without waking any.
func (c Client) List(ctx context.Context, sel Selection) ([]*pb.Payment, error) {
	if sel.Limit <= 0 {
		return nil, fmt.Errorf("list payments: %w: a limit of %d", ErrBadRequest, sel.Limit)
	}
	var page []*pb.Payment
	err := c.shell.Kernel.View(ctx, func(v durable.View) error {
		page = nil
		return each(ctx, v, sel, func(l *pb.Listed) (bool, error) {
			p, err := stored(v, durable.Address(l.GetPayment()))
			if p != nil && !p.GetDeleted() {
				page = append(page, p)
			}
			return len(page) < sel.Limit, err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list payments: %w", err)
	}
	return page, nil
}

// Count counts the payments that are wanted; nil counts all.
func (c Client) Count(ctx context.Context, wanted func(*pb.Listed) bool) (n uint64, err error) {
	err = c.shell.Kernel.View(ctx, func(v durable.View) error {
		n = 0
		return each(ctx, v, Selection{Wanted: wanted}, func(*pb.Listed) (bool, error) {
			n++
			return true, nil
		})
	})
	if err != nil {
		return 0, fmt.Errorf("count payments: %w", err)
	}
	return n, nil
}

// ended lists the payments that have ended, or failed.
func (c Client) ended(ctx context.Context, failedOnly bool) (all []durable.Address, err error) {
	wanted := func(l *pb.Listed) bool {
		return l.GetStatus() == pb.Status_FAILED || l.GetStatus() == pb.Status_SUCCEEDED && !failedOnly
	}
	err = c.shell.Kernel.View(ctx, func(v durable.View) error {
		all = nil
		return each(ctx, v, Selection{Wanted: wanted}, func(l *pb.Listed) (bool, error) {
			all = append(all, durable.Address(l.GetPayment()))
			return true, nil
		})
	})
	return all, err
}

// Find gives the payments of a hash: this node's own, and those that it makes for others. The error is the journal's.
func (c Client) Find(ctx context.Context, hash [32]byte) ([]*pb.Payment, error) {
	var found []*pb.Payment
	err := c.shell.Kernel.View(ctx, func(v durable.View) error {
		found = nil
		columns, err := v.Columns(persistence.Page{Prefix: fmt.Sprintf("%s%x/", filePrefix, hash), Limit: pageSize})
		for _, column := range columns {
			p, e := stored(v, durable.Address(column.Value.(*pb.Filed).GetPayment()))
			if err = errors.Join(err, e); p != nil {
				found = append(found, p)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find payments of %x: %w", hash, err)
	}
	return found, nil
}

func stored(v durable.View, addr durable.Address) (*pb.Payment, error) {
	state, err := v.State(addr)
	if err != nil {
		return nil, err
	}
	p, _ := state.(*pb.Payment)
	return p, nil
}

// each calls f for what is listed and wanted, until f wants no more.
func each(ctx context.Context, v durable.View, sel Selection, f func(*pb.Listed) (more bool, err error)) error {
	page := persistence.Page{Prefix: listPrefix, Reverse: sel.Reverse, Limit: pageSize}
	if sel.Limit > 0 {
		page.Limit = min(pageSize, sel.Limit)
	}
	if sel.After > 0 {
		page.After = listKey(sel.After)
	}
	for {
		columns, err := v.Columns(page)
		if err != nil {
			return err
		}
		for _, column := range columns {
			page.After = column.Key
			l := column.Value.(*pb.Listed)
			if l.GetPayment() == "" || sel.Wanted != nil && !sel.Wanted(l) {
				continue
			}
			if more, err := f(l); err != nil || !more {
				return err
			}
		}
		if len(columns) < page.Limit || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// lastNumber is the highest that was given to a payment.
func lastNumber(v durable.View) (uint64, error) {
	columns, err := v.Columns(persistence.Page{Prefix: listPrefix, Reverse: true, Limit: 1})
	if err != nil || len(columns) == 0 {
		return 0, err
	}
	number, err := strconv.ParseUint(strings.TrimPrefix(columns[0].Key, listPrefix), 16, 64)
	if err != nil {
		return 0, fmt.Errorf("the list of payments ends with %q: %w", columns[0].Key, err)
	}
	return number, nil
}
