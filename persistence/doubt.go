package persistence

import (
	"fmt"

	"stormcell/messages/journal"
)

// Doubt says that a journal may be an old copy of one that went on elsewhere, or later: what it holds was true once. It is
// durable, since a restart makes nothing newer. Whoever acts on what may be outdated keeps with it, in the journal, the number
// up to which it has found itself to be current.
type Doubt struct {
	// Number counts the doubts there ever were; it is 0 while there is none.
	Number uint64
	// Why is for people.
	Why string
}

// settleDoubt doubts a journal that was found elsewhere than it recorded, that may have lost commits, or of which the operator
// says that it is an old copy. A confirmed move ends the doubts that come from moves.
func (b *Badger) settleDoubt(meta *journal.Meta, place Place) error {
	recorded := Place{Directory: meta.Directory, Machine: meta.Machine}
	why := journal.Doubt_NONE
	switch {
	case b.opts.Restored:
		why = journal.Doubt_RESTORED
	case b.mayLack:
		why = journal.Doubt_LOST
	case recorded != place && !b.opts.ConfirmMove:
		why = journal.Doubt_MOVED
	}
	switch {
	case why != journal.Doubt_NONE:
		meta.Doubts++
		meta.Doubt = max(meta.Doubt, why) // a move says nothing against what was worse
	case b.opts.ConfirmMove && meta.Doubt == journal.Doubt_MOVED:
		meta.Doubt = journal.Doubt_NONE
	case recorded == place:
		b.doubt = doubtOf(meta)
		return nil
	}
	if recorded != place {
		b.log.Warn("journal lies elsewhere than it recorded", "recorded", recorded.Directory, "recorded machine", recorded.Machine,
			"found", place.Directory, "machine", place.Machine, "confirmed", b.opts.ConfirmMove)
	}
	meta.Directory, meta.Machine = place.Directory, place.Machine
	b.doubt = doubtOf(meta)
	return b.storeMeta(meta)
}

func doubtOf(meta *journal.Meta) Doubt {
	switch meta.Doubt {
	case journal.Doubt_NONE:
		return Doubt{}
	case journal.Doubt_MOVED:
		return Doubt{meta.Doubts, "it was found in another directory, or on another machine, than it recorded"}
	case journal.Doubt_LOST:
		return Doubt{meta.Doubts, "it may have lost its newest commits"}
	case journal.Doubt_RESTORED:
		return Doubt{meta.Doubts, "it was restored from a copy"}
	default:
		return Doubt{meta.Doubts, fmt.Sprintf("it was doubted for a reason that this program does not know (%d)", meta.Doubt)}
	}
}
