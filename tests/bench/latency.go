package main

import (
	"sync"
	"time"
)

// latencies are sorted before they are asked for percentiles.
type latencies []time.Duration

// percentile gives the latency that so many percent do not exceed; 0 when nothing was measured.
func (l latencies) percentile(percent int) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[(len(l)-1)*percent/100]
}

// measure repeats each step for d, every one in a goroutine of its own, and gives how long each repetition took.
func measure(steps []func() error, d time.Duration) (latencies, time.Duration, error) {
	var mu sync.Mutex
	var all latencies
	var failed error
	var wg sync.WaitGroup
	started := time.Now()
	for _, step := range steps {
		wg.Go(func() {
			var mine latencies
			var err error
			for now := started; err == nil && now.Sub(started) < d; {
				err = step()
				next := time.Now()
				mine, now = append(mine, next.Sub(now)), next
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
			if err != nil {
				failed = err
			}
		})
	}
	wg.Wait()
	took := time.Since(started)
	return all, took, failed
}
