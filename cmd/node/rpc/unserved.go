package rpc

import (
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/messages/lnrpc"
)

// Why this node does not serve what lnd does.
const (
	noGraph      = "it takes part in no gossip and knows no graph"
	noForwarding = "it does not forward payments"
	noBackups    = "its channels are restored from its own data only"
)

// unservedBecause has a reason for what clients ask for most.
var unservedBecause = map[string]string{
	"/lnrpc.Lightning/DescribeGraph":           noGraph,
	"/lnrpc.Lightning/GetNetworkInfo":          noGraph,
	"/lnrpc.Lightning/GetNodeMetrics":          noGraph,
	"/lnrpc.Lightning/SubscribeChannelGraph":   noGraph,
	"/lnrpc.Lightning/QueryRoutes":             noGraph + ": it pays to nodes that it has channels with",
	"/routerrpc.Router/EstimateRouteFee":       noGraph + ": it pays to nodes that it has channels with",
	"/lnrpc.Lightning/UpdateChannelPolicy":     noForwarding,
	"/routerrpc.Router/SubscribeHtlcEvents":    noForwarding,
	"/routerrpc.Router/HtlcInterceptor":        noForwarding,
	"/lnrpc.Lightning/BatchOpenChannel":        "each channel is funded by a transaction of its own: use OpenChannel for each",
	"/lnrpc.Lightning/ExportAllChannelBackups": noBackups,
	"/lnrpc.Lightning/ExportChannelBackup":     noBackups,
	"/lnrpc.Lightning/SubscribeChannelBackups": noBackups,
	"/lnrpc.Lightning/VerifyChanBackup":        noBackups,
	"/lnrpc.Lightning/RestoreChannelBackups":   noBackups,
}

// unserved answers what this node does not serve, to whoever asks. Clients of lnd look for gRPC's own words, which come first.
func unserved(method string) error {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	why := unservedBecause[method]
	if why == "" {
		why = "the README lists what it serves"
	}
	if served[service] {
		return status.Errorf(codes.Unimplemented, "unknown method %s for service %s: this node does not serve it: %s", name, service,
			why)
	}
	return status.Errorf(codes.Unimplemented, "unknown service %s: this node does not serve it: %s", service, why)
}

// served are the services of which there is something.
var served = func() map[string]bool {
	out := map[string]bool{lnrpc.State_ServiceDesc.ServiceName: true, lnrpc.WalletUnlocker_ServiceDesc.ServiceName: true}
	for method := range needed {
		service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
		out[service] = true
	}
	return out
}()

// answerUnserved is gRPC's handler for what no service has.
func answerUnserved(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	return unserved(method)
}
