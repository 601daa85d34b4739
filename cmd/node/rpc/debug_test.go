package rpc

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/actors/durable"
	"stormcell/messages/debugrpc"
)

// fakeActors has one halted actor.
type fakeActors struct {
	Actors
	retried, dropped []durable.Address
}

func (*fakeActors) Halted() []durable.Halt {
	return []durable.Halt{
		{Actor: "channel/1", Message: durable.Ref{LSN: 7}, About: "a message", Failures: 3, Reason: "it panicked"},
		{Actor: "channel/2", About: "recovery", Failures: 4, Reason: "a snapshot is damaged"},
	}
}

func (f *fakeActors) Retry(a durable.Address) error {
	f.retried = append(f.retried, a)
	return nil
}

func (f *fakeActors) DropMessage(a durable.Address) error {
	if a != "channel/1" {
		return durable.ErrAbsent
	}
	f.dropped = append(f.dropped, a)
	return nil
}

func TestHaltedActors(t *testing.T) {
	t.Parallel()
	actors := &fakeActors{}
	d := &debugger{server: newLightning(t, Node{Actors: actors}).server}
	answer, err := d.Halted(t.Context(), &debugrpc.HaltedRequest{})
	require.NoError(t, err)
	require.Len(t, answer.Actors, 2)
	first := answer.Actors[0]
	require.Equal(t, "channel/1", first.Address)
	require.Equal(t, "it panicked", first.Reason)
	require.Equal(t, int32(3), first.Failures)
	require.True(t, first.Droppable)
	require.False(t, answer.Actors[1].Droppable)

	_, err = d.Retry(t.Context(), &debugrpc.RetryRequest{Address: "channel/2"})
	require.NoError(t, err)
	require.Equal(t, []durable.Address{"channel/2"}, actors.retried)
	_, err = d.Drop(t.Context(), &debugrpc.DropRequest{Address: "channel/1"})
	require.NoError(t, err)
	require.Equal(t, []durable.Address{"channel/1"}, actors.dropped)
	_, err = d.Drop(t.Context(), &debugrpc.DropRequest{Address: "channel/2"})
	require.Equal(t, codes.NotFound, status.Code(err))
}

func TestLogLevels(t *testing.T) {
	t.Parallel()
	d := &debugger{server: newLightning(t, Node{}).server}
	level := func(spec, of string) string {
		answer, err := d.LogLevels(t.Context(), &debugrpc.LogLevelsRequest{Spec: spec})
		require.NoError(t, err)
		for _, s := range answer.Subsystems {
			require.NotEmpty(t, s.About)
			if s.Name == of {
				return s.Level
			}
		}
		return ""
	}
	require.Equal(t, "info", level("", "PEER"))
	require.Equal(t, "trace", level("warn,PEER=trace", "PEER"))
	require.Equal(t, "warn", level("", "CHAN"))
	_, err := d.LogLevels(t.Context(), &debugrpc.LogLevelsRequest{Spec: "loud"})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}
