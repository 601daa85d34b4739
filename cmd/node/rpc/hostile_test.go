package rpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"stormcell/actors/peerbook"
	"stormcell/messages/lnrpc"
)

// serve lets a server answer until the test ends, and connects a client that trusts whoever answers.
func serve(t *testing.T, s *Server) *grpc.ClientConn {
	t.Helper()
	go func() { _ = s.Serve() }()
	t.Cleanup(s.grpc.Stop)
	return connect(t, s)
}

func connect(t *testing.T, s *Server) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+s.Addr().String(),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestMethodsThatAreNone: whoever reaches the port can name methods. They cost nothing that stays, and break nothing.
func TestMethodsThatAreNone(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	conn := serve(t, s)
	call := func(method string) codes.Code {
		return status.Code(conn.Invoke(t.Context(), method, &lnrpc.GetInfoRequest{}, &lnrpc.GetInfoResponse{}))
	}
	require.Equal(t, codes.Unimplemented, call("/lnrpc.Lightning/\xff\xfe"), "no text")
	require.Equal(t, codes.Unimplemented, call("/\xff/\xfe"))
	for i := range 100 {
		require.Equal(t, codes.Unimplemented, call(fmt.Sprintf("/lnrpc.Lightning/Fly%d", i)))
	}
	kept := 0
	for _, c := range s.Collectors() {
		kept += testutil.CollectAndCount(c)
	}
	require.LessOrEqual(t, kept, 1, "what somebody makes up is not counted by name")
	_, err := lnrpc.NewStateClient(conn).GetState(context.Background(), &lnrpc.GetStateRequest{})
	require.NoError(t, err)
}

// send makes a call whose request is 4 MB long and does not come, and gives the code that it is answered with.
func send(t *testing.T, s *Server, method string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true,
	}}
	t.Cleanup(client.CloseIdleConnections)
	body, rest := io.Pipe()
	t.Cleanup(func() { _ = rest.Close() })
	go func() { _, _ = rest.Write([]byte{0, 0, 0x3f, 0xff, 0xff, 1, 2, 3}) }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.Addr().String()+method, body)
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/grpc")
	answer, err := client.Do(r)
	require.NoError(t, err)
	_ = answer.Body.Close()
	return answer.Header.Get("Grpc-Status")
}

// TestRefusesBeforeItReads: who may not call need not send a request to hear it, and so cannot have it held.
func TestRefusesBeforeItReads(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.states.set(lnrpc.WalletState_SERVER_ACTIVE)
	serve(t, s)
	require.Equal(t, fmt.Sprint(int(codes.Unknown)), send(t, s, lnrpc.Lightning_AddInvoice_FullMethodName))
	require.Equal(t, fmt.Sprint(int(codes.ResourceExhausted)), send(t, s, lnrpc.State_GetState_FullMethodName), "too large")
}

// TestRequestsThatDoNotCome: a call without its request does not last.
func TestRequestsThatDoNotCome(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.requestLimit = time.Millisecond
	conn := serve(t, s)
	for _, method := range []string{lnrpc.State_GetState_FullMethodName, lnrpc.State_SubscribeState_FullMethodName} {
		stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
		require.NoError(t, err)
		require.Equal(t, codes.DeadlineExceeded, status.Code(stream.RecvMsg(&lnrpc.GetStateResponse{})), method)
	}
	require.Eventually(t, func() bool { return s.openCalls.Size()+s.openStreams.Size() == 0 }, 10*time.Second, time.Millisecond)
}

// TestStrangersTakeNothingFromClients: without a macaroon all can watch the daemon's state, and no more than that. Of those who
// watch too many, the first are cut off, so that nobody can take this from others either.
func TestStrangersTakeNothingFromClients(t *testing.T) {
	t.Parallel()
	l := newLightning(t, Node{Channels: &fakeChannels{}})
	conn := serve(t, l.server)
	watch := func() lnrpc.State_SubscribeStateClient {
		stream, err := lnrpc.NewStateClient(conn).SubscribeState(t.Context(), &lnrpc.SubscribeStateRequest{})
		require.NoError(t, err)
		_, err = stream.Recv()
		require.NoError(t, err)
		return stream
	}
	first := watch()
	for range maxOpenStreams {
		watch()
	}
	_, err := first.Recv()
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.ErrorContains(t, err, "too many calls at once")
	require.Equal(t, maxOpenStreams, l.server.openStreams.Size())

	ctx := metadata.AppendToOutgoingContext(t.Context(), "macaroon", hex.EncodeToString(l.server.macaroons.admin))
	events, err := lnrpc.NewLightningClient(conn).SubscribeChannelEvents(ctx, &lnrpc.ChannelEventSubscription{})
	require.NoError(t, err)
	_, err = events.Recv()
	require.Equal(t, codes.Canceled, status.Code(err), "as the node here ends all who watch")
	_, err = lnrpc.NewStateClient(conn).GetState(t.Context(), &lnrpc.GetStateRequest{})
	require.NoError(t, err)
}

// TestEstimateOfMoreThanThereIs: amounts that are possible each can be more together than 64 bits hold.
func TestEstimateOfMoreThanThereIs(t *testing.T) {
	t.Parallel()
	l := newLightning(t, Node{Wallet: &fakeWallet{}})
	r := &lnrpc.EstimateFeeRequest{AddrToAmount: map[string]int64{}}
	for i := range 2 {
		address, err := btcutil.NewAddressWitnessPubKeyHash(bytes.Repeat([]byte{byte(i)}, 20), l.server.o.Network.Params())
		require.NoError(t, err)
		r.AddrToAmount[address.EncodeAddress()] = btcutil.MaxSatoshi
	}
	_, err := l.EstimateFee(t.Context(), r)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

// awaitingPeers never connects.
type awaitingPeers struct {
	fakePeers
	waiting chan struct{}
}

func (p *awaitingPeers) Connect(ctx context.Context, _ peerbook.Connect) error {
	p.waiting <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

// TestConnectingTakesNothingFromOtherCalls: who may only connect to nodes, and chooses such as never answer, keeps nobody from
// calling something else.
func TestConnectingTakesNothingFromOtherCalls(t *testing.T) {
	t.Parallel()
	peers := &awaitingPeers{waiting: make(chan struct{}, maxCalls)}
	l := newLightning(t, Node{Peers: peers, Channels: &fakeChannels{}})
	conn := serve(t, l.server)
	baked, err := l.server.macaroons.bake(0, []permission{writePeers})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), "macaroon", hex.EncodeToString(baked)))
	results := make(chan error, maxCalls)
	for range maxCalls {
		go func() {
			_, err := lnrpc.NewLightningClient(conn).ConnectPeer(ctx, &lnrpc.ConnectPeerRequest{
				Addr: &lnrpc.LightningAddress{Pubkey: peerbook.NodeKey(nodeOf(2)).String(), Host: "127.0.0.1:1"}, Timeout: 600,
			})
			results <- err
		}()
	}
	for range maxCalls - maxWaiting {
		err := <-results
		require.Equal(t, codes.ResourceExhausted, status.Code(err), err)
	}
	for range maxWaiting {
		<-peers.waiting
	}
	_, err = lnrpc.NewLightningClient(conn).ListChannels(withAdmin(t, l.server), &lnrpc.ListChannelsRequest{})
	require.NoError(t, err)
	stop()
	for range maxWaiting {
		require.Equal(t, codes.Canceled, status.Code(<-results))
	}
}

// TestWhoLeavesDoesNotUnlock: a call that waits for its turn ends with its caller.
func TestWhoLeavesDoesNotUnlock(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	conn := serve(t, s)
	require.True(t, s.unlocking.take()) // somebody else's key is being made
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := lnrpc.NewWalletUnlockerClient(conn).GenSeed(ctx, &lnrpc.GenSeedRequest{})
		ended <- err
	}()
	require.Eventually(t, func() bool { return s.openCalls.Size() == 1 }, patience, time.Millisecond)
	leave()
	require.Equal(t, codes.Canceled, status.Code(<-ended))
	require.Eventually(t, func() bool { return s.openCalls.Size() == 0 }, patience, time.Millisecond)
}
