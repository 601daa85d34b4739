package rpc

import (
	"context"
	"maps"
	"slices"

	"stormcell/messages/lnrpc"
	"stormcell/peer/conn"
)

// SubscribePeerEvents implements lnrpc.LightningServer. A client that reads slowly misses what comes and goes in between.
func (l *lightning) SubscribePeerEvents(
	_ *lnrpc.PeerEventSubscription, out lnrpc.Lightning_SubscribePeerEventsServer,
) error {
	events := peerEvents{peers: l.node().Peers, send: out.Send}
	return watched(l.node().Peers.Watch(out.Context(), func() error { return events.look(out.Context()) }))
}

// peerEvents finds what a client has not been told of peers, by who was connected when it looked before.
type peerEvents struct {
	peers  Peers
	send   func(*lnrpc.PeerEvent) error
	before map[string]conn.Session // by key; nil before the first look
}

// look sends what is new.
func (e *peerEvents) look(ctx context.Context) error {
	listed, err := connected(ctx, e.peers)
	if err != nil {
		return err
	}
	before, now := e.before, map[string]conn.Session{}
	for _, p := range listed {
		now[p.Key.String()] = p.Connection.Number
	}
	e.before = now
	if before == nil {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if now[key] != before[key] {
			if err := e.send(&lnrpc.PeerEvent{PubKey: key, Type: lnrpc.PeerEvent_PEER_OFFLINE}); err != nil {
				return err
			}
		}
	}
	for _, p := range listed {
		if key := p.Key.String(); before[key] != now[key] {
			if err := e.send(&lnrpc.PeerEvent{PubKey: key, Type: lnrpc.PeerEvent_PEER_ONLINE}); err != nil {
				return err
			}
		}
	}
	return nil
}
