package interop_test

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

func (w npmTwins) asksTheNode() {
	w.awaitSynced()
	w.ask(exceptions{}, "getWalletStatus", nil)
	w.ask(exceptions{differs: []string{"public_key"}}, "getIdentity", nil)
	w.ask(exceptions{}, "getHeight", nil)
	w.ask(npmNodes, "getWalletInfo", nil)
	w.ask(exceptions{
		differs: []string{"build_tags"}, lacks: []string{"is_signrpc_enabled", "is_walletrpc_enabled"},
	}, "getWalletVersion", nil)
	w.each(exceptions{
		differs: []string{"alias"}, own: []string{"features", "sockets"}, lacks: []string{"updated_at"},
	}, "getNode", func(self *node.Lightning) args { return args{"public_key": self.Key, "is_omitting_channels": true} })
	w.follow("subscribeToWalletStatus", all(nil), "ready").tells(exceptions{}, "ready", whatever)
	ours, lnds := w.call(w.ours, "getMethods", nil), w.call(w.other, "getMethods", nil)
	theirs := map[any]any{}
	for _, m := range lnds["methods"].([]any) {
		theirs[m.(map[string]any)["endpoint"]] = m
	}
	for _, m := range ours["methods"].([]any) {
		if endpoint := m.(map[string]any)["endpoint"]; !strings.HasPrefix(endpoint.(string), "/stormcell.") {
			require.Equal(w.t, theirs[endpoint], m)
		}
	}
}

func (w npmTwins) asksTheWallet() {
	w.ask(exceptions{differs: []string{"address"}}, "createChainAddress", nil)
	w.ask(exceptions{differs: []string{"address"}}, "createChainAddress", args{"format": "p2wpkh"})
	w.call(w.other, "createChainAddress", args{"format": "p2tr"})
	_, failed := w.npm.Call(w.ours, "createChainAddress", args{"format": "p2tr"})
	require.Equal(w.t, []any{501.0, "CreationOfTaprootAddressesUnsupported"}, failed, "the client asks lnd's wallet kit first")
	w.ask(exceptions{}, "getChainBalance", nil)
	w.ask(exceptions{}, "getPendingChainBalance", nil)
	w.ask(npmUtxos, "getUtxos", nil)
	w.ask(npmTransactions, "getChainTransactions", nil)
}

// meets has each disconnect from the other, and connect to it.
func (w npmTwins) meets() {
	there := func(self *node.Lightning) args {
		return args{"public_key": w.peerOf(self).Key, "socket": w.peerOf(self).Peer}
	}
	who := func(self *node.Lightning) args { return args{"public_key": w.peerOf(self).Key} }
	w.each(exceptions{}, "addPeer", there) // which they are already
	heard := w.follow("subscribeToPeers", all(nil), "connected", "disconnected")
	for _, self := range w.both() {
		w.call(self, "removePeer", who(self))
		heard.tells(exceptions{differs: []string{"public_key"}}, "disconnected", whatever)
		within(w.t, "the nodes part", func() bool { return !w.ours.IsConnected(w.other) && !w.other.IsConnected(w.ours) })
		w.call(self, "addPeer", there(self))
		heard.tells(exceptions{differs: []string{"public_key"}}, "connected", whatever)
		within(w.t, "the nodes meet", func() bool { return w.ours.IsConnected(w.other) && w.other.IsConnected(w.ours) })
	}
	w.ask(npmPeers, "getPeers", nil)
}

// opens has each open a channel to the other, in the same block.
func (w npmTwins) opens() {
	heard := w.follow("subscribeToChannels", all(nil), "channel_opening", "channel_opened", "channel_active_changed")
	w.awaitSynced()
	w.each(exceptions{differs: []string{"transaction_id"}, own: []string{"transaction_vout"}}, "openChannel",
		func(self *node.Lightning) args {
			return args{
				"partner_public_key": w.peerOf(self).Key, "local_tokens": capacity, "give_tokens": pushed,
				"chain_fee_tokens_per_vbyte": 5,
			}
		})
	heard.tells(exceptions{differs: []string{"transaction_id"}, own: []string{"transaction_vout"}}, "channel_opening", whatever)
	w.awaitWaiting(2)
	w.ask(npmOpening, "getPendingChannels", nil)
	w.chain.Mine(6)
	for _, opened := range []bool{true, false} {
		heard.tells(npmChannelEnds, "channel_opened", has("is_partner_initiated", opened))
	}
	for _, c := range w.call(w.other, "getPendingChannels", nil)["pending_channels"].([]any) {
		w.awaitNpmChannel(c)
	}
	for _, self := range w.both() {
		within(w.t, "the channels become active", func() bool {
			return len(w.call(self, "getChannels", args{"is_active": true})["channels"].([]any)) == 2
		})
	}
	for _, c := range w.call(w.other, "getChannels", nil)["channels"].([]any) {
		w.awaitNpmChannel(c)
	}
	w.ask(npmChannelEnds.below("channels[]."), "getChannels", nil)
	w.ask(exceptions{differs: []string{"channel_balance", "channel_balance_mtokens", "inbound", "inbound_mtokens"}},
		"getChannelBalance", nil)
	w.ask(exceptions{lacks: []string{"channels"}}, "getFeeRates", nil) // ours forward nothing
	w.ask(exceptions{}, "getForwards", args{"limit": 5})
	w.ask(exceptions{}, "getPendingChannels", nil)
	w.ask(exceptions{}, "getClosedChannels", nil)
	w.ask(npmNodes, "getWalletInfo", nil)
}

// awaitNpmChannel waits until a channel that an answer describes is active.
func (w npmTwins) awaitNpmChannel(described any) {
	w.t.Helper()
	c := described.(map[string]any)
	hash, err := chainhash.NewHashFromStr(c["transaction_id"].(string))
	require.NoError(w.t, err)
	w.awaitActive(wire.OutPoint{Hash: *hash, Index: uint32(c["transaction_vout"].(float64))})
}

// awaitWaiting waits until so many transactions are on their way.
func (w npmTwins) awaitWaiting(transactions int) {
	w.t.Helper()
	within(w.t, "the transactions are on their way", func() bool {
		waiting, err := w.chain.Client.GetRawMempool()
		return err == nil && len(waiting) == transactions
	})
}

// isPaid makes invoices, and has each pay what the other asks for.
func (w npmTwins) isPaid() {
	everyInvoice := w.follow("subscribeToInvoices", all(nil), "invoice_updated")
	everyPayment := w.follow("subscribeToPayments", all(nil), "confirmed", "failed", "paying")
	ours, lnds := w.ask(npmAsked, "createInvoice",
		args{"description": "coffee", "mtokens": "5000500"})
	asked := map[*node.Lightning]map[string]any{w.ours: ours, w.other: lnds}
	id := func(self *node.Lightning) args { return args{"id": asked[self]["id"]} }
	request := func(self *node.Lightning) args { return args{"request": asked[self]["request"]} }
	w.each(npmInvoices, "getInvoice", id)
	w.each(npmRequests, "decodePaymentRequest", request)
	everyInvoice.tells(npmInvoices, "invoice_updated", has("is_confirmed", false))
	invoice := w.follow("subscribeToInvoice", id, "invoice_updated")

	pay := func(self *node.Lightning) args { return request(w.peerOf(self)) }
	w.each(npmPaid, "payViaPaymentRequest", pay)
	w.refuse("payViaPaymentRequest", pay)
	invoice.tells(npmReceived, "invoice_updated", has("is_confirmed", true))
	everyInvoice.tells(npmReceived, "invoice_updated", has("is_confirmed", true))
	everyPayment.tells(npmPaid, "confirmed", whatever)
	w.each(npmReceived, "getInvoice", id)
	paid := func(self *node.Lightning) args { return id(w.peerOf(self)) }
	w.each(npmPaid.below("payment."), "getPayment", paid)
	w.follow("subscribeToPastPayment", paid, "confirmed", "failed").tells(npmPaid, "confirmed", whatever)

	secrets := map[*node.Lightning][]byte{w.ours: random32(), w.other: random32()}
	w.each(npmPaid, "payViaPaymentDetails", func(self *node.Lightning) args {
		hash := sha256.Sum256(secrets[self])
		return args{
			"destination": w.peerOf(self).Key, "tokens": 777, "id": hex.EncodeToString(hash[:]),
			"messages": []args{{"type": "5482373484", "value": hex.EncodeToString(secrets[self])}},
		}
	})
	w.ask(npmPayments, "getPayments", nil)
	w.ask(exceptions{}, "getFailedPayments", nil)
	w.ask(exceptions{}, "getPendingPayments", nil)
	w.ask(npmReceived.and(npmUnasked).below("invoices[].").and(exceptions{more: []string{"next"}}), "getInvoices", nil)
	for _, self := range w.both() {
		w.turnsPages(self, "getInvoices", "invoices", 2)
		w.turnsPages(self, "getPayments", "payments", 2)
	}
}

// turnsPages reads a list one at a time, and comes to an end.
func (w npmTwins) turnsPages(self *node.Lightning, call, list string, want int) {
	w.t.Helper()
	ids := map[any]bool{}
	for page := w.call(self, call, args{"limit": 1}); ; page = w.call(self, call, args{"token": page["next"]}) {
		for _, entry := range page[list].([]any) {
			ids[entry.(map[string]any)["id"]] = true
		}
		if page["next"] == nil {
			break
		}
	}
	require.Len(w.t, ids, want, "%s: %s", self, call)
}

// failsToPay asks for payments that cannot be made, and for one that leaves the amount to the payer.
func (w npmTwins) failsToPay() {
	for _, tokens := range []int64{2 * int64(capacity), 0} {
		ours, lnds := w.ask(npmAsked, "createInvoice", args{"tokens": tokens})
		asked := map[*node.Lightning]map[string]any{w.ours: ours, w.other: lnds}
		request := func(self *node.Lightning) args { return args{"request": asked[w.peerOf(self)]["request"]} }
		for _, call := range []string{"payViaPaymentRequest", "pay"} {
			w.refuse(call, request)
		}
		if tokens == 0 {
			w.each(npmPaid, "pay", func(self *node.Lightning) args {
				return args{"request": request(self)["request"], "tokens": 4321, "max_fee": 5, "max_paths": 2, "pathfinding_timeout": 10_000}
			})
		}
	}
	nobodys := hex.EncodeToString(random32())
	w.refuse("payViaPaymentDetails", func(self *node.Lightning) args {
		return args{"destination": w.peerOf(self).Key, "tokens": 777, "id": nobodys}
	})
	within(w.t, "lnd forgets what it tried", func() bool { // which it does after it has answered
		return !slices.ContainsFunc(w.call(w.other, "getFailedPayments", nil)["payments"].([]any), func(payment any) bool {
			return len(payment.(map[string]any)["attempts"].([]any)) > 0
		})
	})
	w.ask(npmFailed, "getFailedPayments", nil)
}

// deletes forgets payments.
func (w npmTwins) deletes() {
	w.each(exceptions{}, "deletePayment", func(self *node.Lightning) args {
		return args{"id": w.call(self, "getPayments", args{"limit": 1})["payments"].([]any)[0].(map[string]any)["id"]}
	})
	for _, call := range []string{"deleteFailedPayments", "deletePayments"} {
		w.ask(npmPayments, "getPayments", nil)
		w.ask(exceptions{}, call, nil)
	}
	w.ask(exceptions{}, "getPayments", nil)
	w.ask(exceptions{}, "getFailedPayments", nil)
}

// holds has each pay the other's hold invoices, of which one is settled and one canceled.
func (w npmTwins) holds() {
	for _, settles := range []bool{true, false} {
		secrets := map[*node.Lightning][]byte{w.ours: random32(), w.other: random32()}
		id := func(self *node.Lightning) args {
			hash := sha256.Sum256(secrets[self])
			return args{"id": hex.EncodeToString(hash[:])}
		}
		ours, lnds := w.each(npmAsked, "createHodlInvoice", func(self *node.Lightning) args {
			return args{"id": id(self)["id"], "tokens": 1234, "description": "later"}
		})
		asked := map[*node.Lightning]map[string]any{w.ours: ours, w.other: lnds}
		invoice := w.follow("subscribeToInvoice", id, "invoice_updated")
		payment := w.follow("subscribeToPayViaRequest", func(self *node.Lightning) args {
			return args{"request": asked[w.peerOf(self)]["request"]}
		}, "confirmed", "failed")
		invoice.tells(npmReceived, "invoice_updated", has("is_held", true))
		w.each(npmReceived, "getInvoice", id)
		if settles {
			w.each(exceptions{}, "settleHodlInvoice", func(self *node.Lightning) args {
				return args{"secret": hex.EncodeToString(secrets[self])}
			})
			invoice.tells(npmReceived, "invoice_updated", has("is_confirmed", true))
			payment.tells(npmPaid, "confirmed", whatever)
		} else {
			w.each(exceptions{}, "cancelHodlInvoice", id)
			invoice.tells(npmReturned, "invoice_updated", has("is_canceled", true))
			payment.tells(exceptions{differs: []string{"id"}}, "failed", whatever)
		}
	}
}

// signs has each sign a message, and both verify both.
func (w npmTwins) signs() {
	ours, lnds := w.ask(exceptions{differs: []string{"signature"}}, "signMessage", args{"message": "good morning"})
	for self, by := range map[*node.Lightning]map[string]any{w.ours: ours, w.other: lnds} {
		said, _ := w.ask(exceptions{}, "verifyMessage", args{"message": "good morning", "signature": by["signature"]})
		require.Equal(w.t, self.Key, said["signed_by"])
	}
}

// grants makes macaroons, and takes them back.
func (w npmTwins) grants() {
	w.ask(exceptions{differs: []string{"macaroon"}}, "grantAccess", args{"permissions": []string{"info:read"}})
	ours, lnds := w.ask(exceptions{differs: []string{"macaroon"}}, "grantAccess", args{
		"id": "7", "permissions": []string{"invoices:read", "invoices:write"},
	})
	invoicers := map[*node.Lightning]map[string]any{w.ours: ours, w.other: lnds}
	w.ask(exceptions{}, "getAccessIds", nil)
	w.each(exceptions{}, "verifyAccess", func(self *node.Lightning) args {
		return args{"macaroon": invoicers[self]["macaroon"], "permissions": []string{"invoices:write"}}
	})
	w.each(exceptions{}, "verifyAccess", func(self *node.Lightning) args {
		return args{"macaroon": invoicers[self]["macaroon"], "permissions": []string{"info:write"}}
	})
	for call, args := range map[string]args{"createInvoice": {"tokens": 5}, "getIdentity": {}, "getChannels": {}} {
		_, ours := w.npm.CallWith(invoicers[w.ours]["macaroon"].(string), w.ours, call, args)
		_, lnds := w.npm.CallWith(invoicers[w.other]["macaroon"].(string), w.other, call, args)
		if call == "createInvoice" {
			require.Empty(w.t, slices.Concat(ours, lnds))
			continue
		}
		w.refused(call, ours, lnds)
	}
	w.ask(exceptions{}, "revokeAccess", args{"id": "7"})
	_, revoked := w.npm.CallWith(invoicers[w.ours]["macaroon"].(string), w.ours, "createInvoice", args{"tokens": 5})
	_, lndRevoked := w.npm.CallWith(invoicers[w.other]["macaroon"].(string), w.other, "createInvoice", args{"tokens": 5})
	w.refused("createInvoice", revoked, lndRevoked)
	w.ask(exceptions{}, "getAccessIds", nil)
}

// nobody is an address whose key is not known.
const nobody = "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202"

// sends pays on the chain.
func (w npmTwins) sends() {
	heard := w.follow("subscribeToTransactions", all(nil), "chain_transaction")
	w.ask(exceptions{differs: []string{"fee", "tokens_per_vbyte"}}, "getChainFeeEstimate", args{
		"send_to": []args{{"address": nobody, "tokens": 20_000}},
	})
	w.ask(exceptions{differs: []string{"id"}}, "sendToChainAddress", args{
		"address": nobody, "tokens": 20_000, "fee_tokens_per_vbyte": 2, "description": "a gift",
	})
	heard.tells(npmTransaction.and(npmSpends), "chain_transaction", has("is_confirmed", false))
	w.awaitWaiting(2)
	w.ask(npmTransaction.and(npmSpends).below("transactions[]."), "getChainTransactions", nil)
	w.chain.Mine(1)
	heard.tells(npmTransaction.and(npmSpends), "chain_transaction", has("is_confirmed", true))
	w.ask(npmTransaction.and(npmSpends).below("transactions[]."), "getChainTransactions", nil)
	w.ask(exceptions{differs: []string{"chain_balance"}}, "getChainBalance", nil)
}

// isRefused asks for what cannot be.
func (w npmTwins) isRefused() {
	zeros := strings.Repeat("00", 32)
	stranger := hex.EncodeToString(strangersKey())
	for _, c := range []struct {
		call string
		args args
	}{
		{"getInvoice", args{"id": zeros}},
		{"getPayment", args{"id": zeros}},
		{"getNode", args{"public_key": stranger}},
		{"getChannel", args{"id": "1x1x1"}},
		{"closeChannel", args{"id": "1x1x1"}},
		{"removePeer", args{"public_key": stranger}},
		{"addPeer", args{"public_key": stranger, "socket": "127.0.0.1:1", "retry_count": 1, "retry_delay": 1}},
		{"openChannel", args{"partner_public_key": stranger, "local_tokens": 100_000}},
		{"openChannel", args{"partner_public_key": w.other.Key, "local_tokens": 1000}},
		{"closeChannel", args{"transaction_id": zeros, "transaction_vout": 0}},
		{"decodePaymentRequest", args{"request": "lnbcrt1nothing"}},
		{"sendToChainAddress", args{"address": "bc1qnothing", "tokens": 20_000}},
		{"settleHodlInvoice", args{"secret": zeros}},
		{"cancelHodlInvoice", args{"id": zeros}},
		{"verifyMessage", args{"message": "good morning", "signature": "yybndrfg"}},
		{"grantAccess", args{"permissions": []string{"moon:read"}}},
		{"unlockWallet", args{"password": "correct horse"}},
	} {
		w.refuse(c.call, all(c.args))
	}
}

// closes has each close the channel that it opened.
func (w npmTwins) closes() {
	heard := w.follow("subscribeToChannels", all(nil), "channel_closed")
	closing := map[*node.Lightning]any{}
	for _, self := range w.both() {
		for _, c := range w.call(self, "getChannels", nil)["channels"].([]any) {
			if c := c.(map[string]any); c["is_partner_initiated"] == false {
				closing[self] = c["id"]
			}
		}
	}
	id := func(self *node.Lightning) args { return args{"id": closing[self]} }
	w.each(exceptions{
		differs: []string{"id", "transaction_id"}, own: []string{"transaction_vout", "policies"}, lacks: []string{"updated_at"},
	}, "getChannel", id)
	w.each(exceptions{differs: []string{"transaction_id"}, own: []string{"transaction_vout"}}, "closeChannel",
		func(self *node.Lightning) args { return args{"id": closing[self], "tokens_per_vbyte": 3} })
	w.awaitWaiting(2)
	w.ask(npmClosing, "getPendingChannels", nil)
	w.chain.Mine(1)
	awaitClosing(w.t, w.other, 2)
	w.chain.Mine(5)
	// These events do not say who opened the channel: the client reads that wrongly.
	heard.tellsEach(npmClosed, "channel_closed", func(self *node.Lightning) func(map[string]any) bool {
		return has("id", closing[self])
	})
	heard.tellsEach(npmClosed, "channel_closed", func(self *node.Lightning) func(map[string]any) bool {
		return has("id", closing[w.peerOf(self)])
	})
	for _, self := range w.both() {
		within(w.t, "the channels are gone", func() bool {
			return len(w.call(self, "getClosedChannels", nil)["channels"].([]any)) == 2
		})
	}
	w.ask(npmClosed.and(exceptions{lacks: []string{"is_partner_closed"}}).below("channels[]."), "getClosedChannels", nil)
	w.ask(exceptions{}, "getPendingChannels", nil)
}

// sweeps sends all that the wallets have.
func (w npmTwins) sweeps() {
	w.awaitSynced()
	w.ask(exceptions{differs: []string{"id", "tokens"}}, "sendToChainAddress", args{
		"address": nobody, "is_send_all": true, "fee_tokens_per_vbyte": 2,
	})
	w.awaitWaiting(2)
	w.chain.Mine(1)
	for _, self := range w.both() {
		within(w.t, "all is sent", func() bool { return w.call(self, "getChainBalance", nil)["chain_balance"] == 0.0 })
	}
	w.ask(exceptions{}, "getChainBalance", nil)
	w.ask(exceptions{}, "getUtxos", nil)
}

// stops ends both. The client says that they do not end: it looks for words that its own gRPC does not say any more.
func (w npmTwins) stops() {
	w.refuse("stopDaemon", all(nil))
	for _, self := range w.both() {
		within(w.t, "the node ends", func() bool { return self.HasEnded() })
	}
}
