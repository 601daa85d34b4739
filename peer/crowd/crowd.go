// Package crowd bounds how many strangers there are at once, and is fair to their hosts.
package crowd

import (
	"net/netip"
	"slices"
	"sync"
)

// Crowd are strangers, of whom there are so many at most. When there is one more, one has to leave: of the host that has most of
// them, the one that came first. So nobody keeps others out by staying, unless he comes from as many hosts as there are places.
type Crowd struct {
	most int

	mu    sync.Mutex
	hosts map[netip.Prefix][]*Stranger // in the order in which they came
	count int
	came  uint64 // ever
}

// Stranger is one of a crowd.
type Stranger struct {
	host   netip.Prefix
	number uint64
	leave  func()
}

// New makes an empty crowd.
func New(most int) *Crowd { return &Crowd{most: most, hosts: map[netip.Prefix][]*Stranger{}} }

// Enter adds a stranger of a host, which address.HostOf tells. It is told to leave at most once, and never after Exit has returned;
// leave must not block.
func (c *Crowd) Enter(host netip.Prefix, leave func()) *Stranger {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == c.most {
		first := c.first()
		c.remove(first)
		first.leave()
	}
	c.came++
	s := &Stranger{host, c.came, leave}
	c.hosts[host] = append(c.hosts[host], s)
	c.count++
	return s
}

// Exit removes a stranger, if it still is one of the crowd.
func (c *Crowd) Exit(s *Stranger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(s)
}

// Size is how many there are.
func (c *Crowd) Size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// first is who has to leave.
func (c *Crowd) first() (first *Stranger) {
	most := 0
	for _, of := range c.hosts {
		if len(of) > most || len(of) == most && of[0].number < first.number {
			first, most = of[0], len(of)
		}
	}
	return first
}

func (c *Crowd) remove(s *Stranger) {
	i := slices.Index(c.hosts[s.host], s)
	if i < 0 {
		return
	}
	c.count--
	if c.hosts[s.host] = slices.Delete(c.hosts[s.host], i, i+1); len(c.hosts[s.host]) == 0 {
		delete(c.hosts, s.host)
	}
}
