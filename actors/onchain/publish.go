package onchain

import (
	"context"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"stormcell/actors/durable"
	"stormcell/chain/backend"
	"stormcell/chain/watch"
)

// publishRetry is how long a backend that could not be asked is left alone, if no block comes.
const publishRetry = 10 * time.Second

// publisher owns the watches of publications.
const publisher durable.Address = "publisher/main"

// Publication is a transaction that is to get into the chain.
type Publication struct {
	Tx *wire.MsgTx
	// Since is the height from which on the transaction, or another that spends the same, may be in the chain; 0 is the tip
	// of now.
	Since uint32
	// Before is called once, before the network is asked for the first time, and may take its time: it is for what has to be
	// there when the network shows the transaction. With nil there is nothing.
	Before func()
	// Answered makes what the owner is told of the network's answer: of the first one, and whenever it is another than before.
	// It is called on the desk's goroutine and must not call the desk. With nil, or when it gives nil, nobody is told.
	Answered func(backend.PublishResult) any
}

// publicationKey names a publication: two owners may publish the same transaction.
type publicationKey struct {
	owner durable.Address
	txid  chainhash.Hash
}

type publication struct {
	Publication
	key     publicationKey
	owner   Owner
	number  uint64 // in the order in which they were asked for, so that parents come before children
	due     bool
	tried   bool
	watched []watch.ID
	status  backend.PublishStatus // of the last attempt
	settled uint32                // height of the block with the transaction, or with one that spends the same; 0 for none
}

type publications struct {
	ctx   context.Context
	count uint64
	busy  bool // the backend is being asked
	all   map[publicationKey]*publication
}

func newPublications() publications {
	return publications{all: map[publicationKey]*publication{}}
}

// Publish publishes a transaction now and again at each block, until it is watch.SafeDepth deep in the chain, or another one
// is that spends the same, or Unpublish. To ask again changes who is told of the answers.
func (d *Desk) Publish(owner Owner, p Publication) {
	d.do(func() {
		key := publicationKey{owner.Address, p.Tx.TxHash()}
		if old := d.publications.all[key]; old != nil {
			old.owner, old.Answered = owner, p.Answered
			return
		}
		d.publications.count++
		added := &publication{Publication: p, key: key, owner: owner, number: d.publications.count, due: true}
		d.publications.all[key] = added
		d.watchPublication(added)
		d.publishNext()
	})
}

// Unpublish stops publishing a transaction for an owner. It is no mistake if it was not published.
func (d *Desk) Unpublish(owner durable.Address, txid chainhash.Hash) {
	d.do(func() { d.unpublish(d.publications.all[publicationKey{owner, txid}]) })
}

func (d *Desk) unpublish(p *publication) {
	if p == nil {
		return
	}
	delete(d.publications.all, p.key)
	for _, id := range p.watched {
		d.drop(d.watches.byKey[watchKey{publisher, id}])
	}
}

// publishAgain follows each change of the tip.
func (d *Desk) publishAgain() {
	for _, p := range d.publications.all {
		switch {
		case p.settled > 0 && d.Height() >= p.settled+watch.SafeDepth-1:
			d.unpublish(p)
		default:
			d.watchPublication(p)
			p.due = p.settled == 0
		}
	}
	d.publishNext()
}

// publishNext asks the backend to publish what is due, one after the other: what was never tried first.
func (d *Desk) publishNext() {
	if d.publications.busy {
		return
	}
	var next *publication
	for _, p := range d.publications.all {
		if p.due && (next == nil || p.before(next)) {
			next = p
		}
	}
	if next == nil {
		return
	}
	next.due, d.publications.busy = false, true
	ctx, isFirst := d.publications.ctx, !next.tried
	d.Runtime.Go(func() {
		if isFirst && next.Before != nil {
			next.Before()
		}
		result, err := d.Backend.Publish(ctx, next.Tx)
		d.do(func() {
			d.publications.busy = false
			if d.publications.all[next.key] == next && ctx.Err() == nil {
				d.published(next, result, err)
			}
			d.publishNext()
		})
	})
}

func (p *publication) before(other *publication) bool {
	if p.tried != other.tried {
		return !p.tried
	}
	return p.number < other.number
}

func (d *Desk) published(p *publication, result backend.PublishResult, err error) {
	log := d.Log.With("txid", p.key.txid, "for", p.key.owner)
	p.tried = true
	if err != nil {
		log.Warn("a transaction could not be published; trying again", "error", err, "after", publishRetry)
		d.Runtime.AfterFunc(publishRetry, func() {
			d.do(func() {
				p.due = p.settled == 0
				d.publishNext()
			})
		})
		return
	}
	if p.status == result.Status || p.settled > 0 {
		return
	}
	p.status = result.Status
	if result.Ok() {
		log.Info("transaction published", "result", result.Status)
	} else {
		log.Warn("the network refuses a transaction", "result", result)
	}
	if p.Answered == nil {
		return
	}
	if body := p.Answered(result); body != nil {
		d.tell(p.owner, body)
	}
}

// watchPublication looks for a transaction in the chain, and for others that spend the same, as soon as the tip is known.
func (d *Desk) watchPublication(p *publication) {
	if _, known := d.Tip(); !known || len(p.watched) > 0 {
		return
	}
	since := p.Since
	if since == 0 {
		since = d.Height()
	}
	for _, out := range p.Tx.TxOut {
		if !txscript.IsNullData(out.PkScript) { // those are in no filter
			d.watchFor(p, "in a block", since, watch.Transaction{TxID: p.key.txid, Script: out.PkScript})
			break
		}
	}
	for i, in := range p.Tx.TxIn {
		// Of a taproot output the witness does not tell the script: then only the refusals tell of a conflict.
		if spent, err := txscript.ComputePkScript(in.SignatureScript, in.Witness); err == nil {
			d.watchFor(p, fmt.Sprintf("input %d", i), since,
				watch.Spend{OutPoint: in.PreviousOutPoint, Script: spent.Script()})
		}
	}
}

func (d *Desk) watchFor(p *publication, what string, since uint32, target watch.Target) {
	id := watch.ID(fmt.Sprintf("%s %s %s", p.key.owner, p.key.txid, what))
	err := d.register(Owner{Address: publisher}, watch.Watch{ID: id, Target: target, Depth: 1, Since: since},
		func(fact watch.Fact) { d.settle(p, fact) })
	if err != nil {
		d.Log.Error("a published transaction is not watched", "txid", p.key.txid, "error", err)
		return
	}
	p.watched = append(p.watched, id)
}

func (d *Desk) settle(p *publication, fact watch.Fact) {
	switch fact := fact.(type) {
	case watch.Found:
		if other := fact.Tx.TxHash(); other != p.key.txid && p.settled == 0 {
			d.Log.Warn("a published transaction has lost to another", "txid", p.key.txid, "for", p.key.owner, "other", other,
				"height", fact.Block.Height)
		}
		p.settled, p.due = fact.Block.Height, false
	case watch.Undone:
		p.settled = 0 // what else was found is undone with the same block, or spends another input
		p.due = true
		d.publishNext()
	}
}
