package rpc

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"google.golang.org/grpc/peer"

	"stormcell/peer/address"
)

// crowd are strangers, of whom there are so many at most. When there is one more, one has to leave: of the host that has most of
// them, the one that came first. So nobody keeps others out by staying, unless he comes from as many hosts as there are places.
type crowd struct {
	most int

	mu    sync.Mutex
	hosts map[netip.Prefix][]*stranger // in the order in which they came
	count int
	came  uint64 // ever
}

// stranger is one of a crowd.
type stranger struct {
	host   netip.Prefix
	number uint64
	leave  func()
}

func newCrowd(most int) *crowd { return &crowd{most: most, hosts: map[netip.Prefix][]*stranger{}} }

// enter adds a stranger. It is told to leave at most once, and never after exit has returned; leave must not block.
func (c *crowd) enter(host netip.Prefix, leave func()) *stranger {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == c.most {
		first := c.first()
		c.remove(first)
		first.leave()
	}
	c.came++
	s := &stranger{host, c.came, leave}
	c.hosts[host] = append(c.hosts[host], s)
	c.count++
	return s
}

// admit runs a call as one of the crowd: its context ends when it has to leave.
func (c *crowd) admit(ctx context.Context, call func(context.Context) error) error {
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	s := c.enter(hostOf(ctx), func() { leave(errTooMany) })
	defer c.exit(s)
	err := call(ctx)
	if err != nil && context.Cause(ctx) == errTooMany {
		return errTooMany
	}
	return err
}

// hostOf is where a call comes from.
func hostOf(ctx context.Context) netip.Prefix {
	if caller, ok := peer.FromContext(ctx); ok {
		return address.HostOf(caller.Addr)
	}
	return netip.Prefix{}
}

// exit removes a stranger, if it still is one of the crowd.
func (c *crowd) exit(s *stranger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(s)
}

// size is how many there are.
func (c *crowd) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// first is who has to leave.
func (c *crowd) first() (first *stranger) {
	most := 0
	for _, of := range c.hosts {
		if len(of) > most || len(of) == most && of[0].number < first.number {
			first, most = of[0], len(of)
		}
	}
	return first
}

func (c *crowd) remove(s *stranger) {
	i := slices.Index(c.hosts[s.host], s)
	if i < 0 {
		return
	}
	c.count--
	if c.hosts[s.host] = slices.Delete(c.hosts[s.host], i, i+1); len(c.hosts[s.host]) == 0 {
		delete(c.hosts, s.host)
	}
}
