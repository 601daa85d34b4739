package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"gopkg.in/macaroon.v2"

	"stormcell/messages/lnrpc"
)

func TestCreateUnlockGetinfo(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.start(t)

	r := h.run(t, "", "getinfo")
	require.Equal(t, 4, r.code)
	require.Contains(t, r.err, "stormcell create")
	r = h.run(t, "short\n", "create", "--passphrase-file=-")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, "too short")
	h.create(t, p)
	r = h.run(t, passphrase+"\n", "create", "--passphrase-file=-")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "there is a wallet already")
	before := h.info(t)
	require.Len(t, before.Uris, 1)
	require.Equal(t, "regtest", before.Chains[0].Network)

	p.crash(t)
	r = h.run(t, "", "getinfo")
	require.Equal(t, 3, r.code)
	require.Contains(t, r.err, "no daemon answers")
	p = h.start(t)
	r = h.run(t, "", "getinfo")
	require.Equal(t, 4, r.code)
	require.Contains(t, r.err, "stormcell unlock")
	r = h.run(t, "wrong horse\n", "unlock", "--passphrase-file=-")
	require.Equal(t, 5, r.code)
	require.Contains(t, r.err, "wrong passphrase")
	require.Contains(t, h.ok(t, "", "state"), "locked")
	h.unlock(t)
	require.Equal(t, before.IdentityPubkey, h.info(t).IdentityPubkey)
	require.Contains(t, h.ok(t, "", "getinfo"), before.IdentityPubkey)
	require.Contains(t, h.ok(t, "", "state", "--json"), "SERVER_ACTIVE")

	h.ok(t, "", "stop")
	code, said := p.wait(t)
	require.Zero(t, code, said)
	require.Empty(t, said)
	r = h.run(t, "", "getinfo")
	require.Equal(t, 3, r.code)
	require.Contains(t, r.err, "no daemon runs")

	// The words alone bring the node back elsewhere.
	words, err := os.ReadFile(filepath.Join(h.dir, "words"))
	require.NoError(t, err)
	other := newHome(t)
	other.start(t)
	r = other.run(t, passphrase+"\nbad words\n", "create", "--restore", "--passphrase-file=-")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "a seed has 24")
	other.ok(t, passphrase+"\n"+string(words), "create", "--restore", "--passphrase-file=-")
	require.Equal(t, before.IdentityPubkey, other.info(t).IdentityPubkey)

	log, err := os.ReadFile(filepath.Join(h.dir, "stormcell.log"))
	require.NoError(t, err)
	for _, secret := range []string{passphrase, strings.Fields(string(words))[0] + " "} {
		require.NotContains(t, string(log), secret)
	}
}

func TestMacaroons(t *testing.T) {
	t.Parallel()
	h, other := newHome(t), newHome(t)
	p := h.start(t)
	h.create(t, p)
	other.start(t)
	conn := h.dial(t)

	with := func(caveats ...string) []byte {
		var m macaroon.Macaroon
		require.NoError(t, m.UnmarshalBinary(h.macaroon(t)))
		for _, caveat := range caveats {
			require.NoError(t, m.AddFirstPartyCaveat([]byte(caveat)))
		}
		serialized, err := m.MarshalBinary()
		require.NoError(t, err)
		return serialized
	}
	soon := "time-before " + time.Now().Add(time.Minute).UTC().Format(time.RFC3339Nano)
	cut := h.macaroon(t)
	for name, c := range map[string]struct {
		macaroon []byte
		refused  string // empty when it is good
	}{
		"admin":                     {with(), ""},
		"for a while":               {with(soon), ""},
		"for this address, a while": {with(soon, "ipaddr 127.0.0.1"), ""},
		"for another address":       {with("ipaddr 10.0.0.1"), "macaroon locked to different IP address"},
		"for this network":          {with("iprange 127.0.0.0/8"), ""},
		"for another network":       {with("iprange 10.0.0.0/8"), "macaroon locked to different IP range"},
		"no network":                {with("iprange here"), "unable to parse macaroon IP range"},
		"for a middleware":          {with("lnd-custom lit 1"), "no middleware registered"},
		"expired":                   {with("time-before 2020-01-01T00:00:00Z"), "macaroon has expired"},
		"unknown caveat":            {with("color blue"), `caveat "color blue" not satisfied: caveat not recognized`},
		"of another daemon":         {other.macaroon(t), "verification failed: signature mismatch"},
		"cut":                       {cut[:len(cut)-1], "cannot be read"},
		"empty":                     {nil, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := lnrpc.NewLightningClient(conn).GetInfo(withMacaroon(t, c.macaroon), &lnrpc.GetInfoRequest{})
			if c.refused == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, codes.Unknown, status.Code(err)) // lnd's
			require.ErrorContains(t, err, c.refused)
		})
	}
	_, err := lnrpc.NewLightningClient(conn).GetInfo(t.Context(), &lnrpc.GetInfoRequest{})
	require.ErrorContains(t, err, "expected 1 macaroon, got 0")

	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "admin.macaroon"), other.macaroon(t), 0o600))
	r := h.run(t, "", "getinfo")
	require.Equal(t, 5, r.code)
	require.Contains(t, r.err, "does not accept the macaroon")
}

// TestWhatClientsOfLndExpect covers what is said at the wrong time, and of calls that are not served.
func TestWhatClientsOfLndExpect(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.start(t)
	conn := h.dial(t)
	unlocker, node := lnrpc.NewWalletUnlockerClient(conn), lnrpc.NewLightningClient(conn)

	_, err := node.GetInfo(h.admin(t), &lnrpc.GetInfoRequest{})
	require.Equal(t, codes.Unknown, status.Code(err))
	require.ErrorContains(t, err, "wallet not created, create one to enable full RPC access")
	made, err := unlocker.GenSeed(t.Context(), &lnrpc.GenSeedRequest{})
	require.NoError(t, err)
	require.Len(t, made.CipherSeedMnemonic, 24)
	_, err = unlocker.InitWallet(t.Context(), &lnrpc.InitWalletRequest{WalletPassword: []byte("short")})
	require.ErrorContains(t, err, "password must have at least 8 characters")

	stateless := &lnrpc.InitWalletRequest{WalletPassword: []byte(passphrase), CipherSeedMnemonic: made.CipherSeedMnemonic}
	stateless.ProtoReflect().SetUnknown([]byte{6 << 3, 1}) // stateless_init
	_, err = unlocker.InitWallet(t.Context(), stateless)
	require.Equal(t, codes.Unimplemented, status.Code(err))
	require.ErrorContains(t, err, "field 6 of lnrpc.InitWalletRequest")

	states, err := lnrpc.NewStateClient(conn).SubscribeState(t.Context(), &lnrpc.SubscribeStateRequest{})
	require.NoError(t, err)
	first, err := states.Recv()
	require.NoError(t, err)
	require.Equal(t, lnrpc.WalletState_NON_EXISTING, first.State)
	inited, err := unlocker.InitWallet(t.Context(), &lnrpc.InitWalletRequest{
		WalletPassword: []byte(passphrase), CipherSeedMnemonic: made.CipherSeedMnemonic,
	})
	require.NoError(t, err)
	require.Equal(t, h.macaroon(t), inited.AdminMacaroon)
	for state := first.State; state != lnrpc.WalletState_SERVER_ACTIVE; {
		update, err := states.Recv()
		require.NoError(t, err)
		require.Greater(t, update.State, state)
		state = update.State
	}

	_, err = unlocker.UnlockWallet(t.Context(), &lnrpc.UnlockWalletRequest{WalletPassword: []byte(passphrase)})
	require.Equal(t, codes.Unknown, status.Code(err))
	require.ErrorContains(t, err, "wallet already unlocked, WalletUnlocker service is no longer available")
	require.Equal(t, codes.Unimplemented, status.Code(
		conn.Invoke(h.admin(t), "/lnrpc.Lightning/DescribeGraph", &lnrpc.GetInfoRequest{}, &lnrpc.GetInfoResponse{})))
	require.Equal(t, codes.Unimplemented, status.Code(
		conn.Invoke(h.admin(t), "/signrpc.Signer/SignOutputRaw", &lnrpc.GetInfoRequest{}, &lnrpc.GetInfoResponse{})))

	// A stream that somebody reads does not keep the daemon from stopping.
	_, err = node.StopDaemon(h.admin(t), &lnrpc.StopRequest{})
	require.NoError(t, err)
	_, err = states.Recv()
	require.Equal(t, codes.Unavailable, status.Code(err))
	code, said := p.wait(t)
	require.Zero(t, code, said)
}

func TestConnectRefusals(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.start(t)
	h.create(t, p)
	self := h.info(t).Uris[0]
	stranger := "02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619"
	for want, to := range map[string]string{
		"key@host:port":            "127.0.0.1:9735",
		"66 hexadecimal digits":    "02ee@127.0.0.1:9735",
		"onion":                    stranger + "@abc.onion",
		"cannot connect to self":   self,
		"connection refused":       fmt.Sprintf("%s@127.0.0.1:1", stranger),
		"handshake failed in act":  fmt.Sprintf("%s@%s", stranger, h.listen),
		"port \"70000\" is not a ": fmt.Sprintf("%s@127.0.0.1:70000", stranger),
	} {
		r := h.run(t, "", "connect", to)
		require.NotZero(t, r.code, to)
		require.Contains(t, strings.ReplaceAll(r.err, "\n", " "), want)
	}
	require.Contains(t, h.ok(t, "", "peers"), "no peers")
	r := h.run(t, "", "disconnect", stranger)
	require.Equal(t, 1, r.code)
	require.Contains(t, strings.ReplaceAll(r.err, "\n", " "), "is not connected")
}
