package ctl

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/cmd/node/fault"
)

func TestMessages(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	signature := strings.TrimSpace(mustRun(t, f, "signmessage", "mine"))
	require.Equal(t, "signed by "+hex.EncodeToString(key(1).PubKey().SerializeCompressed())+"\n",
		f.ok(t, "verifymessage", "mine", signature))
	require.Contains(t, f.ok(t, "verifymessage", "mine", signature, "--json"), `"valid": true`)
	f.fails(t, fault.Failed, "no node that this one knows has signed", "verifymessage", "yours", signature)
	f.fails(t, fault.Failed, "signature", "verifymessage", "mine", "d9tq")
	f.fails(t, fault.Usage, "takes MESSAGE SIGNATURE", "verifymessage", "mine")
}

func TestMacaroons(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	path := filepath.Join(t.TempDir(), "info.macaroon")
	digits := strings.TrimSpace(f.ok(t, "bakemacaroon", "info:read", "--json"))
	require.Contains(t, digits, `"macaroon": "0201`)
	_, err := f.run(t, "bakemacaroon", "info:read", "--save-to="+path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Contains(t, f.ok(t, "getinfo", "--macaroon="+path), "regtest")
	f.fails(t, fault.Forbidden, "permission denied", "invoices", "--macaroon="+path)
	f.fails(t, fault.Failed, "file exists", "bakemacaroon", "info:read", "--save-to="+path)
	f.fails(t, fault.Usage, `"info" is no permission`, "bakemacaroon", "info")
	f.fails(t, fault.Failed, "invalid permission entity", "bakemacaroon", "weather:read")
	f.fails(t, fault.Usage, "takes PERMISSION...", "bakemacaroon")

	require.Regexp(t, `(?m)^/lnrpc.Lightning/OpenChannel +offchain:write onchain:write$|^/lnrpc.Lightning/OpenChannel +onchain:write offchain:write$`,
		f.ok(t, "listpermissions"))
	at := []string{"bakemacaroon", "--network=regtest", "--datadir=" + f.dir, "--rpcserver=" + f.server, "inv"}
	values, _ := completes(t, at...)
	require.Equal(t, []string{"invoices:read", "invoices:write"}, values)
}
