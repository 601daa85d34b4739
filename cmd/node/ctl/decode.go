package ctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"stormcell/messages/lnrpc"
)

func decodeCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "decode BOLT11",
		Aliases: []string{"decodepayreq"},
		GroupID: groupPayments,
		Short:   "Show what a payment request says",
		Example: "  stormcell decode lnbc10u1p...",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, c *client, p printer, args []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		request, err := lnrpc.NewLightningClient(c).DecodePayReq(ctx, &lnrpc.PayReqString{PayReq: withoutScheme(args[0])})
		if err != nil {
			return err
		}
		return p.print(request, func() { printPayReq(p, request) })
	})
}

// withoutScheme takes off what wallets put before a payment request when they show it.
func withoutScheme(text string) string {
	const scheme = "lightning:"
	if len(text) > len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
		return text[len(scheme):]
	}
	return text
}

func printPayReq(p printer, r *lnrpc.PayReq) {
	amount := anyAmount
	if r.NumMsat != 0 {
		amount = msat(r.NumMsat)
	}
	var hints []string
	for _, route := range r.RouteHints {
		for _, hop := range route.HopHints {
			hints = append(hints, "over "+shortID(hop.ChanId)+" of "+shortKey(hop.NodeId))
		}
	}
	p.pairs([2]string{"amount", amount}, [2]string{"for", plain(r.Description, 66)}, [2]string{"to", r.Destination},
		[2]string{"made", when(r.Timestamp)}, [2]string{"expires", when(r.Timestamp + r.Expiry)},
		[2]string{"hash", r.PaymentHash}, [2]string{"fallback", r.FallbackAddr},
		[2]string{"at the end", fmt.Sprintf("%d blocks", r.CltvExpiry)}, [2]string{"hints", strings.Join(hints, "\n")})
}
