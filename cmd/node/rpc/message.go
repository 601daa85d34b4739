package rpc

import (
	"bytes"
	"context"
	"encoding/hex"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/tv42/zbase32"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/messages/lnrpc"
)

// messagePrefix is before each message that is signed, so that nobody can have the node sign anything else.
const messagePrefix = "Lightning Signed Message:"

// SignMessage implements lnrpc.LightningServer.
func (l *lightning) SignMessage(_ context.Context, r *lnrpc.SignMessageRequest) (*lnrpc.SignMessageResponse, error) {
	switch {
	case r.Msg == nil:
		return nil, status.Error(codes.InvalidArgument, "need a message to sign")
	case r.SingleHash:
		return nil, status.Error(codes.Unimplemented, "single_hash: this node signs what VerifyMessage verifies, SHA-256 twice")
	}
	signature, err := l.node().SignMessage(r.Msg)
	if err != nil {
		return nil, refused(err)
	}
	return &lnrpc.SignMessageResponse{Signature: zbase32.EncodeToString(signature)}, nil
}

// VerifyMessage implements lnrpc.LightningServer. A signature is valid if it is by a node that is known: this one, or one that
// it has a channel with. Whose it is, is told in any case.
func (l *lightning) VerifyMessage(
	ctx context.Context, r *lnrpc.VerifyMessageRequest,
) (*lnrpc.VerifyMessageResponse, error) {
	if r.Msg == nil {
		return nil, status.Error(codes.InvalidArgument, "need a message to verify")
	}
	signature, err := zbase32.DecodeString(r.Signature)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "failed to decode signature: %v", err)
	}
	digest := chainhash.DoubleHashB(append([]byte(messagePrefix), r.Msg...))
	signer, _, err := ecdsa.RecoverCompact(signature, digest)
	if err != nil {
		return &lnrpc.VerifyMessageResponse{}, nil
	}
	known, err := l.knows(ctx, signer)
	if err != nil {
		return nil, err
	}
	return &lnrpc.VerifyMessageResponse{Valid: known, Pubkey: hex.EncodeToString(signer.SerializeCompressed())}, nil
}

// knows tells whether a node is this one, or has an open channel with it.
func (l *lightning) knows(ctx context.Context, key *btcec.PublicKey) (bool, error) {
	if key.IsEqual(l.node().Key) {
		return true, nil
	}
	channels, err := l.node().Channels.List(ctx)
	if err != nil {
		return false, refused(err)
	}
	for _, c := range channels {
		if stageOf(&c) == open && bytes.Equal(c.Peer[:], key.SerializeCompressed()) {
			return true, nil
		}
	}
	return false, nil
}
