package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/btcsuite/btcd/chaincfg"

	"stormcell/actors/channel"
)

// bursts are how many HTLCs are offered at once; 483 is all that a commitment takes from one side.
var bursts = []int{1, 8, 64, 483}

// channelAmount is each HTLC's, large enough for an output.
const channelAmount = 10_000_000 // msat

// channelSection measures HTLCs that are offered, claimed and settled on one channel between two nodes in this process, each
// with a kernel and a journal on Badger of its own, with messages encoded and decoded as on the wire.
func channelSection(out io.Writer, o options) error {
	fmt.Fprintf(out, "\nchannel: HTLCs offered, claimed and settled in bursts on one channel between two nodes on Badger\n")
	fmt.Fprintf(out, "%-6s %10s %12s %12s %12s %12s %12s %12s\n",
		"burst", "HTLCs/s", "p50/burst", "p99/burst", "signs/HTLC", "checks/HTLC", "syncs/burst", "CPU/HTLC")
	for _, burst := range bursts {
		if err := channelCell(out, o, burst); err != nil {
			return fmt.Errorf("bursts of %d: %w", burst, err)
		}
	}
	return nil
}

func channelCell(out io.Writer, o options, burst int) error {
	nodes, done, err := channelPair(o)
	if err != nil {
		return err
	}
	defer done()
	if err := openChannel(nodes); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	turn := 0
	pay := func() error {
		turn = 1 - turn
		return nodes[turn].pay(burst)
	}
	if err := pay(); err != nil { // both warm up
		return err
	}
	figures := func() (syncs, signed, checked uint64) {
		for _, n := range nodes {
			syncs, signed, checked = syncs+n.syncs(), signed+n.signed.Load(), checked+n.checked.Load()
		}
		return syncs, signed, checked
	}
	syncs, signed, checked := figures()
	cpu := cpuTime()
	all, took, err := measure([]func() error{pay}, o.each)
	if err != nil {
		return err
	}
	used := cpuTime() - cpu
	syncsNow, signedNow, checkedNow := figures()
	htlcs := float64(len(all) * burst)
	slices.Sort(all)
	fmt.Fprintf(out, "%-6d %10.0f %12v %12v %12.2f %12.2f %12.2f %12v\n", burst, htlcs/took.Seconds(),
		all.percentile(50).Round(10*time.Microsecond), all.percentile(99).Round(10*time.Microsecond),
		float64(signedNow-signed)/htlcs, float64(checkedNow-checked)/htlcs, float64(syncsNow-syncs)/float64(len(all)),
		time.Duration(float64(used)/htlcs).Round(time.Microsecond))
	return nil
}

// channelPair starts two nodes that are each other's peer.
func channelPair(o options) (nodes [2]*channelNode, done func(), err error) {
	done = func() {
		for _, n := range nodes {
			if n != nil {
				n.stop()
			}
		}
	}
	for i := range nodes {
		if nodes[i], err = newChannelNode(o, byte(i)); err != nil {
			done()
			return nodes, nil, err
		}
	}
	nodes[0].other, nodes[1].other = nodes[1], nodes[0]
	for _, n := range nodes {
		if err := n.kernel.Start(); err != nil {
			done()
			return nodes, nil, err
		}
	}
	return nodes, done, nil
}

// openChannel opens the channel, and waits until both can pay.
func openChannel(nodes [2]*channelNode) error {
	_, err := nodes[0].kernel.Ask(context.Background(), channelAddr, channel.Open{
		Peer: nodes[1].id(), Link: 1, Chain: *chaincfg.RegressionNetParams.GenesisHash, KeyIndex: 1, Funder: "wallet/main",
		Capacity: 16_000_000, Push: 8_000_000_000, FeeRate: 1_000, FundingFeeRate: 1_000,
	})
	if err != nil {
		return err
	}
	for _, n := range nodes {
		for _, fact := range []any{channel.Height{Height: 100}, channel.FundingConfirmed{Tx: nodes[0].funding, Height: 100}} {
			if err := n.kernel.Tell(channelAddr, 0, fact); err != nil {
				return err
			}
		}
	}
	for tooLate := time.After(10 * time.Second); !nodes[0].canPay() || !nodes[1].canPay(); {
		select {
		case <-nodes[0].changed:
		case <-nodes[1].changed:
		case <-tooLate:
			return errors.New("the channel does not open")
		}
	}
	return nil
}

// quiet is no log.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
