package durable_test

import (
	"slices"
	"sync"
	"time"

	"stormcell/actors/durable"
)

// impatient is the wall runtime without waiting: back-off and timers end at once.
type impatient struct{ durable.Wall }

func (r impatient) AfterFunc(_ time.Duration, f func()) func() { return r.Wall.AfterFunc(0, f) }

// clock is the wall runtime with a clock that a test turns.
type clock struct {
	durable.Wall
	mu     sync.Mutex
	now    time.Time
	timers []*timer
	set    []time.Duration // every timer that was ever set
}

type timer struct {
	at time.Time
	f  func()
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

// Now implements durable.Runtime.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc implements durable.Runtime.
func (c *clock) AfterFunc(d time.Duration, f func()) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{at: c.now.Add(d), f: f}
	c.timers, c.set = append(c.timers, t), append(c.set, d)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.timers = slices.DeleteFunc(c.timers, func(o *timer) bool { return o == t })
	}
}

// advance turns the clock and runs what is due.
func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	var due []*timer
	c.timers = slices.DeleteFunc(c.timers, func(t *timer) bool {
		if t.at.After(c.now) {
			return false
		}
		due = append(due, t)
		return true
	})
	c.mu.Unlock()
	for _, t := range due {
		t.f()
	}
}

// pending lists how long the timers that are set still run.
func (c *clock) pending() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []time.Duration
	for _, t := range c.timers {
		out = append(out, t.at.Sub(c.now))
	}
	slices.Sort(out)
	return out
}
