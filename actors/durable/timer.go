package durable

// timer is a running timer of an incarnation.
type timer struct{ stop func() }

// setTimer starts or replaces a timer, if the incarnation that asked for it still lives.
func (c *cell) setTimer(session uint64, e SetTimer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if session != c.session {
		return
	}
	if old := c.timers[e.Key]; old != nil {
		old.stop()
	}
	if c.timers == nil {
		c.timers = map[string]*timer{}
	}
	t := &timer{}
	c.timers[e.Key] = t
	t.stop = c.k.rt.AfterFunc(e.After, func() { c.fire(session, e, t) })
}

func (c *cell) stopTimer(session uint64, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.timers[key]; t != nil && session == c.session {
		t.stop()
		delete(c.timers, key)
	}
}

// fire delivers a timer's message, unless the timer was replaced or stopped meanwhile.
func (c *cell) fire(session uint64, e SetTimer, t *timer) {
	c.mu.Lock()
	current := session == c.session && c.timers[e.Key] == t
	if current {
		delete(c.timers, e.Key)
	}
	c.mu.Unlock()
	if current {
		c.post(&item{msg: Message{Body: e.Body}, session: session, internal: true})
	}
}
