package ctl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/actors/peerbook"
	"stormcell/cmd/node/fault"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/payment"
	"stormcell/peer/address"
	"stormcell/peer/wire"
)

func TestStatusOfAQuietNode(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	out := f.ok(t, "status")
	for _, want := range []string{
		"stormcell ", "running for 90 min", "block 1,000, synced, from btcd at 127.0.0.1:18334",
		"1,234,567 commits, 3 wait for the disk", "84 MiB used, 13 GiB free; with less than 256 MiB it stops",
		"no peers\n", "no channels\n", "no payments under way\n",
	} {
		require.Contains(t, out, want)
	}
	require.NotContains(t, out, "FAILED")
}

// TestStatusOfABusyNode has more of all than is shown, in words that a terminal has room for.
func TestStatusOfABusyNode(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	hash := func(n int) []byte { return bytes.Repeat([]byte{byte(n + 1)}, 32) }
	f.actors.status = durable.Status{Parked: 2, Kinds: []durable.KindStatus{
		{Name: "channel", Awake: 30, Halted: 1, Mailbox: 1234, Steps: 123_456_789, Failures: 4},
		{Name: "payment", Awake: 12, Steps: 7},
	}}
	for n := range 12 {
		f.actors.status.Actors = append(f.actors.status.Actors, durable.ActorStatus{
			Address: durable.Address(fmt.Sprintf("payment/%x", hash(n))), State: "ready", Mailbox: n,
		})
		f.payments.all = append(f.payments.all, &pb.Payment{
			Hash: hash(n), Request: &pb.Request{AmountMsat: 250_000_500}, CreatedNs: time.Now().Add(-3 * time.Second).UnixNano(),
			Attempts: []*pb.Attempt{{N: 1, FailedNs: 5}, {N: 2}, {N: 3}},
		})
		f.channels = append(f.channels, channel.Info{
			Address: durable.Address(fmt.Sprintf("channel/%d", n)), Peer: nodeOf(2), Phase: channelpb.Phase_NORMAL, Connected: true,
			Synced: true, Active: true, AwaitsRevocation: n == 0, Local: wire.MilliSatoshi(12_345_678_000),
			HTLCs: make([]channel.HTLCInfo, n),
		})
		at, err := address.Parse("127.0.0.1:9735", 0)
		require.NoError(t, err)
		f.connected = append(f.connected, peerbook.Connect{Key: peerbook.NodeKey(nodeOf(byte(n + 3))), Address: at})
	}
	f.channels[1].Trouble = "channel/1: actor is halted"
	f.channels[2].Connected = false
	f.channels[3].Trouble = "it was busy"
	f.channels[4].Behind = true
	f.actors.status.Actors = append(f.actors.status.Actors,
		durable.ActorStatus{Address: "channel/1", State: "halted"},
		durable.ActorStatus{Address: "channel/2", State: "ready", Mailbox: 900, Inbox: 800, Kept: 7, Parked: true})
	long := strings.Repeat("it cannot be ", 100)
	f.actors.status.Failed = []durable.Failed{
		{Actor: "channel/1", Times: 3, Last: time.Now().Add(-time.Minute), About: "inbox 812.0", Reason: "panic:\n" + long},
		{Actor: durable.Address(fmt.Sprintf("shard/%x/2", hash(1))), Times: 1, Last: time.Now().Add(-time.Hour), Reason: "gone"},
	}

	out := f.ok(t, "status", "--most=5")
	for _, want := range []string{
		"\nall            42       1         4    1,234      900  123,456,796\n",
		"├─ channel     30       1         4    1,234      900  123,456,789\n",
		"└─ payment     12       -         -        -       11            7\n",
		"2 actors are held back until the disk has caught up",
		"\nchannel/1           halted                  -        -     -\n", "\nchannel/1  02c6047f94  halted  ",
		"\nchannel/2           ready, held back      900      800     7\n",
		"channel/1  halted; failed 3 times, last 60 s ago on inbox 812.0\n    panic: it cannot be",
		"shard/0202020202/2  restarted; failed once, last 60 min ago\n    gone",
		"'stormcell debug retry ACTOR'",
		"waiting for revocation", "does not answer: it was busy", "waiting for the peer to connect",
		"waiting for the peer to close: ...", "\nchannel/4:\n    waiting for the peer to close: we have lost state\n",
		"12,345,678",
		"\n0101010101  250,000.500 sat              2 of 3  3 s\n", "and 7 more",
	} {
		require.Contains(t, out, want)
	}

	var answer struct {
		Kernel   struct{ Actors []struct{ Address string } }
		Payments struct{ All int }
		Channels struct{ Channels []struct{ State string } }
	}
	require.NoError(t, json.Unmarshal([]byte(f.ok(t, "status", "--json", "--most=3")), &answer))
	require.Equal(t, 12, answer.Payments.All)
	require.Len(t, answer.Channels.Channels, 3)
	require.Equal(t, "channel/1", answer.Kernel.Actors[0].Address, "what stands still comes first")
	require.Equal(t, "channel/2", answer.Kernel.Actors[1].Address, "then what has most to do")
}

func TestLogLevel(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	require.Regexp(t, `(?m)^PEER  info   connections`, f.ok(t, "loglevel"))
	out := f.ok(t, "loglevel", "warn,peer=trace")
	require.Regexp(t, `(?m)^PEER  trace  connections`, out)
	require.Regexp(t, `(?m)^CHAN  warn   channels`, out)
	f.fails(t, fault.Failed, `no subsystem "BEER"`, "loglevel", "BEER=debug")
	var answer struct {
		Subsystems []struct{ Name, Level string }
	}
	require.NoError(t, json.Unmarshal([]byte(f.ok(t, "loglevel", "--json")), &answer))
	require.Equal(t, "ACTR", answer.Subsystems[0].Name)
	require.Equal(t, "warn", answer.Subsystems[0].Level)
}

func TestUnits(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0 ms", 3456 * time.Microsecond: "3.5 ms", 12 * time.Millisecond: "12 ms", 119 * time.Second: "119 s", 2 * time.Minute: "2 min",
		47 * time.Hour: "47 h", 48 * time.Hour: "2 days",
	} {
		require.Equal(t, want, brief(d))
	}
	for n, want := range map[uint64]string{
		7: "7 bytes", 1 << 10: "1 KiB", 84<<20 + 1<<19: "84.5 MiB", 13 << 30: "13 GiB", 3 << 40: "3 TiB",
	} {
		require.Equal(t, want, bytesOf(n))
	}
}
