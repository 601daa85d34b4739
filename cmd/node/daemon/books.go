package daemon

import (
	"context"
	"log/slog"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/prometheus/client_golang/prometheus"

	"stormcell/actors/channel"
	"stormcell/actors/node"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// scrapeLimit is how long a scrape waits for the node: what it cannot tell by then is left out.
const scrapeLimit = 3 * time.Second

// books are the metrics of what the node has: it asks those who know, which all have it in memory.
type books struct {
	node *node.Node
	log  *slog.Logger
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("stormcell_"+name, help, labels, nil)
}

var (
	peersDesc    = desc("peers", "Other nodes: connected, or away although they are to stay connected.", "state")
	channelsDesc = desc("channels", "Channels that are not gone: opening, active, inactive, closing, or unknown when they do not answer.",
		"state")
	channelBalanceDesc = desc("channel_balance_sat",
		"Satoshis in open channels: local ones are ours, remote the peers', and unsettled those in HTLCs; before fees and reserves.", "side")
	htlcsDesc         = desc("htlcs_in_flight", "HTLCs in channels.", "direction")
	walletBalanceDesc = desc("wallet_balance_sat",
		"Satoshis on the chain: confirmed, unconfirmed, immature, or leased for what is being made.", "state")
	heightDesc = desc("chain_height_blocks", "Height of the best block that the node knows.")
	syncedDesc = desc("chain_synced", "1 if that is all of the chain, as far as can be told, and 0 if not.")
)

// Describe implements prometheus.Collector.
func (b books) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		peersDesc, channelsDesc, channelBalanceDesc, htlcsDesc, walletBalanceDesc, heightDesc, syncedDesc,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (b books) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
	defer cancel()
	put := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	tip, synced := b.node.SyncedTo()
	put(heightDesc, float64(tip.Height))
	put(syncedDesc, truth(synced))
	for what, collect := range map[string]func() error{
		"peers":    func() error { return b.peers(ctx, put) },
		"channels": func() error { return b.channels(ctx, put) },
		"wallet":   func() error { return b.wallet(ctx, put) },
	} {
		if err := collect(); err != nil {
			b.log.Warn("metrics are left out", "of", what, "error", err)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

type put func(d *prometheus.Desc, value float64, labels ...string)

func (b books) peers(ctx context.Context, put put) error {
	peers, err := b.node.Peers.List(ctx)
	if err != nil {
		return err
	}
	connected := 0
	for _, p := range peers {
		if p.Connection != nil {
			connected++
		}
	}
	put(peersDesc, float64(connected), "connected")
	put(peersDesc, float64(len(peers)-connected), "away")
	return nil
}

func (b books) channels(ctx context.Context, put put) error {
	all, err := b.node.Channels().List(ctx)
	if err != nil {
		return err
	}
	states := map[string]int{"opening": 0, "active": 0, "inactive": 0, "closing": 0, "unknown": 0}
	var local, remote, unsettled wire.MilliSatoshi
	directions := map[bool]int{}
	for _, c := range all {
		state := stateOf(&c)
		states[state]++
		for _, h := range c.HTLCs {
			directions[h.Incoming]++
		}
		unsettled += c.Unsettled
		if state == "active" || state == "inactive" {
			local, remote = local+c.Local, remote+c.Remote
		}
	}
	for state, n := range states {
		put(channelsDesc, float64(n), state)
	}
	put(channelBalanceDesc, float64(local.ToSatoshis()), "local")
	put(channelBalanceDesc, float64(remote.ToSatoshis()), "remote")
	put(channelBalanceDesc, float64(unsettled.ToSatoshis()), "unsettled")
	put(htlcsDesc, float64(directions[true]), "incoming")
	put(htlcsDesc, float64(directions[false]), "outgoing")
	return nil
}

// stateOf is where a channel counts.
func stateOf(c *channel.Info) string {
	switch c.Phase {
	case pb.Phase_WAIT_READY, pb.Phase_NORMAL:
		if c.Active && c.ClosedBy == (chainhash.Hash{}) {
			return "active"
		}
		return "inactive"
	case pb.Phase_SHUTTING_DOWN, pb.Phase_AGREED, pb.Phase_CLOSING:
		return "closing"
	case pb.Phase_NOWHERE:
		return "unknown"
	default:
		return "opening"
	}
}

func (b books) wallet(ctx context.Context, put put) error {
	balance, err := b.node.Wallet().Balance(ctx)
	if err != nil {
		return err
	}
	put(walletBalanceDesc, float64(balance.Confirmed), "confirmed")
	put(walletBalanceDesc, float64(balance.Unconfirmed), "unconfirmed")
	put(walletBalanceDesc, float64(balance.Immature), "immature")
	put(walletBalanceDesc, float64(balance.Leased), "leased")
	return nil
}
