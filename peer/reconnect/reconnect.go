// Package reconnect decides when to connect to a peer again. It is a pure state machine: time and chance are passed in.
package reconnect

import (
	"math/rand/v2"
	"time"
)

// Policy is how patient a node is. Waits double from First to Max, and each is shortened by up to half by chance, so that
// nodes which lost each other at once do not come back at once.
type Policy struct {
	First time.Duration
	Max   time.Duration
	// Stable is how long a connection must have lasted for the waits to start over.
	Stable time.Duration
}

// DefaultPolicy is a second to ten minutes, and a minute to be stable.
func DefaultPolicy() Policy {
	return Policy{First: time.Second, Max: 10 * time.Minute, Stable: time.Minute}
}

// State is where the attempts to reach one peer stand. The zero value is a peer that was never tried.
type State struct {
	// Failures counts the attempts and short connections since the last stable one.
	Failures int
	// Since is when the connection came up; zero if there is none.
	Since time.Time
}

// Connected notes that a connection came up.
func (p Policy) Connected(s State, now time.Time) State {
	s.Since = now
	return s
}

// Ended notes that an attempt failed, or that a connection ended, and returns how long to wait before the next attempt.
// A peer that is incompatible is left alone for the longest wait at once, whatever came before: one of the two nodes must
// change first.
func (p Policy) Ended(s State, now time.Time, incompatible bool, chance *rand.Rand) (State, time.Duration) {
	stable := !s.Since.IsZero() && now.Sub(s.Since) >= p.Stable
	s.Since = time.Time{}
	if stable {
		s.Failures = 0
	}
	s.Failures++
	wait := p.wait(s.Failures)
	if incompatible {
		wait = p.Max
	}
	return s, shortened(wait, chance)
}

// wait is the longest wait after so many failures.
func (p Policy) wait(failures int) time.Duration {
	wait := p.First
	for i := 1; i < failures && wait < p.Max; i++ {
		wait *= 2
	}
	return min(wait, p.Max)
}

// shortened is between half of a wait and all of it.
func shortened(wait time.Duration, chance *rand.Rand) time.Duration {
	half := wait / 2
	return half + time.Duration(chance.Int64N(int64(wait-half)+1))
}
