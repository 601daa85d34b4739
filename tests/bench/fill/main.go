// Command fill puts settled payments into the journal of a node that does not run, as the node's own payments and shards store
// them: only the channel that settles their HTLCs is made up.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/btcsuite/btcd/btcec/v2"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/payment"
	"stormcell/actors/router"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/payment"
	"stormcell/persistence"
)

func main() {
	dir := flag.String("datadir", "", "the node's data directory")
	payments := flag.Int("payments", 100_000, "how many payments")
	flag.Parse()
	if err := run(*dir, *payments); err != nil {
		fmt.Fprintln(os.Stderr, "fill:", err)
		os.Exit(1)
	}
}

// run fills the journal, and prints how many bytes it has grown by for each payment.
func run(dir string, payments int) (err error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	before := size(dir)
	journal, err := persistence.Open(persistence.Options{Dir: dir, Logger: log})
	if err != nil {
		return err
	}
	if err := errors.Join(fill(journal, payments, log), journal.Close()); err != nil {
		return err
	}
	fmt.Println((size(dir) - before) / int64(payments))
	return nil
}

// size is what all files of a directory take on the disk, in bytes of content.
func size(dir string) (all int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				all += info.Size()
			}
		}
		return nil
	})
	return all
}

// asleep is a journal whose live actors are left alone.
type asleep struct{ persistence.Journal }

// Live implements persistence.Journal.
func (asleep) Live(func(durable.Address) bool) error { return nil }

// madeUp is the channel that no node has: the last that could be.
const madeUp durable.Address = "channel/4294967295"

func fill(journal persistence.Journal, payments int, log *slog.Logger) error {
	ctx := context.Background()
	w := &world{}
	k := durable.New(durable.Options{Journal: asleep{journal}, World: w, Log: log})
	key, err := btcec.NewPrivateKey()
	if err != nil {
		return err
	}
	peer := [33]byte(key.PubKey().SerializeCompressed())
	w.Shell = payment.NewShell(payment.Config{
		Kernel: k, Log: log, Height: func() uint32 { return 1_000 },
		Channels: func(context.Context, [33]byte) ([]router.Channel, error) {
			return []router.Channel{{Address: madeUp, Peer: peer, Scid: 1, Minimum: 1, Sendable: 1 << 40, HTLCs: 1}}, nil
		},
	})
	none := durable.Kind{Creates: func(any) bool { return true }}
	channel, monitor := none, none
	channel.Name, monitor.Name = "channel", "monitor"
	settling := &settling{}
	err = errors.Join(
		durable.Register(k, payment.Kind(), payment.Core{}), durable.Register(k, payment.ShardKind(), payment.ShardCore{}),
		durable.Register(k, channel, settling), durable.Register(k, monitor, &settling.nobody))
	if err == nil {
		err = k.Start()
	}
	if err == nil {
		err = w.Start(ctx)
	}
	if err == nil {
		err = pay(ctx, w.Client(), settling, peer, payments)
	}
	w.Close()
	return errors.Join(err, k.Stop(ctx))
}

// atOnce is how many payments are under way at a time.
const atOnce = 256

// pay makes payments and waits until all have settled.
func pay(ctx context.Context, c payment.Client, settling *settling, peer [33]byte, payments int) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var paying sync.WaitGroup
	for range atOnce {
		paying.Go(func() {
			for n := next.Add(1); n <= int64(payments) && failed.Load() == nil; n = next.Add(1) {
				preimage := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("preimage"), uint64(n)))
				secret := sha256.Sum256(preimage[:])
				hash := sha256.Sum256(preimage[:])
				settling.preimages.Store(hash, preimage)
				_, err := c.Pay(ctx, hash, &pb.Request{
					Payee: &pb.Payee{Node: peer[:], Secret: secret[:]}, AmountMsat: 1_000_000, FinalDelta: 80,
				})
				if err == nil {
					err = c.Track(ctx, hash, func(*pb.Payment) error { return nil })
				}
				if err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	paying.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// world is that of payments; nothing else has effects.
type world struct{ *payment.Shell }

// Ended implements durable.World.
func (world) Ended(durable.Address, uint64) {}

// nobody takes every message, and stores nothing.
type nobody struct{}

// Recover implements durable.Core.
func (*nobody) Recover(durable.Address, proto.Message) (*nobody, error) { return &nobody{}, nil }

// Apply implements durable.Core.
func (*nobody) Apply(*nobody, proto.Message) {}

// Decide implements durable.Core.
func (*nobody) Decide(*nobody, durable.Message, durable.Env) durable.Outcome {
	return durable.Outcome{}
}

// Resume implements durable.Core.
func (*nobody) Resume(*nobody, durable.Env) durable.Outcome { return durable.Outcome{} }

// Snapshot implements durable.Core.
func (*nobody) Snapshot(*nobody) proto.Message { return &channelpb.Recorded{} }

// settling is a channel whose peer settles all HTLCs at once.
type settling struct {
	nobody
	preimages sync.Map // by payment hash
}

// Decide implements durable.Core.
func (s *settling) Decide(_ *nobody, m durable.Message, _ durable.Env) durable.Outcome {
	add, ok := m.Body.(*channelpb.AddHTLC)
	if !ok {
		return durable.Outcome{}
	}
	found, ok := s.preimages.LoadAndDelete([32]byte(add.GetPaymentHash()))
	if !ok {
		return durable.Outcome{}
	}
	preimage := found.([32]byte)
	return durable.Outcome{Send: []durable.Envelope{{To: m.From, Body: &channelpb.HTLCSettled{
		Tag: add.GetTag(), Preimage: preimage[:],
	}}}}
}
