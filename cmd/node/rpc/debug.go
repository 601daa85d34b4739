package rpc

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/actors/durable"
	"stormcell/cmd/node/levels"
	"stormcell/messages/debugrpc"
)

// debugger lets an operator see and free halted actors.
type debugger struct {
	debugrpc.UnimplementedDebugServer
	server *Server
}

func (d *debugger) actors() Actors { return d.server.node.Load().Actors }

// Halted implements debugrpc.DebugServer.
func (d *debugger) Halted(context.Context, *debugrpc.HaltedRequest) (*debugrpc.HaltedResponse, error) {
	answer := &debugrpc.HaltedResponse{}
	for _, h := range d.actors().Halted() {
		answer.Actors = append(answer.Actors, &debugrpc.HaltedActor{
			Address: string(h.Actor), About: h.About, Droppable: !h.Message.IsZero(), Failures: int32(h.Failures), Reason: h.Reason,
		})
	}
	return answer, nil
}

// Retry implements debugrpc.DebugServer.
func (d *debugger) Retry(_ context.Context, r *debugrpc.RetryRequest) (*debugrpc.RetryResponse, error) {
	return &debugrpc.RetryResponse{}, unhalted(d.actors().Retry(durable.Address(r.Address)))
}

// Drop implements debugrpc.DebugServer.
func (d *debugger) Drop(_ context.Context, r *debugrpc.DropRequest) (*debugrpc.DropResponse, error) {
	return &debugrpc.DropResponse{}, unhalted(d.actors().DropMessage(durable.Address(r.Address)))
}

// LogLevels implements debugrpc.DebugServer.
func (d *debugger) LogLevels(_ context.Context, r *debugrpc.LogLevelsRequest) (*debugrpc.LogLevelsResponse, error) {
	set := d.server.o.Levels
	if r.Spec != "" {
		if err := set.Set(r.Spec); err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		d.server.log.Info("log levels changed", "to", r.Spec)
	}
	answer := &debugrpc.LogLevelsResponse{}
	for _, s := range levels.Subsystems() {
		answer.Subsystems = append(answer.Subsystems, &debugrpc.Subsystem{Name: s.Name, Level: set.Of(s.Name), About: s.About})
	}
	return answer, nil
}

func unhalted(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, durable.ErrAbsent):
		return status.Error(codes.NotFound, err.Error())
	}
	return refused(err)
}
