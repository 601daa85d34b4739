package rpc

import (
	"cmp"
	"context"
	"encoding/hex"
	"math"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lnwire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/actors/channel"
	"stormcell/messages/lnrpc"
	"stormcell/peer/bolt11"
	"stormcell/peer/wire"
)

const (
	// maxHints bounds the route hints of a request, and the hops of each.
	maxHints = 20
	// maxOwnHints bounds those to private channels of ours: each makes the invoice longer by 82 characters.
	maxOwnHints = 4
)

// ownHints lead payers to private channels of ours: the ones through which most can come, as few of them as bring twice the
// amount. The peer of each has to have said what it wants for forwarding.
func (s *Server) ownHints(ctx context.Context, amount wire.MilliSatoshi) ([][]bolt11.HopHint, error) {
	all, err := s.node.Load().Channels.List(ctx)
	if err != nil {
		return nil, refused(err)
	}
	ways := slices.DeleteFunc(all, func(c channel.Info) bool { return !isWayIn(c) })
	slices.SortFunc(ways, func(a, b channel.Info) int {
		return cmp.Or(cmp.Compare(receivable(b), receivable(a)), cmp.Compare(a.KeyIndex, b.KeyIndex))
	})
	var hints [][]bolt11.HopHint
	var comes wire.MilliSatoshi
	for _, c := range ways[:min(len(ways), maxOwnHints)] {
		if amount > 0 && comes >= 2*amount {
			break
		}
		hint, err := hintTo(c)
		if err != nil {
			return nil, err
		}
		hints = append(hints, []bolt11.HopHint{hint})
		comes += receivable(c)
	}
	return hints, nil
}

// isWayIn tells whether payers who are not our peers need a hint to pay over a channel, and can.
func isWayIn(c channel.Info) bool {
	return c.Private && c.Active && c.Forwarding != nil && !c.Forwarding.Disabled && receivable(c) > 0
}

// receivable is the most that the peer can send: it has to keep a reserve.
func receivable(c channel.Info) wire.MilliSatoshi {
	return c.Remote - min(c.Remote, lnwire.NewMSatFromSatoshis(c.LocalTerms.Reserve))
}

// hintTo is the hop over a channel to us. Its short id is the peer's alias: the real one would show our coins to whoever sees the
// invoice.
func hintTo(c channel.Info) (bolt11.HopHint, error) {
	peer, err := btcec.ParsePubKey(c.Peer[:])
	if err != nil {
		return bolt11.HopHint{}, status.Errorf(codes.Internal, "key of the peer of %s: %v", c.Address, err)
	}
	id := c.PeerAlias
	if id.ToUint64() == 0 {
		id = c.Scid
	}
	return bolt11.HopHint{
		NodeID: peer, ChannelID: id.ToUint64(), FeeBaseMSat: uint32(c.Forwarding.FeeBase),
		FeeProportionalMillionths: c.Forwarding.FeePerMillion, CLTVExpiryDelta: c.Forwarding.CLTVDelta,
	}, nil
}

func parseHints(hints []*lnrpc.RouteHint) ([][]bolt11.HopHint, error) {
	if len(hints) > maxHints {
		return nil, status.Errorf(codes.InvalidArgument, "%d route hints are too many, %d can be given", len(hints), maxHints)
	}
	var out [][]bolt11.HopHint
	for _, hint := range hints {
		if n := len(hint.HopHints); n == 0 || n > maxHints {
			return nil, status.Errorf(codes.InvalidArgument, "a route hint has 1 to %d hops, not %d", maxHints, n)
		}
		var route []bolt11.HopHint
		for _, hop := range hint.HopHints {
			key, err := parseKey(hop.NodeId)
			if err != nil {
				return nil, err
			}
			if hop.CltvExpiryDelta > math.MaxUint16 {
				return nil, status.Errorf(codes.InvalidArgument, "route hint: cltv_expiry_delta of %d blocks", hop.CltvExpiryDelta)
			}
			node, err := btcec.ParsePubKey(key[:])
			if err != nil {
				return nil, err
			}
			route = append(route, bolt11.HopHint{
				NodeID: node, ChannelID: hop.ChanId, FeeBaseMSat: hop.FeeBaseMsat,
				FeeProportionalMillionths: hop.FeeProportionalMillionths, CLTVExpiryDelta: uint16(hop.CltvExpiryDelta),
			})
		}
		out = append(out, route)
	}
	return out, nil
}

func describeHints(hints [][]bolt11.HopHint) []*lnrpc.RouteHint {
	var out []*lnrpc.RouteHint
	for _, route := range hints {
		hint := &lnrpc.RouteHint{}
		for _, hop := range route {
			hint.HopHints = append(hint.HopHints, &lnrpc.HopHint{
				NodeId: hex.EncodeToString(hop.NodeID.SerializeCompressed()), ChanId: hop.ChannelID, FeeBaseMsat: hop.FeeBaseMSat,
				FeeProportionalMillionths: hop.FeeProportionalMillionths, CltvExpiryDelta: uint32(hop.CLTVExpiryDelta),
			})
		}
		out = append(out, hint)
	}
	return out
}
