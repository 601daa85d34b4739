package rpc

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/actors/channel"
	coins "stormcell/actors/wallet"
	"stormcell/chain/wallet"
	"stormcell/messages/lnrpc"
	"stormcell/messages/lnrpc/verrpc"
	"stormcell/peer/wire"
)

// signerOf signs messages as the node with a key of the tests.
func signerOf(n byte) func([]byte) ([]byte, error) {
	return func(text []byte) ([]byte, error) {
		return ecdsa.SignCompact(keyOf(n), chainhash.DoubleHashB(append([]byte(messagePrefix), text...)), true), nil
	}
}

// TestMessages: a signature is valid if this node knows who made it, and tells who did in any case.
func TestMessages(t *testing.T) {
	t.Parallel()
	known := aChannel()
	known.Peer = nodeOf(2)
	for by, valid := range map[byte]bool{1: true, 2: true, 3: false} {
		l := newLightning(t, Node{Channels: &fakeChannels{all: []channel.Info{known}}, SignMessage: signerOf(by)})
		signed, err := l.SignMessage(t.Context(), &lnrpc.SignMessageRequest{Msg: []byte("hello")})
		require.NoError(t, err)
		answer, err := l.VerifyMessage(t.Context(), &lnrpc.VerifyMessageRequest{Msg: []byte("hello"), Signature: signed.Signature})
		require.NoError(t, err)
		key := nodeOf(by)
		require.Equal(t, hex.EncodeToString(key[:]), answer.Pubkey)
		require.Equal(t, valid, answer.Valid)
		answer, err = l.VerifyMessage(t.Context(), &lnrpc.VerifyMessageRequest{Msg: []byte("hallo"), Signature: signed.Signature})
		require.NoError(t, err)
		require.False(t, answer.Valid)
	}
	l := newLightning(t, Node{SignMessage: func([]byte) ([]byte, error) { return nil, errors.New("away") }})
	_, err := l.SignMessage(t.Context(), &lnrpc.SignMessageRequest{})
	require.ErrorContains(t, err, "need a message to sign")
	_, err = l.SignMessage(t.Context(), &lnrpc.SignMessageRequest{Msg: []byte("x"), SingleHash: true})
	require.Equal(t, codes.Unimplemented, status.Code(err))
	_, err = l.SignMessage(t.Context(), &lnrpc.SignMessageRequest{Msg: []byte("x")})
	require.ErrorContains(t, err, "away")
	_, err = l.VerifyMessage(t.Context(), &lnrpc.VerifyMessageRequest{})
	require.ErrorContains(t, err, "need a message to verify")
	_, err = l.VerifyMessage(t.Context(), &lnrpc.VerifyMessageRequest{Msg: []byte("x"), Signature: "0lv"})
	require.ErrorContains(t, err, "failed to decode signature")
	answer, err := l.VerifyMessage(t.Context(), &lnrpc.VerifyMessageRequest{Msg: []byte("x"), Signature: "yyyy"})
	require.NoError(t, err)
	require.False(t, answer.Valid)
}

func TestDebugLevel(t *testing.T) {
	t.Parallel()
	l := newLightning(t, Node{})
	answer, err := l.DebugLevel(t.Context(), &lnrpc.DebugLevelRequest{Show: true, LevelSpec: "trace"})
	require.NoError(t, err)
	require.Contains(t, answer.SubSystems, "CHAN")
	require.Equal(t, "info", l.server.o.Levels.Of("CHAN"), "nothing was changed")
	answer, err = l.DebugLevel(t.Context(), &lnrpc.DebugLevelRequest{LevelSpec: "CHAN=debug"})
	require.NoError(t, err)
	require.Contains(t, answer.SubSystems, "CHAN=debug")
	_, err = l.DebugLevel(t.Context(), &lnrpc.DebugLevelRequest{LevelSpec: "loud"})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

func TestGetNodeInfo(t *testing.T) {
	t.Parallel()
	addr := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 9735}
	l := newLightning(t, Node{
		Channels: &fakeChannels{all: []channel.Info{aChannel()}}, PeerAddr: addr, Features: wire.Features{}.With(wire.Anchors),
	})
	self, other := nodeOf(1), nodeOf(2)
	info, err := l.GetNodeInfo(t.Context(), &lnrpc.NodeInfoRequest{PubKey: hex.EncodeToString(self[:])})
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(self[:]), info.Node.PubKey)
	require.Equal(t, []string{hex.EncodeToString(self[:])[:20], "#3399ff"}, []string{info.Node.Alias, info.Node.Color})
	require.Equal(t, "10.0.0.1:9735", info.Node.Addresses[0].Addr)
	require.Equal(t, "anchors-zero-fee-htlc-tx", info.Node.Features[23].Name)
	require.Equal(t, uint32(1), info.NumChannels)
	require.Equal(t, int64(aChannel().Capacity), info.TotalCapacity)
	_, err = l.GetNodeInfo(t.Context(), &lnrpc.NodeInfoRequest{PubKey: hex.EncodeToString(other[:]), IncludeChannels: true})
	require.Equal(t, codes.NotFound, status.Code(err))
	_, err = l.GetNodeInfo(t.Context(), &lnrpc.NodeInfoRequest{PubKey: "02"})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	_, err = l.GetNodeInfo(t.Context(), &lnrpc.NodeInfoRequest{PubKey: hex.EncodeToString(self[:]), IncludeChannels: true})
	require.Equal(t, codes.Unimplemented, status.Code(err))
}

func TestEstimateFee(t *testing.T) {
	t.Parallel()
	node := &fakeWallet{coins: coins.Coins{Coins: []wallet.Coin{{Amount: 5}}}}
	l := newLightning(t, Node{Wallet: node})
	answer, err := l.EstimateFee(t.Context(), &lnrpc.EstimateFeeRequest{
		AddrToAmount: map[string]int64{witnessAddress: 1000}, TargetConf: 3, SpendUnconfirmed: true,
	})
	require.NoError(t, err)
	require.Equal(t, [3]int64{321, 2, 2}, [3]int64{answer.FeeSat, answer.FeerateSatPerByte, int64(answer.SatPerVbyte)})
	require.Len(t, answer.Inputs, 1)
	require.Equal(t, coins.SendRequest{Target: 3, Outputs: node.sent[0].Outputs}, node.sent[0])
	require.Equal(t, int64(1000), node.sent[0].Outputs[0].Value)
	for want, r := range map[string]*lnrpc.EstimateFeeRequest{
		"cannot be sent":         {AddrToAmount: map[string]int64{witnessAddress: 0}},
		"is no address on":       {AddrToAmount: map[string]int64{"bc1": 5}},
		"MinConfs > 0":           {SpendUnconfirmed: true, MinConfs: 1},
		"non-negative":           {MinConfs: -1},
		"target_conf: 5000 is n": {TargetConf: 5000},
	} {
		_, err := l.EstimateFee(t.Context(), r)
		require.ErrorContains(t, err, want)
	}
}

func TestWhatIsNotServed(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]string{
		"/lnrpc.Lightning/DescribeGraph":       "unknown method DescribeGraph for service lnrpc.Lightning: this node does not serve it: it takes",
		"/lnrpc.Lightning/SendMany":            "unknown method SendMany for service lnrpc.Lightning: this node does not serve it: the README",
		"/walletrpc.WalletKit/ListSweeps":      "unknown service walletrpc.WalletKit: this node does not serve it: the README lists",
		"/lnrpc.WalletUnlocker/ChangePassword": "unknown method ChangePassword for service lnrpc.WalletUnlocker: this node",
		"nothing":                              "unknown service nothing: this node does not serve it",
	} {
		err := unserved(method)
		require.Equal(t, codes.Unimplemented, status.Code(err))
		require.ErrorContains(t, err, want)
	}
	for method := range unservedBecause {
		require.NotContains(t, needed, method, "it is served")
	}
}

func TestVersionAndForwarding(t *testing.T) {
	t.Parallel()
	v, err := versioner{}.GetVersion(t.Context(), &verrpc.VersionRequest{})
	require.NoError(t, err)
	require.Equal(t, [3]uint32{0, 21, 2}, [3]uint32{v.AppMajor, v.AppMinor, v.AppPatch})
	l := newLightning(t, Node{})
	fees, err := l.FeeReport(context.Background(), &lnrpc.FeeReportRequest{})
	require.NoError(t, err)
	require.Empty(t, fees.ChannelFees)
	history, err := l.ForwardingHistory(context.Background(), &lnrpc.ForwardingHistoryRequest{IndexOffset: 4})
	require.NoError(t, err)
	require.Empty(t, history.ForwardingEvents)
}
