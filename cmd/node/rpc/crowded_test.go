package rpc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"stormcell/actors/node"
	"stormcell/chain/backend"
	"stormcell/chain/backend/backendtest"
	"stormcell/chain/keys"
	"stormcell/chain/wallet"
	"stormcell/messages/lnrpc"
	"stormcell/messages/lnrpc/routerrpc"
	"stormcell/persistence"
)

// wholeNode serves a node that is no fake, on a journal in memory and a chain of one block.
func wholeNode(t *testing.T) *Server {
	t.Helper()
	network := backend.Regtest.Params()
	master, err := hdkeychain.NewMaster(bytes.Repeat([]byte{1}, 16), network)
	require.NoError(t, err)
	signer, err := keys.NewLocalSigner(master, keys.CoinType(network), func(n int, f func(int)) {
		for i := range n {
			f(i)
		}
	})
	require.NoError(t, err)
	seed, err := wallet.NewSeed(time.Now())
	require.NoError(t, err)
	coins, err := wallet.Open(wallet.Config{Network: backend.Regtest, Seed: seed, Dir: t.TempDir()})
	require.NoError(t, err)
	chain := backendtest.NewChain()
	tip := chain.Mine()
	source := backend.NewPending(backend.Regtest)
	source.Connect(chain)
	journal := persistence.NewMemory()
	n, err := node.Start(t.Context(), node.Options{
		Journal: journal, Signer: signer, Network: network, Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
		Backend: source, Wallet: coins,
	})
	require.NoError(t, err)
	s := newServer(t)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.Stop(ctx)
		require.NoError(t, n.Stop(ctx))
		require.NoError(t, coins.Close())
	})
	require.Eventually(t, func() bool {
		at, _ := n.SyncedTo()
		return at == tip
	}, patience, time.Millisecond)
	s.Activate(Node{
		Key: signer.NodeKey(), SignMessage: signer.SignMessage, PeerAddr: n.PeerAddr(), Features: node.Features(), Peers: n.Peers,
		Channels: n.Channels(), Wallet: n.Wallet(), Chain: n, Invoices: n.Invoices(), Payments: n.Payments(), Actors: n.Kernel,
		Started: time.Now(),
	})
	serve(t, s)
	return s
}

// connectSlowly connects a client that takes no more of a stream than a window of gRPC's unless it is read.
func connectSlowly(t *testing.T, s *Server) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+s.Addr().String(),
		grpc.WithTransportCredentials(credentials.NewTLS(anyone)), grpc.WithStaticStreamWindowSize(64<<10))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// inParallel calls f for numbers up to n, some at a time.
func inParallel(n int, f func(int)) {
	const atOnce = 16
	var all sync.WaitGroup
	var next atomic.Int64
	for range atOnce {
		all.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				f(i - 1)
			}
		})
	}
	all.Wait()
}

// TestSlowReaders: subscribers that read nothing cost a bounded amount of memory each, and neither the node nor other subscribers wait
// for them. Once they read, they go on where they were. It runs alone, as the heap is everybody's.
func TestSlowReaders(t *testing.T) {
	s := wholeNode(t)
	ctx, conn := withAdmin(t, s), connectSlowly(t, s)
	api, payments := lnrpc.NewLightningClient(conn), routerrpc.NewRouterClient(conn)
	const slow, events = 10, 500
	happen := func() (grown uint64) {
		before := heap()
		inParallel(events, func(i int) {
			_, err := api.AddInvoice(ctx, &lnrpc.Invoice{Memo: strings.Repeat("m", 600)})
			require.NoError(t, err)
		})
		inParallel(events, func(i int) {
			hash := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano())))
			stream, err := payments.SendPaymentV2(ctx, &routerrpc.SendPaymentRequest{
				Dest: keyOf(9).PubKey().SerializeCompressed(), AmtMsat: 1000, PaymentHash: hash[:], TimeoutSeconds: 60,
			})
			require.NoError(t, err)
			for err == nil {
				var p *lnrpc.Payment
				if p, err = stream.Recv(); err == nil && p.Status == lnrpc.Payment_FAILED {
					return
				}
			}
			require.NoError(t, err)
		})
		return heap() - min(before, heap())
	}
	alone := happen()

	listed, err := api.ListInvoices(ctx, &lnrpc.ListInvoiceRequest{Reversed: true, NumMaxInvoices: 1})
	require.NoError(t, err)
	since := listed.LastIndexOffset
	var invoices []lnrpc.Lightning_SubscribeInvoicesClient
	var tracked []routerrpc.Router_TrackPaymentsClient
	for range slow {
		i, err := api.SubscribeInvoices(ctx, &lnrpc.InvoiceSubscription{AddIndex: since})
		require.NoError(t, err)
		p, err := payments.TrackPayments(ctx, &routerrpc.TrackPaymentsRequest{})
		require.NoError(t, err)
		_, err = api.SubscribeChannelEvents(ctx, &lnrpc.ChannelEventSubscription{})
		require.NoError(t, err)
		_, err = api.SubscribePeerEvents(ctx, &lnrpc.PeerEventSubscription{})
		require.NoError(t, err)
		_, err = api.SubscribeTransactions(ctx, &lnrpc.GetTransactionsRequest{})
		require.NoError(t, err)
		invoices, tracked = append(invoices, i), append(tracked, p)
		f := framesTo(t, s.RESTAddr()) // reads not even the frames
		require.NoError(t, f.open("/v1/invoices/subscribe?add_index=1", ":method", "GET", "content-type", "application/json",
			strings.ToLower(macaroonHeader), hex.EncodeToString(s.macaroons.admin)))
	}
	require.Eventually(t, func() bool { return len(s.streams) == 6*slow }, patience, time.Millisecond)
	prompt, err := api.SubscribeInvoices(ctx, &lnrpc.InvoiceSubscription{AddIndex: since})
	require.NoError(t, err)
	seen := make(chan uint64, events)
	go func() {
		for {
			i, err := prompt.Recv()
			if err != nil {
				return
			}
			seen <- i.AddIndex
		}
	}()

	beside := happen()
	for range events {
		select {
		case <-seen:
		case <-time.After(patience):
			require.FailNow(t, "others wait for slow readers")
		}
	}
	t.Logf("the heap grew by %d KB, and by %d KB beside %d subscribers that read nothing", alone>>10, beside>>10, 6*slow)
	require.Less(t, beside, alone+6*slow*(200<<10))

	last := since
	for range events {
		i, err := invoices[0].Recv()
		require.NoError(t, err)
		require.Greater(t, i.AddIndex, last)
		last = i.AddIndex
	}
	ended := map[string]bool{}
	for len(ended) < events {
		p, err := tracked[0].Recv()
		require.NoError(t, err)
		if p.Status == lnrpc.Payment_FAILED {
			ended[p.PaymentHash] = true
		}
	}
}

// TestManyClients: two hundred that call at once are all answered, and whoever has a wrong macaroon among them hears so.
func TestManyClients(t *testing.T) {
	t.Parallel()
	s := wholeNode(t)
	const clients, calls = 200, 5
	var failed, refused atomic.Int64
	var all, ready sync.WaitGroup
	ready.Add(clients)
	begin := make(chan struct{})
	for i := range clients {
		call := restCaller(t, s, new(atomic.Int64))
		if i%2 == 0 {
			call = manyCalls(t, s, i%4 == 0, &refused)
		}
		all.Go(func() {
			ready.Done()
			<-begin
			for range calls {
				if err := call(); err != nil {
					failed.Add(1)
					t.Log(err)
				}
			}
		})
	}
	honest := grpcCaller(t, s, new(atomic.Int64))
	ready.Wait()
	close(begin)
	for range 20 {
		require.NoError(t, honest())
	}
	all.Wait()
	require.Zero(t, failed.Load())
	require.EqualValues(t, clients/4*calls, refused.Load())
}

// manyCalls is a client of its own connection that adds and lists invoices, or asks for what its macaroon does not allow.
func manyCalls(t *testing.T, s *Server, allowed bool, refused *atomic.Int64) (call func() error) {
	t.Helper()
	api := lnrpc.NewLightningClient(connect(t, s))
	ctx := withAdmin(t, s)
	if !allowed {
		ctx = metadata.AppendToOutgoingContext(t.Context(), "macaroon", "00")
	}
	return func() error {
		_, err := api.AddInvoice(ctx, &lnrpc.Invoice{Value: 1})
		if !allowed {
			if err != nil && strings.Contains(err.Error(), "the macaroon cannot be read") {
				refused.Add(1)
				return nil
			}
			return io.ErrUnexpectedEOF
		}
		if err == nil {
			_, err = api.ListInvoices(ctx, &lnrpc.ListInvoiceRequest{NumMaxInvoices: 3})
		}
		return err
	}
}
