package interop_test

// What our answers to the npm clients need not have in common with lnd's.
var (
	npmNodes = exceptions{
		differs: []string{"alias", "public_key", "version"}, own: []string{"features", "uris"},
	}
	npmUtxos = exceptions{
		differs: []string{"address", "output_script", "transaction_id", "confirmation_count"},
	}.below("utxos[].")
	npmTransaction = exceptions{
		differs: []string{
			"id", "block_id", "confirmation_count", "confirmation_height", "created_at", "output_addresses[]", "transaction",
			"inputs[].transaction_id",
		},
	}
	npmTransactions = npmTransaction.below("transactions[].")
	npmSpends       = exceptions{differs: []string{"fee", "tokens", "description"}}
	npmPeers        = exceptions{
		differs: []string{"public_key", "socket"}, own: []string{"features", "is_inbound", "ping_time"},
		lacks: []string{"bytes_received", "bytes_sent"},
	}.below("peers[].")
	// npmChannelEnds: a channel seen from the other end, and what each node chooses for its own.
	npmChannelEnds = exceptions{
		differs: []string{
			"commit_transaction_fee", "commit_transaction_weight", "id", "local_balance", "local_csv", "local_max_pending_mtokens",
			"partner_public_key", "remote_balance", "remote_csv", "remote_max_pending_mtokens", "transaction_id",
		},
		own: []string{"is_active", "other_ids", "time_offline", "time_online", "transaction_vout"},
	}
	// npmPending: each wants as many confirmations as it likes, and our opener never forgets a channel.
	npmPending = exceptions{
		differs: []string{
			"local_balance", "opening_waiting_blocks", "partner_public_key", "remote_balance", "transaction_fee", "transaction_id",
			"transaction_weight", "close_transaction_id", "pending_balance",
		},
		own: []string{"transaction_vout"},
	}
	npmOpening = npmPending.and(exceptions{lacks: []string{"blocks_until_expiry"}}).below("pending_channels[].")
	npmClosing = npmPending.and(exceptions{lacks: []string{"close_transaction"}}).below("pending_channels[].")
	npmClosed  = exceptions{
		differs: []string{
			"close_balance_spent_by", "close_transaction_id", "final_local_balance", "id",
			"partner_public_key", "transaction_id",
		},
		own: []string{"close_balance_vout", "other_ids", "transaction_vout"},
	}
	// npmAsked: ours have no blinded paths, and are numbered by where the log has them, where lnd counts from 1.
	npmAsked = exceptions{
		differs: []string{"id", "request", "created_at", "expires_at", "payment", "secret", "index"},
	}
	npmInvoices = npmAsked.and(exceptions{lacks: []string{"features.25"}})
	// npmReceived: each has a channel over which it can receive.
	npmReceived = npmInvoices.and(exceptions{
		differs: []string{
			"confirmed_at", "confirmed_index", "payments[].in_channel", "payments[].confirmed_at", "payments[].created_at",
		},
		own: []string{"payments[].pending_index"},
	})
	// npmReturned: lnd goes on counting as received what it gave back.
	npmReturned = npmReceived.and(exceptions{
		differs: []string{"payments[].canceled_at"}, lacks: []string{"received", "received_mtokens"},
	})
	// npmUnasked: of a keysend nothing was agreed before.
	npmUnasked = exceptions{
		own: []string{"cltv_delta", "expires_at"}, lacks: []string{"features.8", "payments[].messages"},
		more: []string{"payments[].total_mtokens"},
	}
	npmRequests = exceptions{
		differs: []string{"id", "request", "destination", "created_at", "expires_at", "payment"}, lacks: []string{"features.25"},
	}
	npmPaid = exceptions{differs: []string{
		"id", "confirmed_at", "created_at", "secret", "destination", "request", "hops[].public_key", "hops[].channel",
		"paths[].payment", "paths[].hops[].public_key", "paths[].hops[].channel",
	}}
	npmPayments = exceptions{differs: []string{
		"id", "confirmed_at", "created_at", "secret", "destination", "request", "index", "attempts[].confirmed_at",
		"attempts[].created_at", "attempts[].route.payment", "attempts[].route.hops[].public_key", "attempts[].route.hops[].channel",
	}}.below("payments[].")
	// npmFailed: lnd forgets what it tried, and from that the client tells whom it was for.
	npmFailed = exceptions{
		differs: []string{"id", "created_at", "destination", "request", "index"}, more: []string{"attempts", "destination"},
	}.below("payments[].")
)
