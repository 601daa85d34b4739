package invoice

import (
	"context"
	"log/slog"
	"testing"

	"github.com/btcsuite/btcd/chaincfg"
	sphinx "github.com/lightningnetwork/lightning-onion"
	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	"stormcell/persistence"
)

// BenchmarkList lists 100 invoices of many, on disk.
func BenchmarkList(b *testing.B) {
	const many, page = 5_000, 100
	journal, err := persistence.Open(persistence.Options{Dir: b.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	defer func() { require.NoError(b, journal.Close()) }()
	kernel := durable.New(durable.Options{Journal: journal, World: nobody{}, Log: slog.New(slog.DiscardHandler)})
	require.NoError(b, durable.Register(kernel, Kind(), Core{
		Network: &chaincfg.RegressionNetParams, ECDH: (&sphinx.PrivKeyECDH{PrivKey: nodeKey}).ECDH, SignInvoice: sign,
		Height: func() uint32 { return theHeight }, Policy: DefaultPolicy(),
	}))
	require.NoError(b, kernel.Start())
	ctx := context.Background()
	defer func() { require.NoError(b, kernel.Stop(ctx)) }()
	client := NewShell(kernel, durable.Wall{}, func() uint32 { return theHeight }, slog.New(slog.DiscardHandler)).Client()

	const at = 64 // once
	added := make(chan error, at)
	for range at {
		go func() {
			for range many / at {
				if _, err := client.Add(ctx, Request{Amount: theAmount, Description: "tea"}, nil); err != nil {
					added <- err
					return
				}
			}
			added <- nil
		}()
	}
	for range at {
		require.NoError(b, <-added)
	}
	for b.Loop() {
		got, err := client.List(ctx, Query{Limit: page, Reverse: true})
		require.NoError(b, err)
		require.Len(b, got, page)
	}
}

// nobody carries out no effects.
type nobody struct{}

func (nobody) Release(durable.Address, uint64, durable.Effect) {}
func (nobody) Ended(durable.Address, uint64)                   {}
