package conn

import "time"

// Rate is an amount that may pass per second, and how much of it may pass at once.
type Rate struct {
	PerSecond float64
	Burst     float64
}

// bucket holds a Rate. It is lent against: what has come already is let through, and the next waits for the debt.
type bucket struct {
	rate  Rate
	level float64
	at    time.Time
}

func newBucket(rate Rate, now time.Time) bucket {
	return bucket{rate: rate, level: rate.Burst, at: now}
}

// take counts an amount that has come, and returns how long to wait until the debt is paid; zero if there is none.
func (b *bucket) take(amount float64, now time.Time) time.Duration {
	b.fill(now)
	b.level -= amount
	if b.level >= 0 {
		return 0
	}
	return time.Duration(-b.level / b.rate.PerSecond * float64(time.Second))
}

// allow counts an amount if there is as much, and reports whether there was.
func (b *bucket) allow(amount float64, now time.Time) bool {
	b.fill(now)
	if b.level < amount {
		return false
	}
	b.level -= amount
	return true
}

func (b *bucket) fill(now time.Time) {
	if elapsed := now.Sub(b.at); elapsed > 0 {
		b.level = min(b.rate.Burst, b.level+elapsed.Seconds()*b.rate.PerSecond)
		b.at = now
	}
}
