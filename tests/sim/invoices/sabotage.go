package invoices

import (
	"slices"

	"stormcell/actors/durable"
	"stormcell/actors/invoice"
	channelpb "stormcell/messages/channel"
)

// Sabotage breaks one rule of the invoices, to show that a run finds it.
type Sabotage int

// The rules. Their numbers are no others' in a plan.
const (
	Honest          Sabotage = 0
	ForgetMonitors  Sabotage = iota + 200 // a claim tells the channels, and not their monitors
	ForgetAPart                           // a claim leaves one HTLC of the set out
	ForgetTheTimer                        // after a restart a set waits for its rest for ever
	ForgetDeadlines                       // after a restart a held set hears of no blocks
)

func (s Sabotage) String() string {
	return map[Sabotage]string{
		Honest: "honest", ForgetMonitors: "forget the monitors", ForgetAPart: "forget a part",
		ForgetTheTimer: "forget the timer", ForgetDeadlines: "forget deadlines",
	}[s]
}

// broken is the core with one rule broken.
type broken struct {
	durable.Core[*invoice.State]
	how Sabotage
}

func (b broken) Decide(s *invoice.State, m durable.Message, env durable.Env) durable.Outcome {
	out := b.Core.Decide(s, m, env)
	left := false
	out.Send = slices.DeleteFunc(out.Send, func(e durable.Envelope) bool {
		switch e.Body.(type) {
		case *channelpb.MonitorUpdate:
			return b.how == ForgetMonitors
		case *channelpb.FulfillHTLC:
			drop := b.how == ForgetAPart && !left
			left = true
			return drop
		default:
			return false
		}
	})
	return out
}

func (b broken) Resume(s *invoice.State, env durable.Env) durable.Outcome {
	out := b.Core.Resume(s, env)
	out.Release = slices.DeleteFunc(out.Release, func(e durable.Effect) bool {
		switch e.(type) {
		case durable.SetTimer:
			return b.how == ForgetTheTimer
		case invoice.Holding:
			return b.how == ForgetDeadlines
		default:
			return false
		}
	})
	return out
}
