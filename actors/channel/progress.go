package channel

import (
	pb "stormcell/messages/channel"

	"stormcell/chain/bolt3"
)

// Side is one end of a channel, as this node sees it.
type Side uint8

// The sides.
const (
	Local Side = iota
	Remote
)

// Other is the opposite side.
func (s Side) Other() Side { return 1 - s }

func (s Side) String() string {
	if s == Local {
		return "local"
	}
	return "remote"
}

// Progress is how far an update has come. Each update is proposed by one side, its sender, to the other, its receiver, and
// takes five steps (BOLT 2, "Normal Operation"):
//
//	Proposed   pending on the receiver
//	Signed     in the receiver's latest commitment
//	Acked      and the receiver has revoked the one before; pending on the sender
//	Returned   in the sender's latest commitment
//	Settled    and the sender has revoked the one before: irrevocable
//
// We answer `commitment_signed` with `revoke_and_ack` in the same step, so the peer's updates are never just Signed and
// ours never just Returned.
type Progress uint8

// The steps.
const (
	Proposed Progress = 1 + iota
	Signed
	Acked
	Returned
	Settled
)

// view says which updates a commitment has: those by each side that have come at least so far.
type view [2]Progress

var (
	// localLatest is our latest commitment, which the peer has signed.
	localLatest = view{Local: Returned, Remote: Signed}
	// localNext is what the peer would sign next.
	localNext = view{Local: Acked, Remote: Proposed}
	// remoteLatest is the last of the peer's commitments that we signed.
	remoteLatest = view{Local: Signed, Remote: Returned}
	// remoteNext is what we would sign next.
	remoteNext = view{Local: Proposed, Remote: Acked}
	// everything has all that is proposed: what both commitments come to if nothing else happens.
	everything = view{Local: Proposed, Remote: Proposed}
)

// fact is something that moves updates forward.
type fact uint8

const (
	weSigned    fact = iota // and wait for a revocation
	theySigned              // and we revoked
	theyRevoked             // what we signed is all they have
)

// advance is where a fact takes an update by the given side.
func (p Progress) advance(by Side, f fact) Progress {
	switch {
	case f == weSigned && by == Local && p == Proposed:
		return Signed
	case f == weSigned && by == Remote && p == Acked:
		return Returned
	case f == theyRevoked && by == Local && p == Signed:
		return Acked
	case f == theyRevoked && by == Remote && p == Returned:
		return Settled
	case f == theySigned && by == Remote && p == Proposed:
		return Acked
	case f == theySigned && by == Local && p == Acked:
		return Settled
	}
	return p
}

// role is a side in the terms of BOLT 3.
func (c *Commitments) role(s Side) bolt3.Side {
	if (s == Local) == c.Opener {
		return bolt3.Opener
	}
	return bolt3.Accepter
}

// pays is the side that pays for the commitments.
func (c *Commitments) pays() Side {
	if c.Opener {
		return Local
	}
	return Remote
}

func sideOf(s pb.Side) Side { return Side(s) }

func (s Side) proto() pb.Side { return pb.Side(s) }
