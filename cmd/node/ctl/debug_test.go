package ctl

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	"stormcell/cmd/node/fault"
)

// fakeActors are halted until they are freed.
type fakeActors struct {
	halted []durable.Halt
	status durable.Status
}

func (a *fakeActors) Status() durable.Status { return a.status }

func (a *fakeActors) Halted() []durable.Halt { return a.halted }

func (a *fakeActors) free(addr durable.Address) error {
	before := len(a.halted)
	a.halted = slices.DeleteFunc(a.halted, func(h durable.Halt) bool { return h.Actor == addr })
	if len(a.halted) == before {
		return durable.ErrAbsent
	}
	return nil
}

func (a *fakeActors) Retry(addr durable.Address) error { return a.free(addr) }

func (a *fakeActors) DropMessage(addr durable.Address) error { return a.free(addr) }

func TestDebug(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	require.Equal(t, "nothing has halted\n", f.ok(t, "debug", "halted"))
	f.actors.halted = []durable.Halt{
		{Actor: "channel/1", Message: durable.Ref{LSN: 7}, About: "message 7.0", Failures: 3, Reason: "panic: it cannot be"},
		{Actor: "payment/ab", About: "recovery", Failures: 12, Reason: "two\nlines"},
	}
	require.Equal(t, `ACTOR       FAILURES  CAN DROP
channel/1          3  yes
payment/ab        12  no

channel/1 failed on message 7.0:
    panic: it cannot be

payment/ab failed on recovery:
    two
    lines
`, f.ok(t, "debug", "halted"))
	var answer struct {
		Actors []struct{ Address, Reason string }
	}
	require.NoError(t, json.Unmarshal([]byte(f.ok(t, "debug", "halted", "--json")), &answer))
	require.Equal(t, "payment/ab", answer.Actors[1].Address)

	require.Equal(t, "dropped: channel/1 goes on without it\n", f.ok(t, "debug", "drop", "channel/1"))
	require.Equal(t, "payment/ab tries again\n", f.ok(t, "debug", "retry", "payment/ab"))
	f.fails(t, fault.Failed, durable.ErrAbsent.Error(), "debug", "retry", "payment/ab")
	f.fails(t, fault.Usage, "takes ACTOR", "debug", "drop")
}
