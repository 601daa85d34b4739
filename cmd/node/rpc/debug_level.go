package rpc

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/messages/lnrpc"
)

// DebugLevel implements lnrpc.LightningServer.
func (l *lightning) DebugLevel(_ context.Context, r *lnrpc.DebugLevelRequest) (*lnrpc.DebugLevelResponse, error) {
	levels := l.server.o.Levels
	if r.Show {
		return &lnrpc.DebugLevelResponse{SubSystems: strings.Join(levels.Names(), " ")}, nil
	}
	if err := levels.Set(r.LevelSpec); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	l.server.log.Info("log levels changed", "to", r.LevelSpec)
	var now []string
	for _, name := range levels.Names() {
		now = append(now, name+"="+levels.Of(name))
	}
	return &lnrpc.DebugLevelResponse{SubSystems: strings.Join(now, ", ")}, nil
}
