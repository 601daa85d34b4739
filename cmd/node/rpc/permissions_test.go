package rpc

import (
	_ "embed"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"stormcell/messages/debugrpc"
	"stormcell/messages/lnrpc"
)

// lndPermissions has a line for each method of lnd v0.21's services Lightning, Router and Invoices: its name, and the
// permissions that it needs.
//
//go:embed testdata/lnd-v0.21-permissions.txt
var lndPermissions string

func TestPermissionsAreThoseOfLnd(t *testing.T) {
	t.Parallel()
	theirs := map[string][]permission{}
	for line := range strings.Lines(lndPermissions) {
		fields := strings.Fields(line)
		for _, p := range fields[1:] {
			theirs[fields[0]] = append(theirs[fields[0]], permission(p))
		}
	}
	for method, permissions := range needed {
		if strings.HasPrefix(method, "/"+debugrpc.Debug_ServiceDesc.ServiceName+"/") {
			continue
		}
		require.ElementsMatch(t, theirs[method], permissions, method)
	}
}

// TestEveryMethodNeedsPermissions holds the table against what is served.
func TestEveryMethodNeedsPermissions(t *testing.T) {
	t.Parallel()
	for name, service := range newServer(t).grpc.GetServiceInfo() {
		if name == lnrpc.State_ServiceDesc.ServiceName || name == lnrpc.WalletUnlocker_ServiceDesc.ServiceName {
			continue
		}
		for _, method := range service.Methods {
			require.NotEmpty(t, needed["/"+name+"/"+method.Name], "%s/%s", name, method.Name)
		}
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.states.set(lnrpc.WalletState_SERVER_ACTIVE)
	for file, c := range map[string]struct{ may, mayNot []string }{
		MacaroonFile: {may: []string{
			lnrpc.Lightning_SendCoins_FullMethodName, lnrpc.Lightning_StopDaemon_FullMethodName,
		}, mayNot: []string{"/lnrpc.Lightning/Unheard"}},
		readonlyMacaroonFile: {may: []string{
			lnrpc.Lightning_GetInfo_FullMethodName, lnrpc.Lightning_ListChannels_FullMethodName,
			lnrpc.Lightning_WalletBalance_FullMethodName, lnrpc.Lightning_ListInvoices_FullMethodName,
		}, mayNot: []string{
			lnrpc.Lightning_SendCoins_FullMethodName, lnrpc.Lightning_OpenChannel_FullMethodName,
			lnrpc.Lightning_NewAddress_FullMethodName, lnrpc.Lightning_ConnectPeer_FullMethodName,
			debugrpc.Debug_Retry_FullMethodName, debugrpc.Debug_Drop_FullMethodName,
		}},
		invoiceMacaroonFile: {may: []string{
			lnrpc.Lightning_AddInvoice_FullMethodName, lnrpc.Lightning_NewAddress_FullMethodName,
			lnrpc.Lightning_WalletBalance_FullMethodName,
		}, mayNot: []string{
			lnrpc.Lightning_SendCoins_FullMethodName, lnrpc.Lightning_ListChannels_FullMethodName,
			lnrpc.Lightning_GetInfo_FullMethodName, lnrpc.Lightning_CloseChannel_FullMethodName,
		}},
	} {
		serialized, err := os.ReadFile(filepath.Join(s.o.Dir, file))
		require.NoError(t, err)
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("macaroon", hex.EncodeToString(serialized)))
		for _, method := range c.may {
			require.NoError(t, s.allow(ctx, method), "%s %s", file, method)
		}
		for _, method := range c.mayNot {
			require.Error(t, s.allow(ctx, method), "%s %s", file, method)
		}
	}
}
