package sim

import (
	"stormcell/persistence"
)

// Sabotage breaks one promise of the kernel, from outside of it: by a journal that lies to it; or one of an actor.
type Sabotage int

// The ways to break the kernel, and channels. From ApplyTwice on they are done by the domain, around its cores.
const (
	Honest                Sabotage = iota
	ReleaseBeforeDurable           // effects leave as soon as a commit is submitted
	ConsumeBeforeCommit            // a message is removed from the inbox in a commit of its own, ahead of what it causes
	LoseSend                       // the last message of a commit that sends several is not written
	RecoverWithoutBarrier          // an actor restarts in a living process on what happens to be durable
	ApplyTwice                     // an event is folded in twice
	LosePreimage                   // a channel does not tell its monitor the preimages
	RetransmitOutOfOrder           // revoke_and_ack and commitment_signed change places after a reconnection
	ForgetSigned                   // what was signed before a reconnection is not sent again
)

func (s Sabotage) String() string {
	return [...]string{"honest", "release before durable", "consume before commit", "lose a send",
		"recover without the barrier", "apply twice", "lose a preimage", "retransmit out of order", "forget what was signed"}[s]
}

// journal is what a sabotaged kernel gets for the honest one.
func (s Sabotage) journal(m *persistence.Memory, rt *runtime) persistence.Journal {
	switch s {
	case ReleaseBeforeDurable:
		return &hasty{Memory: m, rt: rt}
	case ConsumeBeforeCommit:
		return consumesFirst{m}
	case LoseSend:
		return losesSend{m}
	case RecoverWithoutBarrier:
		return noBarrier{m}
	default:
		return m
	}
}

// hasty says durable as soon as something is submitted.
type hasty struct {
	*persistence.Memory
	rt       *runtime
	listener persistence.Listener
	said     persistence.LSN
}

func (j *hasty) Start(l persistence.Listener) {
	j.listener = l
	j.Memory.Start(silent{l})
}

func (j *hasty) Submit(c *persistence.Commit) (persistence.LSN, error) {
	lsn, err := j.Memory.Submit(c)
	if err == nil {
		j.rt.Go(func() {
			if lsn > j.said {
				j.said = lsn
				j.listener.Durable(lsn)
			}
		})
	}
	return lsn, err
}

// Read lets recovery in a living process see what it waits for: that is not what is broken here.
func (j *hasty) Read(a persistence.Address) (*persistence.Stored, error) { return j.ReadAhead(a) }

// silent passes only failures on.
type silent struct{ persistence.Listener }

func (silent) Durable(persistence.LSN) {}

type consumesFirst struct{ *persistence.Memory }

func (j consumesFirst) Submit(c *persistence.Commit) (persistence.LSN, error) {
	if len(c.Consume) > 0 {
		if _, err := j.Memory.Submit(&persistence.Commit{Actor: c.Actor, Consume: c.Consume}); err != nil {
			return 0, err
		}
		c.Consume = nil
	}
	return j.Memory.Submit(c)
}

type losesSend struct{ *persistence.Memory }

func (j losesSend) Submit(c *persistence.Commit) (persistence.LSN, error) {
	if n := len(c.Send); n > 1 {
		written := *c
		written.Send = c.Send[:n-1]
		lsn, err := j.Memory.Submit(&written)
		c.Send = written.Send
		return lsn, err
	}
	return j.Memory.Submit(c)
}

type noBarrier struct{ *persistence.Memory }

func (j noBarrier) Last() persistence.LSN { return j.Memory.Durable() }
