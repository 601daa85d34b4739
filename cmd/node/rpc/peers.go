package rpc

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/actors/durable"
	"stormcell/actors/peerbook"
	"stormcell/cmd/node/config"
	"stormcell/messages/lnrpc"
	"stormcell/peer/address"
	"stormcell/peer/hub"
)

// maxConnectTimeout bounds what a client may let the dialer wait.
const maxConnectTimeout = 10 * time.Minute

// ConnectPeer implements lnrpc.LightningServer.
func (l *lightning) ConnectPeer(ctx context.Context, r *lnrpc.ConnectPeerRequest) (*lnrpc.ConnectPeerResponse, error) {
	key, err := parseKey(r.GetAddr().GetPubkey())
	if err != nil {
		return nil, err
	}
	at, err := address.Parse(r.GetAddr().GetHost(), config.PeerPort(l.server.o.Network))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	timeout := min(time.Duration(min(r.Timeout, uint64(maxConnectTimeout/time.Second)))*time.Second, maxConnectTimeout)
	if r.Perm {
		err = l.node().Peers.Keep(ctx, peerbook.Keep{Key: key, Address: at})
	} else {
		err = l.node().Peers.Connect(ctx, peerbook.Connect{Key: key, Address: at, Timeout: timeout})
	}
	switch {
	case errors.Is(err, peerbook.ErrConnected):
		return nil, status.Errorf(codes.Unknown, "%v: %v@%v", peerbook.ErrConnected, key, at)
	case err != nil:
		return nil, refused(err)
	}
	return &lnrpc.ConnectPeerResponse{Status: fmt.Sprintf("connection to %v@%v initiated", key, at)}, nil
}

// DisconnectPeer implements lnrpc.LightningServer.
func (l *lightning) DisconnectPeer(
	ctx context.Context, r *lnrpc.DisconnectPeerRequest,
) (*lnrpc.DisconnectPeerResponse, error) {
	key, err := parseKey(r.PubKey)
	if err != nil {
		return nil, err
	}
	err = l.node().Peers.Disconnect(ctx, key)
	switch {
	case errors.Is(err, peerbook.ErrNotConnected):
		return nil, status.Errorf(codes.Unknown, "unable to disconnect peer: peer %v is not connected", key)
	case err != nil:
		return nil, refused(err)
	}
	return &lnrpc.DisconnectPeerResponse{Status: "disconnect initiated"}, nil
}

// ListPeers implements lnrpc.LightningServer.
func (l *lightning) ListPeers(ctx context.Context, _ *lnrpc.ListPeersRequest) (*lnrpc.ListPeersResponse, error) {
	peers, err := connected(ctx, l.node().Peers)
	if err != nil {
		return nil, err
	}
	channels, err := l.node().Channels.List(ctx)
	if err != nil {
		return nil, refused(err)
	}
	sent, received := map[peerbook.NodeKey]int64{}, map[peerbook.NodeKey]int64{}
	for _, c := range channels {
		sent[c.Peer] += int64(c.Sent.ToSatoshis())
		received[c.Peer] += int64(c.Received.ToSatoshis())
	}
	out := &lnrpc.ListPeersResponse{}
	for _, p := range peers {
		out.Peers = append(out.Peers, &lnrpc.Peer{
			PubKey: p.Key.String(), Address: p.Connection.Address, Inbound: p.Connection.Inbound,
			Features: features(p.Connection.Features), SatSent: sent[p.Key], SatRecv: received[p.Key],
		})
	}
	return out, nil
}

// connected lists the peers that have a connection.
func connected(ctx context.Context, book Peers) ([]peerbook.Peer, error) {
	all, err := book.List(ctx)
	if err != nil {
		return nil, refused(err)
	}
	var out []peerbook.Peer
	for _, p := range all {
		if p.Connection != nil {
			out = append(out, p)
		}
	}
	return out, nil
}

func parseKey(text string) (peerbook.NodeKey, error) {
	serialized, err := hex.DecodeString(text)
	if err != nil || len(serialized) != btcec.PubKeyBytesLenCompressed {
		return peerbook.NodeKey{}, status.Error(codes.InvalidArgument, "a node's key is 66 hexadecimal digits")
	}
	return parseKeyBytes(serialized)
}

func parseKeyBytes(serialized []byte) (peerbook.NodeKey, error) {
	if len(serialized) != btcec.PubKeyBytesLenCompressed {
		return peerbook.NodeKey{}, status.Errorf(codes.InvalidArgument, "a node's key has %d bytes, not %d",
			btcec.PubKeyBytesLenCompressed, len(serialized))
	}
	if _, err := btcec.ParsePubKey(serialized); err != nil {
		return peerbook.NodeKey{}, status.Errorf(codes.InvalidArgument, "node key: %v", err)
	}
	return peerbook.NodeKey(serialized), nil
}

// refused is an actor's refusal, or the kernel's, as a client gets it.
func refused(err error) error {
	code := codes.Unknown
	switch {
	case errors.Is(err, durable.ErrStopping), errors.Is(err, durable.ErrRestarted), errors.Is(err, durable.ErrHalted):
		code = codes.Unavailable
	case errors.Is(err, durable.ErrBusy), errors.Is(err, durable.ErrOverloaded), errors.Is(err, peerbook.ErrFull),
		errors.Is(err, hub.ErrFull):
		code = codes.ResourceExhausted
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	}
	return status.Error(code, err.Error())
}
