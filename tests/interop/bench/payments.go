package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

// cell is what came of some time with so many payments under way.
type cell struct {
	name             string
	channels, atOnce int

	paid         int
	took         time.Duration
	latencies    []time.Duration // sorted
	payer, payee figures
	syncs        float64 // for each payment, over both nodes; negative when nobody counted
}

func (c *cell) rate() float64 { return float64(c.paid) / c.took.Seconds() }

func (c *cell) percentile(percent int) time.Duration {
	return c.latencies[(len(c.latencies)-1)*percent/100].Round(100 * time.Microsecond)
}

// payments measures Stormcell and lnd by turns.
func payments(h *host, o options) {
	chain := node.StartBtcd(h)
	pairs := []*pair{stormcells(h, chain, o)}
	if o.lnd {
		pairs = append(pairs, lnds(h, chain))
	}
	fmt.Printf("\npayments of %d sat between two nodes, %v each row; nodes, client and btcd share this machine\n", amount, o.each)
	fmt.Printf("%-10s %8s %7s %10s %9s %9s %11s %11s %11s %11s\n", "node", "channels", "at once", "payments/s", "p50", "p95",
		"syncs/paid", "KiB/paid", "CPU payer", "CPU payee")
	var all []*cell
	for _, channels := range o.channels {
		for _, p := range pairs {
			p.open(channels)
		}
		for _, atOnce := range o.atOnce {
			for _, p := range pairs {
				c := p.measure(atOnce, o)
				c.print()
				all = append(all, c)
			}
		}
	}
	if o.lnd {
		compare(all)
	}
}

func (c *cell) print() {
	each := func(d time.Duration) time.Duration { return (d / time.Duration(c.paid)).Round(10 * time.Microsecond) }
	syncs := "-"
	if c.syncs >= 0 {
		syncs = fmt.Sprintf("%.2f", c.syncs)
	}
	fmt.Printf("%-10s %8d %7d %10.1f %9v %9v %11s %11.1f %11v %11v\n", c.name, c.channels, c.atOnce, c.rate(),
		c.percentile(50), c.percentile(95), syncs, float64(c.payer.written+c.payee.written)/1024/float64(c.paid),
		each(c.payer.cpu), each(c.payee.cpu))
}

// compare says how Stormcell did beside lnd.
func compare(all []*cell) {
	fmt.Printf("\nStormcell beside lnd\n%8s %7s %13s %13s %13s\n", "channels", "at once", "payments/s", "p50", "CPU/paid")
	for _, ours := range all {
		for _, other := range all {
			if ours.name == other.name || ours.name == "lnd" || ours.channels != other.channels || ours.atOnce != other.atOnce {
				continue
			}
			cpu := func(c *cell) float64 { return float64(c.payer.cpu+c.payee.cpu) / float64(c.paid) }
			fmt.Printf("%8d %7d %12.2fx %12.2fx %12.2fx\n", ours.channels, ours.atOnce, ours.rate()/other.rate(),
				float64(ours.percentile(50))/float64(other.percentile(50)), cpu(ours)/cpu(other))
		}
	}
}

// measure pays for some time, after a little that tells how many invoices that takes.
func (p *pair) measure(atOnce int, o options) *cell {
	warm := p.load(2*atOnce+8, atOnce, o.each)
	enough := int(1.5*warm.rate()*o.each.Seconds()) + atOnce
	c := p.profile(o, atOnce, func() *cell { return p.load(enough, atOnce, o.each) })
	switch {
	case p.members[0].metrics != "":
		c.syncs = float64(c.payer.syncs+c.payee.syncs) / float64(c.paid)
	case o.syncs && canTrace():
		pids := []int{p.members[0].Pid(), p.members[1].Pid()}
		var traced *cell
		n := countSyncs(p.host, pids, func() { traced = p.load(min(enough, 20*atOnce), atOnce, o.each) })
		c.syncs = float64(n) / float64(traced.paid)
	default:
		c.syncs = -1
	}
	return c
}

// load lets whoever has more pay, so many at a time, until there are no invoices left or the time is over.
func (p *pair) load(most, atOnce int, d time.Duration) *cell {
	from, to := p.richer()
	invoices := p.invoices(to, most)
	c := &cell{name: p.name, channels: p.channels, atOnce: atOnce, payer: from.figures(p.host), payee: to.figures(p.host)}
	var (
		next    atomic.Int64
		mu      sync.Mutex
		trouble error
		running sync.WaitGroup
	)
	began := time.Now()
	for range atOnce {
		running.Go(func() {
			var mine []time.Duration
			var err error
			for err == nil && time.Since(began) < d {
				i := int(next.Add(1)) - 1
				if i >= len(invoices) {
					break
				}
				asked := time.Now()
				if err = p.pay(from, invoices[i]); err == nil {
					mine = append(mine, time.Since(asked))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			c.latencies = append(c.latencies, mine...)
			if err != nil {
				trouble = err
			}
		})
	}
	running.Wait()
	c.took = time.Since(began)
	require.NoError(p.host, trouble, "%s, %d at once", p.name, atOnce)
	slices.Sort(c.latencies)
	c.paid = len(c.latencies)
	c.payer, c.payee = from.figures(p.host).since(c.payer), to.figures(p.host).since(c.payee)
	return c
}

// invoices makes invoices ahead.
func (p *pair) invoices(at *member, n int) []string {
	all := make([]string, n)
	var next atomic.Int64
	var making sync.WaitGroup
	var trouble atomic.Pointer[error]
	for range min(n, 16) {
		making.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				made, err := at.Invoice(amountMsat)
				if err != nil {
					trouble.Store(&err)
					return
				}
				all[i] = made.PaymentRequest
			}
		})
	}
	making.Wait()
	if err := trouble.Load(); err != nil {
		require.NoError(p.host, *err, "%s makes invoices", p.name)
	}
	return all
}
