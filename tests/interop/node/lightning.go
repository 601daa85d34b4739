package node

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
)

// patience is how long a node may take for anything.
const patience = 2 * time.Minute

const lndName = "lnd"

// passphrase is of every Stormcell's wallet.
const passphrase = "interoperable"

// Lightning is a Lightning node that answers lnd's API: an lnd, or a Stormcell. Its clients outlive restarts of the node.
type Lightning struct {
	lnrpc.LightningClient
	Router routerrpc.RouterClient
	Hold   invoicesrpc.InvoicesClient
	// Key is the node's key in hexadecimal digits.
	Key string
	// Peer is the host:port for peers.
	Peer string
	// DataDir is where a Stormcell keeps its data.
	DataDir string

	*process
	name string
	// api is the host:port for clients; certificate and macaroon are files for them.
	api, certificate, macaroon string

	state lnrpc.StateClient
	open  lnrpc.WalletUnlockerClient
}

// StartLnd runs an lnd on a bitcoin node, with flags besides the usual. It ends with the test.
func StartLnd(t testing.TB, chain *Server, flags ...string) *Lightning {
	t.Helper()
	l := LaunchLnd(t, chain, append([]string{"--noseedbackup"}, flags...)...)
	l.arrive()
	return l
}

// LaunchLnd runs an lnd that has no wallet yet. It ends with the test.
func LaunchLnd(t testing.TB, chain *Server, flags ...string) *Lightning {
	t.Helper()
	path, err := lnd()
	require.NoError(t, err)
	dir := t.TempDir()
	certificate := filepath.Join(dir, "chain.cert")
	require.NoError(t, os.WriteFile(certificate, chain.config.Certificate, 0o600))
	l, api := &Lightning{name: lndName, Peer: freeAddress(t)}, freeAddress(t)
	l.process = newProcess(t, path, append([]string{
		"--lnddir=" + dir, "--nobootstrap", "--norest", "--listen=" + l.Peer, "--rpclisten=" + api,
		"--bitcoin.regtest", "--bitcoin.node=btcd", "--btcd.rpchost=" + chain.config.Address, "--btcd.rpcuser=" + user,
		"--btcd.rpcpass=" + password, "--btcd.rpccert=" + certificate, "--bitcoin.defaultchanconfs=1",
		"--trickledelay=50", "--maxpendingchannels=20", "--protocol.wumbo-channels", "--accept-keysend",
		"--minbackoff=50ms", "--maxbackoff=1s", "--debuglevel=info",
	}, flags...)...)
	l.launch(api, filepath.Join(dir, "tls.cert"), filepath.Join(dir, "data", "chain", "bitcoin", "regtest", "admin.macaroon"))
	return l
}

// StartStormcell runs a Stormcell on a btcd, with flags besides the usual. It ends with the test.
func StartStormcell(t testing.TB, chain *Server, flags ...string) *Lightning {
	t.Helper()
	certificate := filepath.Join(t.TempDir(), "chain.cert")
	require.NoError(t, os.WriteFile(certificate, chain.config.Certificate, 0o600))
	return startStormcell(t, append([]string{
		"--chain=btcd", "--btcd.rpchost=" + chain.config.Address, "--btcd.rpcuser=" + user, "--btcd.rpcpass=" + password,
		"--btcd.rpccert=" + certificate,
	}, flags...)...)
}

// StartLightStormcell runs a Stormcell that knows the chain from a peer-to-peer port alone.
func StartLightStormcell(t testing.TB, chain *Server, flags ...string) *Lightning {
	t.Helper()
	return startStormcell(t, append([]string{"--chain=neutrino", "--neutrino.connect=" + chain.P2P}, flags...)...)
}

func startStormcell(t testing.TB, flags ...string) *Lightning {
	t.Helper()
	l := LaunchStormcell(t, flags...)
	l.arrive()
	return l
}

// LaunchStormcell runs a Stormcell that has no wallet yet. It ends with the test.
func LaunchStormcell(t testing.TB, flags ...string) *Lightning {
	t.Helper()
	path, err := stormcell()
	require.NoError(t, err)
	dir := t.TempDir()
	l, api := &Lightning{name: "stormcell", Peer: freeAddress(t), DataDir: dir}, freeAddress(t)
	l.process = newProcess(t, path, append([]string{
		"start", "--network=regtest", "--datadir=" + dir, "--listen=" + l.Peer, "--rpclisten=" + api, "--restlisten=127.0.0.1:0",
		"--debuglevel=debug",
		"--accept-keysend",
	}, flags...)...)
	l.env = []string{"HOME=" + dir}
	l.launch(api, filepath.Join(dir, "tls.cert"), filepath.Join(dir, "admin.macaroon"))
	return l
}

// launch starts the node for the first time, and makes its clients.
func (l *Lightning) launch(api, certificate, macaroon string) {
	l.t.Helper()
	l.api, l.certificate, l.macaroon = api, certificate, macaroon
	l.start()
	var trust credentials.TransportCredentials
	require.Eventually(l.t, func() (made bool) {
		var err error
		trust, err = credentials.NewClientTLSFromFile(certificate, "") // which the node makes, and lnd not at one stroke
		return err == nil || !l.running()
	}, patience, 20*time.Millisecond, "%s makes no certificate", l.name)
	require.NotNil(l.t, trust, "%s ended", l.name)
	conn, err := grpc.NewClient("passthrough:///"+api, grpc.WithTransportCredentials(trust),
		grpc.WithPerRPCCredentials(macaroonFile(macaroon)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestAnswer)), grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, MaxDelay: 200 * time.Millisecond},
		}))
	require.NoError(l.t, err)
	l.t.Cleanup(func() { _ = conn.Close() })
	l.LightningClient, l.Router = lnrpc.NewLightningClient(conn), routerrpc.NewRouterClient(conn)
	l.Hold = invoicesrpc.NewInvoicesClient(conn)
	l.state, l.open = lnrpc.NewStateClient(conn), lnrpc.NewWalletUnlockerClient(conn)
}

// arrive waits until the node serves, and asks who it is.
func (l *Lightning) arrive() {
	l.t.Helper()
	l.awake()
	info, err := l.GetInfo(l.Context(), &lnrpc.GetInfoRequest{})
	require.NoError(l.t, err)
	l.Key = info.IdentityPubkey
}

// macaroonFile sends the macaroon that a file has, once there is one.
type macaroonFile string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (f macaroonFile) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	serialized, err := os.ReadFile(string(f))
	if err != nil {
		return nil, nil // the wallet is still to be made, and what can be asked for before that needs no macaroon
	}
	return map[string]string{"macaroon": hex.EncodeToString(serialized)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (macaroonFile) RequireTransportSecurity() bool { return true }

// awake waits until the node serves, and makes or unlocks its wallet if it asks for that.
func (l *Lightning) awake() {
	l.t.Helper()
	require.Eventually(l.t, func() bool {
		if !l.running() {
			return true
		}
		ctx, cancel := context.WithTimeout(l.t.Context(), patience/4) // one call without an answer is no reason to give up
		defer cancel()
		answer, err := l.state.GetState(ctx, &lnrpc.GetStateRequest{})
		if err != nil {
			return false
		}
		switch answer.State {
		case lnrpc.WalletState_NON_EXISTING:
			if seed, err := l.open.GenSeed(ctx, &lnrpc.GenSeedRequest{}); err == nil {
				_, _ = l.open.InitWallet(ctx, &lnrpc.InitWalletRequest{
					WalletPassword: []byte(passphrase), CipherSeedMnemonic: seed.CipherSeedMnemonic,
				}) // the next state says whether it worked
			}
		case lnrpc.WalletState_LOCKED:
			_, _ = l.open.UnlockWallet(ctx, &lnrpc.UnlockWalletRequest{WalletPassword: []byte(passphrase)})
		}
		return answer.State == lnrpc.WalletState_SERVER_ACTIVE
	}, patience, 20*time.Millisecond, "%s does not become active", l.name)
	require.True(l.t, l.running(), "%s has ended", l.name)
}

// Context is for one call to the node.
func (l *Lightning) Context() context.Context {
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// String tells the kind of node.
func (l *Lightning) String() string { return l.name }

// IsLnd tells whether the node is an lnd.
func (l *Lightning) IsLnd() bool { return l.name == lndName }

// Stop asks the node to stop, and waits for it.
func (l *Lightning) Stop() {
	l.t.Helper()
	l.interrupt(patience)
}

// HasEnded tells whether the node's process has ended.
func (l *Lightning) HasEnded() bool { return !l.running() }

// Terminate sends the node SIGTERM, as a supervisor does, once or more often in a row, and gives how it ended and how long that
// took.
func (l *Lightning) Terminate(times int) (*os.ProcessState, time.Duration) {
	l.t.Helper()
	return l.terminate(times, patience)
}

// Restart stops the node and starts it with additional flags.
func (l *Lightning) Restart(flags ...string) {
	l.t.Helper()
	l.Stop()
	l.args = append(l.args, flags...)
	l.Start()
}

// Crash ends the node with kill -9 and starts it again.
func (l *Lightning) Crash() {
	l.t.Helper()
	l.kill()
	l.Start()
}

// Kill ends the node with kill -9.
func (l *Lightning) Kill() { l.kill() }

// Relaunch starts a node that has ended, and leaves its wallet as it is.
func (l *Lightning) Relaunch() {
	l.t.Helper()
	l.start()
}

// Start starts a node that has ended, and waits until it serves.
func (l *Lightning) Start() {
	l.t.Helper()
	l.start()
	l.awake()
}

// Connect connects the node to another.
func (l *Lightning) Connect(to *Lightning) {
	l.t.Helper()
	require.NoError(l.t, l.TryConnect(to), "%s connects to %s", l, to)
}

// AwaitSynced waits until the node has heard of every block: before that lnd opens no channel and sends no coins.
func (l *Lightning) AwaitSynced() {
	l.t.Helper()
	require.Eventually(l.t, func() bool {
		info, err := l.GetInfo(l.Context(), &lnrpc.GetInfoRequest{})
		return err == nil && info.SyncedToChain
	}, patience, 20*time.Millisecond, "%s does not follow the chain", l.name)
}

// TryConnect connects the node to another.
func (l *Lightning) TryConnect(to *Lightning) error {
	_, err := l.ConnectPeer(l.Context(), &lnrpc.ConnectPeerRequest{
		Addr: &lnrpc.LightningAddress{Pubkey: to.Key, Host: to.Peer},
	})
	return err
}

// IsConnected tells whether the node has a connection with another.
func (l *Lightning) IsConnected(to *Lightning) bool {
	peers, err := l.ListPeers(l.Context(), &lnrpc.ListPeersRequest{})
	if err != nil {
		return false
	}
	for _, p := range peers.Peers {
		if p.PubKey == to.Key {
			return true
		}
	}
	return false
}

// Fund pays to the node's wallet, and mines until the wallet has it.
func (l *Lightning) Fund(chain *Server, amount btcutil.Amount) {
	l.t.Helper()
	answer, err := l.NewAddress(l.Context(), &lnrpc.NewAddressRequest{Type: lnrpc.AddressType_WITNESS_PUBKEY_HASH})
	require.NoError(l.t, err)
	address, err := btcutil.DecodeAddress(answer.Address, &chaincfg.RegressionNetParams)
	require.NoError(l.t, err)
	script, err := txscript.PayToAddrScript(address)
	require.NoError(l.t, err)
	_, err = chain.Client.SendRawTransaction(chain.Pay(script, amount), true)
	require.NoError(l.t, err)
	chain.Mine(1)
	require.Eventually(l.t, func() bool {
		balance, err := l.WalletBalance(l.Context(), &lnrpc.WalletBalanceRequest{})
		return err == nil && btcutil.Amount(balance.ConfirmedBalance) >= amount
	}, patience, 50*time.Millisecond, "%s does not see its coins", l)
}
