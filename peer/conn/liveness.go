package conn

import "time"

// liveness decides when a peer is to be pinged and when it is given up. It is a pure state machine: the caller tells it
// what happens and when, and asks it what is due.
type liveness struct {
	limits Limits

	began   time.Time
	up      bool      // init came
	heard   time.Time // the last whole message came, or the reader was free again to see one
	pinged  time.Time // a ping waits for an answer since; zero if none does
	writing time.Time // a write is under way since; zero if none is
	busy    bool      // the reader does not read: silence is our own doing
}

// action is what is due.
type action struct {
	ping    bool
	giveUp  Kind          // empty if the connection lives
	nothing time.Duration // how long nothing more can be due
}

func newLiveness(limits Limits, now time.Time) liveness {
	return liveness{limits: limits, began: now, heard: now}
}

// hear notes a whole message. Any message shows that the peer lives: a pong can be far behind a burst of others.
func (l *liveness) hear(now time.Time) {
	l.heard = now
	l.pinged = time.Time{}
}

// hold notes that the reader stops reading (true), or reads again (false).
func (l *liveness) hold(busy bool, now time.Time) {
	l.busy = busy
	if l.heard = now; !l.pinged.IsZero() {
		l.pinged = now
	}
}

// write notes that a write begins (true), or is through (false).
func (l *liveness) write(begins bool, now time.Time) {
	l.writing = time.Time{}
	if begins {
		l.writing = now
	}
}

// due says what is due now. A ping it asks for counts as sent.
func (l *liveness) due(now time.Time) action {
	next := now.Add(l.limits.WriteTimeout) // for a write that begins right after
	if !l.writing.IsZero() {
		next = l.writing.Add(l.limits.WriteTimeout)
		if !now.Before(next) {
			return action{giveUp: WriteStalled}
		}
	}
	if !l.up {
		deadline := l.began.Add(l.limits.InitTimeout)
		if !now.Before(deadline) {
			return action{giveUp: InitTimeout}
		}
		return action{nothing: earlier(next, deadline).Sub(now)}
	}
	if l.busy {
		return action{nothing: earlier(next, now.Add(l.limits.PingInterval)).Sub(now)}
	}
	if !l.pinged.IsZero() {
		deadline := l.pinged.Add(l.limits.PongTimeout)
		if !now.Before(deadline) {
			return action{giveUp: Silent}
		}
		return action{nothing: earlier(next, deadline).Sub(now)}
	}
	pingAt := l.heard.Add(l.limits.PingInterval)
	if !now.Before(pingAt) {
		l.pinged = now
		return action{ping: true, nothing: earlier(next, now.Add(l.limits.PongTimeout)).Sub(now)}
	}
	return action{nothing: earlier(next, pingAt).Sub(now)}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
