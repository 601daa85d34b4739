package interop_test

import (
	"encoding/hex"
	"strings"

	"stormcell/tests/interop/node"
)

// isRefused asks for what cannot be. Where no text is given, ours is lnd's.
func (w twins) isRefused() {
	const nobody = "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202"
	stranger := hex.EncodeToString(strangersKey())
	zeros := strings.Repeat("00", 32)
	for _, c := range []struct {
		ours string
		args []string
	}{
		{"code = NotFound desc = unable to locate invoice", []string{"lookupinvoice", zeros}},
		{"", []string{"trackpayment", "--json", zeros}},
		{"not connected", []string{"disconnect", stranger}},
		{"is not online", []string{"openchannel", "--node_key=" + stranger, "--local_amt=100000"}},
		{"amount cannot be negative", []string{"addinvoice", "--amt=-1"}},
		{"code = InvalidArgument", []string{"decodepayreq", "lnbcrt1nothing"}},
		{"channel not found", []string{"closechannel", "--chan_point=" + zeros + ":0"}},
		{"sat", []string{"sendcoins", "--force", "--addr=" + nobody, "--amt=2000000000"}},
		{"is no address on regtest", []string{"sendcoins", "--force", "--addr=bc1qnothing", "--amt=20000"}},
		{"code = NotFound desc = unable to find node", []string{"getnodeinfo", "--pub_key=" + stranger}},
		{"", []string{"bakemacaroon", "nothing:read"}},
		{"there is no subsystem", []string{"debuglevel", "--level=NONE=info"}},
	} {
		w.refuse(c.ours, same(c.args...))
	}
	w.refuse("", func(self *node.Lightning) []string {
		request := w.call(self, "addinvoice", "--amt=5")["payment_request"].(string)
		return []string{"payinvoice", "--force", "--json", request}
	})
	for call, why := range map[string]string{
		"describegraph": "knows no graph", "queryroutes " + stranger + " 5": "knows no graph", "listaliases": "README",
		"exportchanbackup --all": "own data", "wallet estimatefeerate 6": "unknown service walletrpc.WalletKit",
		"updatechanpolicy 1000 0 40": "does not forward",
	} {
		_, complaint := w.ours.Lncli(strings.Fields(call)...)
		for _, part := range []string{"code = Unimplemented", "this node does not serve it", why} {
			if !strings.Contains(complaint, part) {
				w.t.Errorf("%s: %q does not say %q", call, complaint, part)
			}
		}
	}
}
