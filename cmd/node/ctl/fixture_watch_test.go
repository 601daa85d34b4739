package ctl

import (
	"context"
	"time"

	"stormcell/actors/wallet"
	"stormcell/chain/fees"
	chainwallet "stormcell/chain/wallet"
)

// Watch looks again and again: the fakes change whenever a test wants them to.
func (fakeChannels) Watch(ctx context.Context, look func() (bool, error)) error {
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		if enough, err := look(); enough || err != nil {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (fakeChain) TipFound() time.Time { return time.Time{} }

func (fakePeers) Watch(context.Context, func() error) error { return context.Canceled }

func (fakeWallet) Watch(context.Context, func() error) error { return context.Canceled }

func (fakeWallet) Estimate(context.Context, wallet.SendRequest) (chainwallet.Selection, fees.SatPerKW, error) {
	return chainwallet.Selection{}, 0, nil
}
