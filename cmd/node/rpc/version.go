package rpc

import (
	"context"
	"runtime"

	"stormcell/cmd/node/version"
	"stormcell/messages/lnrpc/verrpc"
)

// The lnd whose API this is.
const lndMajor, lndMinor, lndPatch = 0, 21, 2

// versioner is lnd's Versioner.
type versioner struct {
	verrpc.UnimplementedVersionerServer
}

// GetVersion implements verrpc.VersionerServer.
func (versioner) GetVersion(context.Context, *verrpc.VersionRequest) (*verrpc.Version, error) {
	return &verrpc.Version{
		Commit: "stormcell " + version.Number, CommitHash: version.Commit(), Version: version.Number,
		AppMajor: lndMajor, AppMinor: lndMinor, AppPatch: lndPatch,
		BuildTags: []string{"invoicesrpc", "routerrpc"}, GoVersion: runtime.Version(),
	}, nil
}
