package interop_test

import (
	"crypto/sha256"

	"github.com/btcsuite/btcd/btcec/v2"
)

// below puts the paths under a prefix.
func (e exceptions) below(prefix string) exceptions {
	under := func(paths []string) (out []string) {
		for _, path := range paths {
			out = append(out, prefix+path)
		}
		return out
	}
	return exceptions{under(e.differs), under(e.own), under(e.lacks), under(e.more)}
}

// strangersKey is of a node that is nowhere.
func strangersKey() []byte {
	secret := sha256.Sum256([]byte("a stranger"))
	_, key := btcec.PrivKeyFromBytes(secret[:])
	return key.SerializeCompressed()
}

// What our answers need not have in common with lnd's.
var (
	nodes = exceptions{
		differs: []string{"identity_pubkey", "alias", "version"},
		own:     []string{"uris", "commit_hash", "features", "graph_cache_status"},
	}
	peers = exceptions{
		differs: []string{"peers[].pub_key", "peers[].address", "peers[].features"},
		own:     []string{"peers[].inbound", "peers[].ping_time", "peers[].errors", "peers[].flap_count", "peers[].last_flap_ns"},
		lacks:   []string{"peers[].bytes_sent", "peers[].bytes_recv"},
	}
	utxos = exceptions{differs: []string{
		"utxos[].address", "utxos[].outpoint", "utxos[].pk_script", "utxos[].confirmations",
	}}
	transactions = exceptions{
		differs: []string{
			"transactions[].tx_hash", "transactions[].block_hash", "transactions[].block_height", "transactions[].raw_tx_hex",
			"transactions[].num_confirmations", "transactions[].time_stamp", "transactions[].label",
			"transactions[].dest_addresses[]", "transactions[].output_details[].address", "transactions[].output_details[].pk_script",
			"transactions[].previous_outpoints[].outpoint",
		},
	}
	// channelEnds: a channel seen from the other end, and what each node chooses for its own.
	channelEnds = exceptions{
		differs: []string{
			"remote_pubkey", "channel_point", "chan_id", "scid", "scid_str", "csv_delay", "local_constraints.csv_delay",
			"remote_constraints.csv_delay", "local_constraints.max_pending_amt_msat", "remote_constraints.max_pending_amt_msat",
			"local_balance", "remote_balance", "commit_fee", "fee_per_kw", "commit_weight", "num_updates",
		},
		own: []string{"alias_scids", "lifetime", "uptime"},
	}
	channels = channelEnds.below("channels[].").and(exceptions{lacks: []string{"channels[].peer_alias"}})
	// pending: each wants as many confirmations as it likes, and the opener of ours never forgets a channel.
	pending = exceptions{
		differs: []string{
			"channel.remote_node_pub", "channel.channel_point", "channel.local_balance", "channel.remote_balance", "commit_fee",
			"fee_per_kw", "commit_weight",
		},
		own: []string{"confirmations_until_active", "funding_expiry_blocks"},
	}.below("pending_open_channels[].")
	waiting = exceptions{
		differs: []string{
			"channel.remote_node_pub", "channel.channel_point", "channel.local_balance", "channel.remote_balance", "limbo_balance",
			"closing_txid", "channel.chan_status_flags",
		},
		lacks: []string{"blocks_til_close_confirmed", "channel.num_forwarding_packages", "commitments"},
	}.below("waiting_close_channels[].").and(exceptions{differs: []string{"total_limbo_balance"}})
	closed = exceptions{
		differs: []string{
			"channel_point", "chan_id", "scid", "scid_str", "closing_tx_hash", "remote_pubkey", "settled_balance",
		},
		own: []string{"close_initiator"},
	}.below("channels[].")
	// spends: our estimate of what a transaction weighs is not lnd's, and lnd puts the change anywhere.
	spends = exceptions{
		differs: []string{
			"transactions[].amount", "transactions[].total_fees", "transactions[].output_details[].amount",
			"transactions[].output_details[].output_type",
		},
		own: []string{"transactions[].output_details[].is_our_address"},
	}
	// balances after such a transaction.
	balances = exceptions{differs: []string{
		"account_balance.default.unconfirmed_balance", "account_balance.default.confirmed_balance", "confirmed_balance",
		"unconfirmed_balance", "total_balance",
	}}
)

// invoices is of one that was asked for and not paid; paid of one that was; held of one that may yet be; unasked of one that
// nobody asked for.
func invoices(prefix string) exceptions {
	return exceptions{
		differs: []string{"r_preimage", "r_hash", "creation_date", "payment_request", "add_index", "payment_addr"},
		lacks:   []string{"features.25"},
	}.below(prefix)
}

func paid(prefix string) exceptions {
	return invoices(prefix).and(exceptions{
		differs: []string{
			"settle_date", "settle_index", "htlcs[].accept_time", "htlcs[].resolve_time", "htlcs[].chan_id",
		},
		own: []string{"htlcs[].htlc_index"},
	}.below(prefix))
}

func held(prefix string) exceptions { return paid(prefix) }

func unasked(prefix string) exceptions {
	return exceptions{
		own:   []string{"cltv_expiry", "payment_addr", "expiry", "htlcs[].mpp_total_amt_msat"},
		lacks: []string{"htlcs[].custom_channel_data", "htlcs[].custom_records.5482373484", "features.8"},
	}.below(prefix)
}

func payments(prefix string) exceptions {
	return exceptions{
		differs: []string{
			"payment_hash", "creation_date", "payment_preimage", "payment_request", "creation_time_ns", "htlcs[].attempt_id",
			"htlcs[].attempt_time_ns", "htlcs[].resolve_time_ns", "htlcs[].preimage", "htlcs[].route.hops[].chan_id",
			"htlcs[].route.hops[].pub_key", "htlcs[].route.hops[].mpp_record.payment_addr", "payment_index",
		},
		lacks: []string{"first_hop_custom_records.106823"},
	}.below(prefix)
}

func keysends(prefix string) exceptions {
	return exceptions{differs: []string{"htlcs[].route.hops[].custom_records.5482373484"}}.below(prefix)
}
