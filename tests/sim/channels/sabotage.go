package channels

import (
	"slices"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	channelpb "stormcell/messages/channel"
	"stormcell/peer/wire"
	"stormcell/tests/sim"
)

// Sabotage breaks a promise of channels, around their core.
type Sabotage sim.Sabotage

func (s Sabotage) core(c *channel.Core) durable.Core[*channel.State] {
	switch sim.Sabotage(s) {
	case sim.LosePreimage:
		return losesPreimages{c}
	case sim.RetransmitOutOfOrder:
		return outOfOrder{c}
	case sim.ForgetSigned:
		return forgetsSigned{c}
	default:
		return c
	}
}

type losesPreimages struct{ *channel.Core }

func (c losesPreimages) Decide(s *channel.State, m durable.Message, env durable.Env) durable.Outcome {
	out := c.Core.Decide(s, m, env)
	out.Send = slices.DeleteFunc(out.Send, func(e durable.Envelope) bool {
		update, ok := e.Body.(*channelpb.MonitorUpdate)
		return ok && len(update.GetPreimages()) > 0
	})
	return out
}

// reestablished tells whether a message makes a channel send again what the peer lacks.
func reestablished(m durable.Message) bool {
	received, ok := m.Body.(channel.Received)
	if !ok {
		return false
	}
	_, ok = received.Message.(*wire.ChannelReestablish)
	return ok
}

func sends[M wire.Message](e durable.Effect) bool {
	if lazy, ok := e.(durable.Lazy); ok {
		e = lazy.Effect
	}
	written, ok := e.(channel.SendWire)
	if !ok {
		return false
	}
	_, ok = written.Message.(M)
	return ok
}

type outOfOrder struct{ *channel.Core }

func (c outOfOrder) Decide(s *channel.State, m durable.Message, env durable.Env) durable.Outcome {
	out := c.Core.Decide(s, m, env)
	i := slices.IndexFunc(out.Release, sends[*wire.RevokeAndAck])
	j := slices.IndexFunc(out.Release, sends[*wire.CommitSig])
	if reestablished(m) && i >= 0 && j >= 0 {
		revocation := out.Release[i]
		out.Release = slices.Delete(out.Release, i, i+1)
		if i < j {
			out.Release = slices.Insert(out.Release, j, revocation)
		} else {
			out.Release = slices.Insert(out.Release, 0, revocation)
		}
	}
	return out
}

type forgetsSigned struct{ *channel.Core }

func (c forgetsSigned) Decide(s *channel.State, m durable.Message, env durable.Env) durable.Outcome {
	out := c.Core.Decide(s, m, env)
	if reestablished(m) {
		out.Release = slices.DeleteFunc(out.Release, sends[*wire.CommitSig])
	}
	return out
}
