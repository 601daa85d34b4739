package channel

import (
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/chain/bolt3"
	"stormcell/chain/fees"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// maxHTLCs is the most that a commitment may have from one side (BOLT 2, "Adding an HTLC").
const maxHTLCs = 483

// spike is how much the fee rate may rise, and how many HTLCs may come, before an opener that keeps to it can no longer
// pay for its channel (BOLT 2, "Adding an HTLC": the fee spike buffer).
const (
	spikeFactor = 2
	spikeHTLCs  = 1
)

// tally is what the limits look at: one commitment in figures.
type tally struct {
	rate      fees.SatPerKW
	balance   [2]wire.MilliSatoshi // after HTLCs, before fee and anchors
	number    [2]int               // of HTLCs, by who offered them
	inFlight  [2]wire.MilliSatoshi
	untrimmed int
	dust      wire.MilliSatoshi // HTLCs without an output
}

// tally counts a commitment of the owner, with one more HTLC if add is not nil. The offerer of that must be able to pay
// its amount.
func (c *Commitments) tally(a *Commitment, owner Side, v view, add *HTLC) tally {
	t := tally{rate: c.feeRate(v)}
	limit := c.Terms[owner].DustLimit
	count := func(h *HTLC) {
		t.number[h.By]++
		t.inFlight[h.By] += h.Amount
		if h.Amount.ToSatoshis() < limit {
			t.dust += h.Amount
		} else {
			t.untrimmed++
		}
	}
	t.balance = c.walk(a, v, count)
	if add != nil {
		count(add)
		t.balance[add.By] -= add.Amount
	}
	return t
}

// cost is what the side that pays for the commitment needs for it.
func cost(rate fees.SatPerKW, untrimmed int) wire.MilliSatoshi {
	return msat(bolt3.BaseFee(rate, untrimmed) + bolt3.AnchorsCost)
}

// spikeCost is what an opener keeps for it.
func (t *tally) spikeCost() wire.MilliSatoshi {
	return cost(t.rate*spikeFactor, t.untrimmed+spikeHTLCs)
}

func msat(amount btcutil.Amount) wire.MilliSatoshi { return lnwire.NewMSatFromSatoshis(amount) }

// reserve is what a side must keep.
func (c *Commitments) reserve(s Side) wire.MilliSatoshi { return msat(c.Terms[s.Other()].Reserve) }

// each calls f for every commitment that an update of ours will come into, until f refuses.
func (c *Commitments) each(f func(a *Commitment, owner Side, v view) *Refusal) *Refusal {
	for _, a := range c.Active {
		// The peer checks an update of ours on remoteNext; with what it has proposed meanwhile, it comes into everything.
		for _, on := range []struct {
			owner Side
			v     view
		}{{Remote, remoteNext}, {Remote, everything}, {Local, everything}} {
			if r := f(a, on.owner, on.v); r != nil {
				return r
			}
		}
	}
	return nil
}

// checkOffer holds an HTLC that we would offer against all limits (BOLT 2, "Adding an HTLC").
func (c *Commitments) checkOffer(h *HTLC, p *Policy, height uint32) *Refusal {
	switch {
	case h.Amount == 0:
		return refuse(pb.RefusalCode_BAD_AMOUNT, "an HTLC cannot be of nothing")
	case h.Amount < c.Terms[Remote].HTLCMinimum:
		return refuse(pb.RefusalCode_BAD_AMOUNT, "%v is below the peer's minimum of %v", h.Amount, c.Terms[Remote].HTLCMinimum)
	case h.Expiry >= txscript.LockTimeThreshold:
		return refuse(pb.RefusalCode_BAD_EXPIRY, "expiry %d is not a block height", h.Expiry)
	case height > 0 && h.Expiry <= height:
		return refuse(pb.RefusalCode_BAD_EXPIRY, "expiry %d has passed at height %d", h.Expiry, height)
	case height > 0 && h.Expiry > height+p.MaxExpiryDelta:
		return refuse(pb.RefusalCode_BAD_EXPIRY, "expiry %d is more than %d blocks after height %d", h.Expiry,
			p.MaxExpiryDelta, height)
	}
	return c.each(func(a *Commitment, owner Side, v view) *Refusal {
		if without := c.tally(a, owner, v, nil); without.balance[Local] < h.Amount {
			return refuse(pb.RefusalCode_INSUFFICIENT_FUNDS, "%v is more than our balance of %v", h.Amount, without.balance[Local])
		}
		t := c.tally(a, owner, v, h)
		return c.checkTally(&t, h, owner, p)
	})
}

// checkTally holds a commitment with a new HTLC of ours in it against the limits.
func (c *Commitments) checkTally(t *tally, h *HTLC, owner Side, p *Policy) *Refusal {
	terms := &c.Terms[Remote]
	if most := min(int(terms.MaxAcceptedHTLCs), maxHTLCs); t.number[Local] > most {
		return refuse(pb.RefusalCode_TOO_MANY_HTLCS, "the peer takes no more than %d HTLCs at a time", most)
	}
	if t.inFlight[Local] > terms.MaxHTLCValueInFlight {
		return refuse(pb.RefusalCode_TOO_MUCH_IN_FLIGHT, "the peer takes no more than %v in flight", terms.MaxHTLCValueInFlight)
	}
	keep := c.reserve(Local)
	if c.Opener {
		keep += t.spikeCost()
	}
	if t.balance[Local] < keep {
		return refuse(pb.RefusalCode_INSUFFICIENT_FUNDS, "%v would leave us %v, and we have to keep %v for reserve and fees",
			h.Amount, t.balance[Local], keep)
	}
	if need := c.reserve(Remote) + cost(t.rate, t.untrimmed); !c.Opener && t.balance[Remote] < need {
		return refuse(pb.RefusalCode_PEER_CANNOT_PAY_FEE, "the peer, who pays the fee, has %v and needs %v", t.balance[Remote], need)
	}
	if h.Amount.ToSatoshis() < c.Terms[owner].DustLimit && t.dust > p.MaxDustExposure {
		return refuse(pb.RefusalCode_TOO_MUCH_DUST, "it would put %v of dust at risk, and %v is the most", t.dust, p.MaxDustExposure)
	}
	return nil
}

// checkReceived holds an HTLC that the peer offers against the limits, on the commitment of ours that it would come into.
func (c *Commitments) checkReceived(h *HTLC) error {
	terms := &c.Terms[Local]
	switch {
	case h.Amount == 0 || h.Amount < terms.HTLCMinimum:
		return fmt.Errorf("%w: %v, and %v is the minimum", ErrLimit, h.Amount, terms.HTLCMinimum)
	case h.Expiry >= txscript.LockTimeThreshold:
		return fmt.Errorf("%w: expiry %d is not a block height", ErrLimit, h.Expiry)
	}
	for _, a := range c.Active {
		if without := c.tally(a, Local, localNext, nil); without.balance[Remote] < h.Amount {
			return fmt.Errorf("%w: %v of %v", ErrCannotAfford, h.Amount, without.balance[Remote])
		}
		t := c.tally(a, Local, localNext, h)
		switch {
		case t.number[Remote] > int(terms.MaxAcceptedHTLCs):
			return fmt.Errorf("%w: %d HTLCs, and %d is the most", ErrLimit, t.number[Remote], terms.MaxAcceptedHTLCs)
		case t.inFlight[Remote] > terms.MaxHTLCValueInFlight:
			return fmt.Errorf("%w: %v in flight, and %v is the most", ErrLimit, t.inFlight[Remote], terms.MaxHTLCValueInFlight)
		}
		keep := c.reserve(Remote)
		if !c.Opener {
			keep += cost(t.rate, t.untrimmed)
		}
		if t.balance[Remote] < keep {
			return fmt.Errorf("%w: %v would leave it %v, and it has to keep %v", ErrCannotAfford, h.Amount, t.balance[Remote], keep)
		}
	}
	return nil
}

// overExposed tells whether an HTLC of the peer puts more dust at risk than we want (BOLT 2, "Bounding exposure to trimmed
// in-flight HTLCs").
func (c *Commitments) overExposed(h *HTLC, p *Policy) bool {
	for _, a := range c.Active {
		for _, owner := range []Side{Local, Remote} {
			t := c.tally(a, owner, everything, h)
			if h.Amount.ToSatoshis() < c.Terms[owner].DustLimit && t.dust > p.MaxDustExposure {
				return true
			}
		}
	}
	return false
}

// checkFee holds a fee rate that we would set against what we have (BOLT 2, "Updating Fees").
func (c *Commitments) checkFee(rate fees.SatPerKW, p *Policy) *Refusal {
	if !c.Opener {
		return refuse(pb.RefusalCode_BAD_REQUEST, "only the side that opened the channel sets its fee rate")
	}
	if rate < p.MinFeeRate || rate > p.MaxFeeRate {
		return refuse(pb.RefusalCode_BAD_REQUEST, "fee rate %v is not between %v and %v", rate, p.MinFeeRate, p.MaxFeeRate)
	}
	return c.each(func(a *Commitment, owner Side, v view) *Refusal {
		t := c.tally(a, owner, v, nil)
		if rate <= t.rate {
			return nil
		}
		t.rate = rate
		if keep := c.reserve(Local) + t.spikeCost(); t.balance[Local] < keep {
			return refuse(pb.RefusalCode_INSUFFICIENT_FUNDS, "at %v we would have to keep %v, and have %v", rate, keep, t.balance[Local])
		}
		return nil
	})
}

// checkReceivedFee holds a fee rate that the peer sets against what it has.
func (c *Commitments) checkReceivedFee(rate fees.SatPerKW, p *Policy) error {
	if c.Opener {
		return ErrNotOpener
	}
	if rate < p.MinFeeRate || rate > p.MaxFeeRate {
		return fmt.Errorf("%w: %v is not between %v and %v", ErrFeeRate, rate, p.MinFeeRate, p.MaxFeeRate)
	}
	for _, a := range c.Active {
		t := c.tally(a, Local, localNext, nil)
		keep := c.reserve(Remote) + cost(rate, t.untrimmed)
		if rate > t.rate && t.balance[Remote] < keep {
			return fmt.Errorf("%w: at %v it has to keep %v, and has %v", ErrCannotAfford, rate, keep, t.balance[Remote])
		}
	}
	return nil
}

// Sendable is an amount that we can offer now in one HTLC: the largest, unless limits on dust are in the way.
func (c *Commitments) Sendable(p *Policy) wire.MilliSatoshi {
	// Whether an HTLC has an output decides what it costs: try the most with one, then the most without.
	var withOutput, without wire.MilliSatoshi = btcutil.MaxSatoshi * 1000, msat(c.smallestDustLimit()) - 1
	_ = c.each(func(a *Commitment, owner Side, v view) *Refusal {
		t := c.tally(a, owner, v, nil)
		room := above(c.Terms[Remote].MaxHTLCValueInFlight, t.inFlight[Local])
		free := func(untrimmed int) wire.MilliSatoshi {
			keep := c.reserve(Local)
			if c.Opener {
				t.untrimmed = untrimmed
				keep += t.spikeCost()
			}
			return min(room, above(t.balance[Local], keep))
		}
		now := t.untrimmed
		withOutput, without = min(withOutput, free(now+1)), min(without, free(now))
		return nil
	})
	for _, amount := range []wire.MilliSatoshi{withOutput, without} {
		if c.checkOffer(&HTLC{By: Local, Amount: amount}, p, 0) == nil {
			return amount
		}
	}
	return 0
}

// Room is what we can offer now in several HTLCs.
type Room struct {
	Sendable wire.MilliSatoshi // in one HTLC
	HTLCs    int               // how many
	PerHTLC  wire.MilliSatoshi // what each but the first takes from Sendable, which bounds them together
	// Emptied is about what one can carry once the HTLCs of ours that are on their way have settled; zero if there are none.
	Emptied wire.MilliSatoshi
}

// room counts every HTLC as if it had an output, and so is on the safe side.
func (c *Commitments) room(p *Policy) Room {
	r := Room{Sendable: c.Sendable(p), HTLCs: maxHTLCs, Emptied: c.emptied()}
	if r.Sendable == 0 {
		return Room{Emptied: r.Emptied}
	}
	_ = c.each(func(a *Commitment, owner Side, v view) *Refusal {
		t := c.tally(a, owner, v, nil)
		r.HTLCs = min(r.HTLCs, int(c.Terms[Remote].MaxAcceptedHTLCs)-t.number[Local], maxHTLCs-t.number[Local])
		if c.Opener {
			r.PerHTLC = max(r.PerHTLC, costOfOutput(t.rate*spikeFactor))
		} else {
			free := above(t.balance[Remote], c.reserve(Remote)+cost(t.rate, t.untrimmed))
			r.HTLCs = min(r.HTLCs, int(free/costOfOutput(t.rate)))
		}
		return nil
	})
	r.HTLCs = max(r.HTLCs, 1) // that one is known
	return r
}

// emptied is what one HTLC can carry once all of ours have settled.
func (c *Commitments) emptied() wire.MilliSatoshi {
	if len(c.HTLCs[Local]) == 0 {
		return 0
	}
	carries := c.Terms[Remote].MaxHTLCValueInFlight
	_ = c.each(func(a *Commitment, owner Side, v view) *Refusal {
		t, keep := c.tally(a, owner, v, nil), c.reserve(Local)
		if c.Opener {
			t.untrimmed = 1
			keep += t.spikeCost()
		}
		carries = min(carries, above(t.balance[Local], keep))
		return nil
	})
	return carries
}

// costOfOutput is what one more HTLC adds to the cost of a commitment at most: fees are rounded down.
func costOfOutput(rate fees.SatPerKW) wire.MilliSatoshi {
	return msat(rate.Fee(bolt3.HTLCOutputWeight) + 1)
}

func (c *Commitments) smallestDustLimit() btcutil.Amount {
	return min(c.Terms[Local].DustLimit, c.Terms[Remote].DustLimit)
}

// above is what an amount has beyond another, not below zero.
func above(amount, other wire.MilliSatoshi) wire.MilliSatoshi { return amount - min(amount, other) }
