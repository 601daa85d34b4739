package rpc

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"gopkg.in/macaroon.v2"
	"pgregory.net/rapid"

	"stormcell/messages/debugrpc"
	"stormcell/messages/lnrpc"
)

// activeLightning is a service whose calls are checked as if the node ran.
func activeLightning(t *testing.T) *lightning {
	t.Helper()
	s := newServer(t)
	s.states.set(lnrpc.WalletState_SERVER_ACTIVE)
	return &lightning{server: s}
}

// allows tells whether a macaroon in hexadecimal digits may be used to call a method.
func (l *lightning) allows(t *testing.T, token, method string) error {
	t.Helper()
	return l.server.allow(metadata.NewIncomingContext(t.Context(), metadata.Pairs("macaroon", token)), method)
}

func (l *lightning) mustBake(t *testing.T, key uint64, permissions ...string) string {
	t.Helper()
	baked, err := l.BakeMacaroon(t.Context(), &lnrpc.BakeMacaroonRequest{Permissions: permissionsOf(permissions...), RootKeyId: key})
	require.NoError(t, err)
	return baked.Macaroon
}

func permissionsOf(written ...string) (out []*lnrpc.MacaroonPermission) {
	for _, p := range written {
		entity, action, _ := strings.Cut(p, ":")
		out = append(out, &lnrpc.MacaroonPermission{Entity: entity, Action: action})
	}
	return out
}

func TestBakedMacaroonsAllowWhatTheySay(t *testing.T) {
	t.Parallel()
	l := activeLightning(t)
	for baked, c := range map[string]struct{ may, mayNot []string }{
		l.mustBake(t, 0, "info:read", "offchain:read"): {
			[]string{lnrpc.Lightning_GetInfo_FullMethodName, lnrpc.Lightning_ListChannels_FullMethodName},
			[]string{lnrpc.Lightning_StopDaemon_FullMethodName, lnrpc.Lightning_WalletBalance_FullMethodName},
		},
		l.mustBake(t, 3, "onchain:write"): { // the method needs two permissions
			[]string{lnrpc.Lightning_SendCoins_FullMethodName}, []string{lnrpc.Lightning_OpenChannel_FullMethodName},
		},
		l.mustBake(t, 0, "uri:"+lnrpc.Lightning_GetInfo_FullMethodName, "onchain:read"): {
			[]string{lnrpc.Lightning_GetInfo_FullMethodName, lnrpc.Lightning_WalletBalance_FullMethodName},
			[]string{lnrpc.Lightning_ListPermissions_FullMethodName}, // needs info:read as well
		},
	} {
		for _, method := range c.may {
			require.NoError(t, l.allows(t, baked, method), method)
		}
		for _, method := range c.mayNot {
			err := l.allows(t, baked, method)
			require.Equal(t, codes.Unknown, status.Code(err))
			require.ErrorContains(t, err, "permission denied", method)
		}
	}
}

func TestWhatCannotBeBaked(t *testing.T) {
	t.Parallel()
	l := activeLightning(t)
	for name, c := range map[string]struct {
		permissions []string
		external    bool
		want        string
	}{
		"nothing":               {nil, false, "permission list cannot be empty"},
		"nothing, external":     {nil, true, "permission list cannot be empty"},
		"unknown entity":        {[]string{"moon:read"}, false, "invalid permission entity. supported actions are [read write generate]"},
		"unknown action":        {[]string{"info:read", "info:fly"}, false, "invalid permission action. supported"},
		"unknown method":        {[]string{"uri:/lnrpc.Lightning/Fly"}, false, "must be an existing URI"},
		"external, empty":       {[]string{":"}, true, "invalid permission entity"},
		"external, no action":   {[]string{"moon:"}, true, "invalid permission entity"},
		"more than can be sent": {slicesOf("moon:read", 4000), true, "too many"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := l.BakeMacaroon(t.Context(), &lnrpc.BakeMacaroonRequest{
				Permissions: permissionsOf(c.permissions...), AllowExternalPermissions: c.external,
			})
			require.ErrorContains(t, err, c.want)
		})
	}
}

// slicesOf is a permission many times, each time another.
func slicesOf(permission string, times int) (out []string) {
	for i := range times {
		out = append(out, fmt.Sprint(permission, i))
	}
	return out
}

func TestCheckMacaroonPermissions(t *testing.T) {
	t.Parallel()
	l := activeLightning(t)
	external, err := l.BakeMacaroon(t.Context(), &lnrpc.BakeMacaroonRequest{
		Permissions: permissionsOf("moon:land", "info:read"), AllowExternalPermissions: true,
	})
	require.NoError(t, err)
	serialized, err := hex.DecodeString(external.Macaroon)
	require.NoError(t, err)
	getInfo := lnrpc.Lightning_GetInfo_FullMethodName
	for name, c := range map[string]struct {
		ask     *lnrpc.CheckMacPermRequest
		refused string
	}{
		"an external one":    {&lnrpc.CheckMacPermRequest{Macaroon: serialized, Permissions: permissionsOf("moon:land")}, ""},
		"two":                {&lnrpc.CheckMacPermRequest{Macaroon: serialized, Permissions: permissionsOf("moon:land", "info:read")}, ""},
		"one too many":       {&lnrpc.CheckMacPermRequest{Macaroon: serialized, Permissions: permissionsOf("moon:land", "info:write")}, "permission denied"},
		"what GetInfo needs": {&lnrpc.CheckMacPermRequest{Macaroon: serialized, FullMethod: getInfo, CheckDefaultPermsFromFullMethod: true}, ""},
		"GetInfo by name":    {&lnrpc.CheckMacPermRequest{Macaroon: serialized, FullMethod: getInfo}, "permission denied"},
		"an unknown method": {
			&lnrpc.CheckMacPermRequest{Macaroon: serialized, FullMethod: "/x", CheckDefaultPermsFromFullMethod: true}, "no permissions found",
		},
		"no method":    {&lnrpc.CheckMacPermRequest{Macaroon: serialized, CheckDefaultPermsFromFullMethod: true}, "without providing"},
		"both":         {&lnrpc.CheckMacPermRequest{Macaroon: serialized, FullMethod: getInfo, CheckDefaultPermsFromFullMethod: true, Permissions: permissionsOf("info:read")}, "same time"},
		"nothing":      {&lnrpc.CheckMacPermRequest{Macaroon: serialized}, "say permissions"},
		"an empty one": {&lnrpc.CheckMacPermRequest{Macaroon: serialized, Permissions: permissionsOf(":")}, "needs an entity"},
		"no macaroon":  {&lnrpc.CheckMacPermRequest{Permissions: permissionsOf("info:read")}, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			answer, err := l.CheckMacaroonPermissions(t.Context(), c.ask)
			if c.refused != "" {
				require.ErrorContains(t, err, c.refused)
				return
			}
			require.NoError(t, err)
			require.True(t, answer.Valid)
		})
	}
}

// TestRootKeys: a key makes macaroons until it is deleted, across restarts.
func TestRootKeys(t *testing.T) {
	t.Parallel()
	l := activeLightning(t)
	getInfo := lnrpc.Lightning_GetInfo_FullMethodName
	with7, with9 := l.mustBake(t, 7, "info:read"), l.mustBake(t, 9, "info:read")
	restart := func() []uint64 {
		reopened, err := openMacaroons(l.server.o.Dir)
		require.NoError(t, err)
		l.server.macaroons = reopened
		list, err := l.ListMacaroonIDs(t.Context(), &lnrpc.ListMacaroonIDsRequest{})
		require.NoError(t, err)
		return list.RootKeyIds
	}
	require.Equal(t, []uint64{0, 7, 9}, restart())
	require.NoError(t, l.allows(t, with7, getInfo))
	require.NoError(t, l.allows(t, with9, getInfo))

	for id, want := range map[uint64]bool{7: true, 8: false} {
		answer, err := l.DeleteMacaroonID(t.Context(), &lnrpc.DeleteMacaroonIDRequest{RootKeyId: id})
		require.NoError(t, err)
		require.Equal(t, want, answer.Deleted)
	}
	_, err := l.DeleteMacaroonID(t.Context(), &lnrpc.DeleteMacaroonIDRequest{RootKeyId: 0})
	require.ErrorContains(t, err, "the specified ID cannot be deleted")
	for range 2 {
		require.ErrorContains(t, l.allows(t, with7, getInfo), "root key with id 7 doesn't exist")
		require.NoError(t, l.allows(t, with9, getInfo))
		require.Equal(t, []uint64{0, 9}, restart())
	}
	require.ErrorContains(t, l.allows(t, l.mustBake(t, 7, "info:read")[:40], getInfo), "cannot be read")
	require.Error(t, l.allows(t, with7, getInfo), "the number has a new key")

	for id := range uint64(maxRootKeys + 1) {
		if _, err = l.server.macaroons.keys.key(id); err != nil {
			break
		}
	}
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
}

// TestMacaroonsAreMadeAgain: without the key all are new, and one that lies in another's place, or that has lost a permission,
// is replaced.
func TestMacaroonsAreMadeAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	read := func(file string) []byte {
		serialized, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		return serialized
	}
	before, err := openMacaroons(dir)
	require.NoError(t, err)
	readonlyBefore := read(readonlyMacaroonFile)
	require.NoError(t, os.WriteFile(filepath.Join(dir, invoiceMacaroonFile), before.admin, 0o600))
	again, err := openMacaroons(dir)
	require.NoError(t, err)
	require.Equal(t, before.admin, again.admin)
	require.Equal(t, readonlyBefore, read(readonlyMacaroonFile))
	require.NotEqual(t, before.admin, read(invoiceMacaroonFile))

	require.NoError(t, os.Remove(filepath.Join(dir, rootKeyFile)))
	after, err := openMacaroons(dir)
	require.NoError(t, err)
	require.NotEqual(t, before.admin, after.admin)
	require.Error(t, after.check(t.Context(), readonlyBefore, []permission{readInfo}, ""))
}

// TestMacaroonsOfTheFirstVersion are good for what they were, and the file that has one is renewed.
func TestMacaroonsOfTheFirstVersion(t *testing.T) {
	t.Parallel()
	l := activeLightning(t)
	first := func(key []byte, role string) string {
		made, err := macaroon.New(key, []byte("stormcell/1 "+role+" 00"), "stormcell", macaroon.LatestVersion)
		require.NoError(t, err)
		serialized, err := made.MarshalBinary()
		require.NoError(t, err)
		return hex.EncodeToString(serialized)
	}
	key, err := l.server.macaroons.keys.key(0)
	require.NoError(t, err)
	require.NoError(t, l.allows(t, first(key, "admin"), lnrpc.Lightning_StopDaemon_FullMethodName))
	require.NoError(t, l.allows(t, first(key, "readonly"), lnrpc.Lightning_GetInfo_FullMethodName))
	require.Error(t, l.allows(t, first(key, "readonly"), lnrpc.Lightning_StopDaemon_FullMethodName))
	require.Error(t, l.allows(t, first(key, "king"), lnrpc.Lightning_GetInfo_FullMethodName))
	require.Error(t, l.allows(t, first(make([]byte, 32), "admin"), lnrpc.Lightning_GetInfo_FullMethodName))

	path := filepath.Join(l.server.o.Dir, MacaroonFile)
	old, err := hex.DecodeString(first(key, "admin"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, old, 0o600))
	_, err = openMacaroons(l.server.o.Dir)
	require.NoError(t, err)
	renewed, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotEqual(t, old, renewed)
}

// TestDamagedMacaroons: whatever is changed in one behind its location, which is not signed, it is refused, and nothing breaks.
func TestDamagedMacaroons(t *testing.T) {
	t.Parallel()
	m, err := openMacaroons(t.TempDir())
	require.NoError(t, err)
	signed := bytes.Index(m.admin, []byte(macaroonLocation)) + len(macaroonLocation)
	rapid.Check(t, func(r *rapid.T) {
		damaged := append([]byte{}, m.admin...)
		at := rapid.IntRange(signed, len(damaged)-1).Draw(r, "at")
		damaged[at] ^= byte(rapid.IntRange(1, 255).Draw(r, "bits"))
		if rapid.Bool().Draw(r, "cut") {
			damaged = damaged[:at]
		}
		require.Error(r, m.check(t.Context(), damaged, []permission{readInfo}, ""))
	})
}

// TestDeleteKeyWhoseFileIsGone: the macaroons of a key are worth nothing once it is deleted, whoever deleted its file.
func TestDeleteKeyWhoseFileIsGone(t *testing.T) {
	t.Parallel()
	l := activeLightning(t)
	with7 := l.mustBake(t, 7, "info:read")
	require.NoError(t, os.Remove(l.server.macaroons.keys.path(7)))
	answer, err := l.DeleteMacaroonID(t.Context(), &lnrpc.DeleteMacaroonIDRequest{RootKeyId: 7})
	require.NoError(t, err)
	require.True(t, answer.Deleted)
	require.Error(t, l.allows(t, with7, lnrpc.Lightning_GetInfo_FullMethodName))
}

// TestWhoMayDropMessages: what waits for an actor may be money. Who may change log levels may not drop it.
func TestWhoMayDropMessages(t *testing.T) {
	t.Parallel()
	l := activeLightning(t)
	info := l.mustBake(t, 0, "info:read", "info:write")
	require.NoError(t, l.allows(t, info, debugrpc.Debug_LogLevels_FullMethodName))
	require.ErrorContains(t, l.allows(t, info, debugrpc.Debug_Drop_FullMethodName), "permission denied")
	require.NoError(t, l.allows(t, l.mustBake(t, 0, "info:write", "onchain:write", "offchain:write"),
		debugrpc.Debug_Drop_FullMethodName))
}
