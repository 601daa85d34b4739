package onchain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stormcell/chain/fees"
)

// ErrNoFeeRate says that the backend gives no estimate, and that no fallback is configured.
var ErrNoFeeRate = errors.New("no fee rate is known: the chain backend has no estimate, and no fallback is configured")

const (
	// estimateLife is how long an estimate is used.
	estimateLife = time.Minute

	// estimatePatience is how long the backend may take for one.
	estimatePatience = 5 * time.Second
)

// estimate is what a backend said, or the fallback.
type estimate struct {
	rate  fees.SatPerKW
	until time.Time
}

// FeeRate is the rate at which a transaction should confirm within that many blocks: the backend's estimate, else the fallback,
// between fees.Floor and fees.Cap. Without either it is ErrNoFeeRate.
func (d *Desk) FeeRate(ctx context.Context, blocks uint32) (fees.SatPerKW, error) {
	var known estimate
	d.do(func() { known = d.estimates[blocks] })
	if d.Runtime.Now().Before(known.until) {
		return known.rate, nil
	}
	rate, err := d.estimate(ctx, blocks)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return 0, fmt.Errorf("estimate a fee rate: %w", ctx.Err())
	case d.FallbackFeeRate == 0:
		return 0, fmt.Errorf("%w (%w)", ErrNoFeeRate, err)
	default:
		d.Log.Debug("no estimate of the fee rate; the fallback is used", "blocks", blocks, "error", err)
		rate = d.FallbackFeeRate
	}
	rate = rate.Clamp()
	d.do(func() { d.estimates[blocks] = estimate{rate, d.Runtime.Now().Add(estimateLife)} })
	return rate, nil
}

// estimate asks the backend, which may take no longer than a caller would wait.
func (d *Desk) estimate(ctx context.Context, blocks uint32) (fees.SatPerKW, error) {
	if _, known := d.Tip(); !known {
		return 0, errors.New("the chain backend is not there yet")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := d.Runtime.AfterFunc(estimatePatience, cancel)
	defer stop()
	return d.Backend.EstimateFee(ctx, blocks)
}
