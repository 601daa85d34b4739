package interop_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

func (w twins) asksTheNode() {
	w.ask(exceptions{}, "state")
	w.ask(nodes, "getinfo")
	w.ask(exceptions{
		differs: []string{"lnd.version", "lnd.build_tags"}, own: []string{"lnd.commit", "lnd.commit_hash"},
		lacks: []string{"lnd.app_pre_release"},
	}, "version")
	w.ask(exceptions{differs: []string{"sub_systems"}}, "debuglevel", "--show")
	w.ask(exceptions{differs: []string{"sub_systems"}}, "debuglevel", "--level=info")
}

func (w twins) asksTheWallet() {
	for _, kind := range []string{"p2wkh", "p2tr"} {
		w.ask(exceptions{differs: []string{"address"}}, "newaddress", kind)
	}
	w.ask(exceptions{}, "walletbalance")
	w.ask(utxos, "listunspent")
	w.ask(transactions, "listchaintxns")
}

// meets disconnects and connects, each in its turn.
func (w twins) meets() {
	there := func(self *node.Lightning) string { return w.peerOf(self).Key + "@" + w.peerOf(self).Peer }
	w.refuse("already connected to peer: "+w.other.Key, func(self *node.Lightning) []string {
		return []string{"connect", there(self)}
	})
	var left, met []map[string]any
	for _, self := range []*node.Lightning{w.ours, w.other} {
		left = append(left, w.call(self, "disconnect", w.peerOf(self).Key))
		within(w.t, "the nodes part", func() bool { return !w.ours.IsConnected(w.other) && !w.other.IsConnected(w.ours) })
		met = append(met, w.call(self, "connect", there(self)))
		within(w.t, "the nodes meet", func() bool { return w.ours.IsConnected(w.other) && w.other.IsConnected(w.ours) })
	}
	requireAlike(w.t, "disconnect", left[0], left[1], exceptions{})
	requireAlike(w.t, "connect", met[0], met[1], exceptions{differs: []string{"status"}})
	w.ask(peers, "listpeers")
}

// opens has each open a channel to the other, in the same block.
func (w twins) opens() {
	opened := func(self *node.Lightning) []string {
		return []string{
			"openchannel", "--node_key=" + w.peerOf(self).Key, fmt.Sprintf("--local_amt=%d", capacity),
			fmt.Sprintf("--push_amt=%d", pushed), "--sat_per_vbyte=5",
		}
	}
	w.other.AwaitSynced()
	w.each(exceptions{differs: []string{"funding_txid"}}, opened)
	within(w.t, "both fundings are on their way", func() bool {
		waiting, err := w.chain.Client.GetRawMempool()
		return err == nil && len(waiting) == 2
	})
	w.ask(pending, "pendingchannels")
	w.chain.Mine(6)
	for _, self := range []*node.Lightning{w.ours, w.other} {
		within(w.t, "the channels become active", func() bool {
			all := w.call(self, "listchannels", "--active_only")["channels"].([]any)
			return len(all) == 2
		})
	}
	for _, c := range w.call(w.other, "listchannels")["channels"].([]any) {
		at, err := wire.NewOutPointFromString(c.(map[string]any)["channel_point"].(string))
		require.NoError(w.t, err)
		w.awaitActive(*at)
	}
	w.ask(channels, "listchannels")
	w.ask(exceptions{
		differs: []string{
			"balance", "local_balance.sat", "local_balance.msat", "remote_balance.sat", "remote_balance.msat", // each chooses its fee rate
		},
		lacks: []string{"custom_channel_data"},
	}, "channelbalance")
	w.ask(nodes, "getinfo")
	w.ask(exceptions{}, "closedchannels")
}

// isPaid makes invoices, and has each pay what the other asks for.
func (w twins) isPaid() {
	ours, lnds := w.ask(exceptions{
		differs: []string{"r_hash", "payment_request", "add_index", "payment_addr"},
	}, "addinvoice", "--memo=coffee", "--amt_msat=5000500", "--expiry=3600")
	asked := map[*node.Lightning]map[string]any{w.ours: ours, w.other: lnds}
	text := func(of *node.Lightning, name string) string { return asked[of][name].(string) }
	w.each(invoices(""), func(self *node.Lightning) []string { return []string{"lookupinvoice", text(self, "r_hash")} })
	w.each(exceptions{
		differs: []string{"destination", "payment_hash", "timestamp", "payment_addr"}, lacks: []string{"features.25"},
	}, func(self *node.Lightning) []string { return []string{"decodepayreq", text(self, "payment_request")} })

	pay := func(self *node.Lightning) []string {
		return []string{"payinvoice", "--force", "--json", text(w.peerOf(self), "payment_request")}
	}
	w.each(payments(""), pay)
	w.refuse("", pay)
	w.each(payments(""), func(self *node.Lightning) []string {
		return []string{"trackpayment", "--json", text(w.peerOf(self), "r_hash")}
	})
	w.each(paid(""), func(self *node.Lightning) []string { return []string{"lookupinvoice", text(self, "r_hash")} })

	w.each(payments("").and(keysends("")), func(self *node.Lightning) []string {
		return []string{"sendpayment", "--force", "--json", "--keysend", "--dest=" + w.peerOf(self).Key, "--amt=777"}
	})
	w.ask(payments("payments[].").and(keysends("payments[].")).and(exceptions{
		differs: []string{"first_index_offset", "last_index_offset"},
	}), "listpayments")
	w.ask(paid("invoices[].").and(unasked("invoices[].")).and(exceptions{
		differs: []string{"first_index_offset", "last_index_offset"},
	}), "listinvoices")
	w.ask(peers, "listpeers")
}

// holds has each pay the other's hold invoices, of which one is settled and one canceled.
func (w twins) holds() {
	for _, settles := range []bool{true, false} {
		preimages, made := map[*node.Lightning][]byte{}, map[*node.Lightning]map[string]any{}
		hash := func(self *node.Lightning) string {
			sum := sha256.Sum256(preimages[self])
			return hex.EncodeToString(sum[:])
		}
		for _, self := range []*node.Lightning{w.ours, w.other} {
			preimages[self] = random32()
			made[self] = w.call(self, "addholdinvoice", "--memo=later", hash(self), "1234")
		}
		requireAlike(w.t, "addholdinvoice", made[w.ours], made[w.other], exceptions{
			differs: []string{"payment_request", "add_index", "payment_addr"},
		})
		var ended []chan string
		for _, self := range []*node.Lightning{w.ours, w.other} {
			end := make(chan string, 1)
			ended = append(ended, end)
			request := made[w.peerOf(self)]["payment_request"].(string)
			go func() {
				printed, complaint := self.Lncli("payinvoice", "--force", "--json", request)
				end <- printed + complaint
			}()
		}
		for _, self := range []*node.Lightning{w.ours, w.other} {
			within(w.t, "the payment is held", func() bool { return w.call(self, "lookupinvoice", hash(self))["state"] == "ACCEPTED" })
		}
		w.each(held(""), func(self *node.Lightning) []string { return []string{"lookupinvoice", hash(self)} })
		if settles {
			w.each(exceptions{}, func(self *node.Lightning) []string {
				return []string{"settleinvoice", hex.EncodeToString(preimages[self])}
			})
		} else {
			w.each(exceptions{}, func(self *node.Lightning) []string { return []string{"cancelinvoice", hash(self)} })
		}
		for _, end := range ended {
			if said := <-end; settles {
				require.Contains(w.t, said, "SUCCEEDED")
			} else {
				require.Contains(w.t, said, "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS")
			}
		}
	}
}

// signs has each sign a message, and both verify both.
func (w twins) signs() {
	signed := exceptions{differs: []string{"signature"}}
	ours, lnds := w.ask(signed, "signmessage", "good morning")
	for _, by := range []map[string]any{ours, lnds} {
		answer, _ := w.ask(exceptions{}, "verifymessage", "--msg=good morning", "--sig="+by["signature"].(string))
		require.Equal(w.t, true, answer["valid"])
		// Another message makes it the signature of a stranger.
		answer, _ = w.ask(exceptions{}, "verifymessage", "--msg=good evening", "--sig="+by["signature"].(string))
		require.Equal(w.t, false, answer["valid"])
	}
}

func (w twins) bakes() {
	baked, _ := w.ours.Lncli("bakemacaroon", "info:read", "invoices:write")
	_, err := hex.DecodeString(string([]byte(baked)[:len(baked)-1]))
	require.NoError(w.t, err, baked)
	w.ask(exceptions{}, "listmacaroonids")
	_, complaint := w.ours.Lncli("bakemacaroon", "--root_key_id=7", "info:read")
	require.Empty(w.t, complaint)
	_, complaint = w.other.Lncli("bakemacaroon", "--root_key_id=7", "info:read")
	require.Empty(w.t, complaint)
	w.ask(exceptions{}, "listmacaroonids")
	w.ask(exceptions{}, "deletemacaroonid", "7")
	w.ask(exceptions{}, "listmacaroonids")

	ours, lnds := w.call(w.ours, "listpermissions"), w.call(w.other, "listpermissions")
	theirs := lnds["method_permissions"].(map[string]any)
	for method, permissions := range ours["method_permissions"].(map[string]any) {
		if theirs[method] != nil {
			require.Equal(w.t, theirs[method], permissions, method)
		} else {
			require.Contains(w.t, method, "stormcell.", "lnd does not serve it")
		}
	}
}

func (w twins) asksOfForwarding() {
	w.ask(exceptions{lacks: []string{"channel_fees"}}, "feereport")
	w.ask(exceptions{}, "fwdinghistory")
	w.each(exceptions{
		differs: []string{"node.pub_key"}, own: []string{
			"node.addresses", "node.last_update", "node.features", "node.alias", "node.color", "total_capacity", "num_channels",
		},
	}, func(self *node.Lightning) []string { return []string{"getnodeinfo", "--pub_key=" + self.Key} })
}

// sends pays on the chain.
func (w twins) sends() {
	const nobody = "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202"
	w.ask(exceptions{
		differs: []string{"fee_sat", "feerate_sat_per_byte", "sat_per_vbyte"}, own: []string{"inputs"},
	}, "estimatefee", "--conf_target=6", `{"`+nobody+`": 20000}`)
	w.ask(exceptions{differs: []string{"txid"}}, "sendcoins", "--force", "--addr="+nobody, "--amt=20000", "--sat_per_vbyte=2",
		"--label=a gift")
	w.ask(balances, "walletbalance")
	within(w.t, "both payments are on their way", func() bool {
		waiting, err := w.chain.Client.GetRawMempool()
		return err == nil && len(waiting) == 2
	})
	w.ask(transactions.and(spends), "listchaintxns")
	tip := w.chain.Mine(1)
	for _, self := range []*node.Lightning{w.ours, w.other} {
		within(w.t, "the wallet sees the block", func() bool {
			info := w.call(self, "getinfo")
			return info["block_hash"] == tip.Hash.String() && info["synced_to_chain"] == true &&
				w.call(self, "walletbalance")["unconfirmed_balance"] == "0"
		})
	}
	w.ask(balances, "walletbalance")
	w.ask(utxos.and(exceptions{differs: []string{"utxos[].amount_sat"}}), "listunspent")
	w.ask(transactions.and(spends), "listchaintxns")
}

// closes has each close the channel that it opened.
func (w twins) closes() {
	w.each(exceptions{differs: []string{"closing_txid"}}, func(self *node.Lightning) []string {
		for _, c := range w.call(self, "listchannels")["channels"].([]any) {
			if c := c.(map[string]any); c["initiator"] == true {
				return []string{"closechannel", "--chan_point=" + c["channel_point"].(string), "--sat_per_vbyte=3"}
			}
		}
		return nil
	})
	within(w.t, "both closings are on their way", func() bool {
		waiting, err := w.chain.Client.GetRawMempool()
		return err == nil && len(waiting) == 2
	})
	w.ask(waiting, "pendingchannels")
	w.chain.Mine(1)
	awaitClosing(w.t, w.other, 2)
	w.chain.Mine(5)
	for _, self := range []*node.Lightning{w.ours, w.other} {
		within(w.t, "the channels are gone", func() bool { return len(w.call(self, "closedchannels")["channels"].([]any)) == 2 })
	}
	w.ask(closed, "closedchannels")
	w.ask(exceptions{}, "pendingchannels")
}
