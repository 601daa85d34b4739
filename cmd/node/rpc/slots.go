package rpc

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"stormcell/peer/address"
	"stormcell/peer/crowd"
)

// slots bound what is under way at once: each call takes one, and frees it.
type slots chan struct{}

func newSlots(n int) slots { return make(slots, n) }

func (s slots) take() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

// await waits for a slot until the context ends.
func (s slots) await(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

func (s slots) free() { <-s }

// slotsFor are those that a call with one answer, or with many, counts among. Who waits for other nodes waits beside the rest.
func (s *Server) slotsFor(method string, many bool) slots {
	if of, waits := s.waiting[method]; waits {
		return of
	}
	if many {
		return s.streams
	}
	return s.calls
}

// crowdFor are those that a call counts among which needs no macaroon: it takes nothing from those who have one.
func (s *Server) crowdFor(many bool) *crowd.Crowd {
	if many {
		return s.openStreams
	}
	return s.openCalls
}

// admit runs a call as one of a crowd: its context ends when it has to leave.
func admit(ctx context.Context, among *crowd.Crowd, call func(context.Context) error) error {
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	s := among.Enter(hostOf(ctx), func() { leave(errTooMany) })
	defer among.Exit(s)
	err := call(ctx)
	if err != nil && context.Cause(ctx) == errTooMany {
		return errTooMany
	}
	return err
}

// hostOf is where a call comes from.
func hostOf(ctx context.Context) netip.Prefix {
	if caller, ok := peer.FromContext(ctx); ok {
		return address.HostOf(caller.Addr)
	}
	return netip.Prefix{}
}

// late makes of methods with one answer streams of one. gRPC reads the request of a call before it asks whether the call may be
// made, but that of a stream after: so nobody has the server hold large requests who may not make them.
func late(service *grpc.ServiceDesc) *grpc.ServiceDesc {
	out := *service
	out.Methods, out.Streams = nil, slices.Clone(service.Streams)
	for _, method := range service.Methods {
		out.Streams = append(out.Streams, grpc.StreamDesc{
			StreamName: method.MethodName,
			Handler: func(server any, stream grpc.ServerStream) error {
				answer, err := method.Handler(server, stream.Context(), stream.RecvMsg, nil)
				if err != nil {
					return err
				}
				return stream.SendMsg(answer)
			},
		})
	}
	return &out
}

// lateServices registers services as late has them.
type lateServices struct{ *grpc.Server }

// RegisterService implements grpc.ServiceRegistrar.
func (l lateServices) RegisterService(desc *grpc.ServiceDesc, service any) {
	l.Server.RegisterService(late(desc), service)
}

// prompt is a stream whose request has to come in time: a call has its slot meanwhile.
type prompt struct {
	grpc.ServerStream
	limit time.Duration
}

// RecvMsg implements grpc.ServerStream.
func (p prompt) RecvMsg(request any) error {
	received := make(chan error, 1)
	go func() { received <- p.ServerStream.RecvMsg(request) }() // it ends with the call
	late := time.NewTimer(p.limit)
	defer late.Stop()
	select {
	case err := <-received:
		return err
	case <-p.Context().Done(): // which may be before that of the stream below
		return status.FromContextError(p.Context().Err()).Err()
	case <-late.C:
		return status.Errorf(codes.DeadlineExceeded, "the request was not here in %v", p.limit)
	}
}
