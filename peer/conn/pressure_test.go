package conn_test

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"stormcell/peer/conn"
	"stormcell/peer/transport"
	"stormcell/peer/wire"
)

// inBubble runs a test in virtual time, with a connection that is up and a raw link to it.
func inBubble(
	t *testing.T, config conn.Config, test func(t *testing.T, r running, theirs *transport.Conn),
	prepare ...func(*recorder),
) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs, _ := overPipe(t)
		r := run(t, ours, config, prepare...)
		hear(t, theirs)
		say(t, theirs, theirInit())
		<-r.up
		test(t, r, theirs)
		theirs.Close()
	})
}

func TestNoInit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs, _ := overPipe(t)
		began := time.Now()
		r := run(t, ours, conn.Config{})
		hear(t, theirs)
		require.Equal(t, conn.InitTimeout, r.reason().Kind)
		require.Equal(t, conn.DefaultLimits().InitTimeout, time.Since(began))
	})
}

// A peer that neither reads nor writes cannot hold a connection, not even where init does not fit into its buffers.
func TestPeerThatDoesNotEvenRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs, _ := overPipe(t)
		began := time.Now()
		r := run(t, ours, conn.Config{})
		require.Equal(t, conn.InitTimeout, r.reason().Kind)
		limits := conn.DefaultLimits()
		require.Equal(t, limits.InitTimeout+limits.FlushTimeout, time.Since(began))
		theirs.Close()
	})
}

// The other machine is gone without a word: nothing comes, and nothing ends.
func TestHalfOpenConnection(t *testing.T) {
	inBubble(t, conn.Config{}, func(t *testing.T, r running, theirs *transport.Conn) {
		began := time.Now()
		ping := hear(t, theirs).(*wire.Ping)
		limits := conn.DefaultLimits()
		require.Equal(t, limits.PingInterval, time.Since(began))
		require.Less(t, ping.NumPongBytes, uint16(65532))
		require.Equal(t, conn.Silent, r.reason().Kind)
		require.Equal(t, limits.PingInterval+limits.PongTimeout, time.Since(began))
	})
}

func TestPongKeepsAConnection(t *testing.T) {
	inBubble(t, conn.Config{}, func(t *testing.T, r running, theirs *transport.Conn) {
		began := time.Now()
		for range 50 {
			ping := hear(t, theirs).(*wire.Ping)
			say(t, theirs, &wire.Pong{PongBytes: make([]byte, ping.NumPongBytes)})
		}
		require.Equal(t, 50*conn.DefaultLimits().PingInterval, time.Since(began))
		r.Close(nil)
		require.Equal(t, conn.Closed, r.reason().Kind)
	})
}

// A peer that sends a byte now and then has sent no message, before init and after.
func TestSlowLoris(t *testing.T) {
	t.Parallel()
	limits := conn.DefaultLimits()
	drip := func(socket net.Conn) {
		for {
			if _, err := socket.Write([]byte{1}); err != nil {
				return
			}
			<-time.After(10 * time.Second)
		}
	}
	swallow := func(link *transport.Conn) {
		for {
			if _, err := link.ReadMessage(); err != nil {
				return
			}
		}
	}
	t.Run("before init", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ours, theirs, socket := overPipe(t)
			began := time.Now()
			r := run(t, ours, conn.Config{})
			go swallow(theirs)
			go drip(socket)
			require.Equal(t, conn.InitTimeout, r.reason().Kind)
			require.Equal(t, limits.InitTimeout, time.Since(began))
			<-time.After(time.Minute)
		})
	})
	t.Run("after init", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ours, theirs, socket := overPipe(t)
			r := run(t, ours, conn.Config{})
			go swallow(theirs)
			say(t, theirs, theirInit())
			<-r.up
			began := time.Now()
			go drip(socket)
			require.Equal(t, conn.Silent, r.reason().Kind)
			require.Equal(t, limits.PingInterval+limits.PongTimeout, time.Since(began))
			<-time.After(time.Minute)
		})
	})
}

// A peer that reads nothing makes writes stall.
func TestWriteStalls(t *testing.T) {
	inBubble(t, conn.Config{}, func(t *testing.T, r running, theirs *transport.Conn) {
		began := time.Now()
		require.NoError(t, r.Send(&wire.Stfu{}))
		require.Equal(t, conn.WriteStalled, r.reason().Kind)
		require.Equal(t, conn.DefaultLimits().WriteTimeout, time.Since(began))
	})
}

func TestQueueFull(t *testing.T) {
	limits := conn.DefaultLimits()
	limits.QueueBytes = 10_000
	inBubble(t, conn.Config{Limits: limits}, func(t *testing.T, r running, theirs *transport.Conn) {
		sent := 0
		var err error
		for ; err == nil; sent++ {
			err = r.Send(&wire.UpdateFee{})
		}
		var d *conn.Disconnect
		require.ErrorAs(t, err, &d)
		require.Equal(t, conn.QueueFull, d.Kind)
		require.Equal(t, conn.QueueFull, r.reason().Kind)
		require.Less(t, sent, 1000, "small messages are bounded too")
	})
}

// A peer that asks for pongs and does not read them fills the queue, and no more.
func TestPongsAreBounded(t *testing.T) {
	limits := conn.DefaultLimits()
	limits.Pings = conn.Rate{PerSecond: 1000, Burst: 1000}
	inBubble(t, conn.Config{Limits: limits}, func(t *testing.T, r running, theirs *transport.Conn) {
		for range 300 {
			data, err := wire.Encode(&wire.Ping{NumPongBytes: 65531})
			require.NoError(t, err)
			if theirs.WriteMessage(data) != nil || theirs.Flush() != nil {
				break
			}
		}
		require.Equal(t, conn.QueueFull, r.reason().Kind)
	})
}

// A handler that is full stops the reading, of this peer only, for as long as it takes.
func TestFullHandlerStopsReading(t *testing.T) {
	inBubble(t, conn.Config{}, func(t *testing.T, r running, theirs *transport.Conn) {
		const count = 50
		sent := make(chan int, count)
		go func() {
			for i := range count {
				data, _ := wire.Encode(&wire.UpdateFulfillHTLC{ID: uint64(i)})
				if theirs.WriteMessage(data) != nil || theirs.Flush() != nil {
					return
				}
				sent <- i
			}
		}()
		synctest.Wait()
		require.Empty(t, r.messages)
		require.Less(t, len(sent), count, "the peer's writes wait; a message or two may be in buffers")

		// Hours in which the peer cannot be heard are not its silence.
		<-time.After(6 * time.Hour)
		synctest.Wait()
		select {
		case <-r.Done():
			t.Fatal("the connection has ended")
		default:
		}
		close(r.gate)
		for i := range uint64(count) {
			require.Equal(t, i, (<-r.messages).(*wire.UpdateFulfillHTLC).ID)
		}
	}, func(r *recorder) { r.gate = make(chan struct{}) })
}

// A handler that hangs is released by the end of the connection.
func TestCloseReleasesAHandler(t *testing.T) {
	inBubble(t, conn.Config{}, func(t *testing.T, r running, theirs *transport.Conn) {
		say(t, theirs, &wire.Stfu{})
		synctest.Wait()
		stop := errors.New("stop")
		r.Close(stop)
		require.ErrorIs(t, r.reason(), stop)
		require.Equal(t, conn.Closed, r.reason().Kind)
	}, func(r *recorder) { r.gate = make(chan struct{}) })
}

func TestRateOfMessages(t *testing.T) {
	limits := conn.DefaultLimits()
	limits.Messages = conn.Rate{PerSecond: 10, Burst: 10}
	inBubble(t, conn.Config{Limits: limits}, func(t *testing.T, r running, theirs *transport.Conn) {
		began := time.Now()
		go func() {
			for range 1010 {
				data, _ := wire.Encode(&wire.UpdateFee{})
				if theirs.WriteMessage(data) != nil || theirs.Flush() != nil {
					return
				}
			}
		}()
		for range 1009 {
			<-r.messages
		}
		require.InDelta(t, 100, time.Since(began).Seconds(), 1)
	})
}

func TestRateOfBytes(t *testing.T) {
	limits := conn.DefaultLimits()
	limits.Bytes = conn.Rate{PerSecond: 100_000, Burst: 100_000}
	inBubble(t, conn.Config{Limits: limits}, func(t *testing.T, r running, theirs *transport.Conn) {
		began := time.Now()
		go func() {
			for range 110 {
				data, _ := wire.Encode(&wire.PeerStorage{Blob: make([]byte, 10_000-4)})
				if theirs.WriteMessage(data) != nil || theirs.Flush() != nil {
					return
				}
			}
		}()
		for range 110 {
			<-r.messages
		}
		require.InDelta(t, 10, time.Since(began).Seconds(), 0.2)
	})
}

// At the end what is queued gets a short time, and no more.
func TestFlushIsBounded(t *testing.T) {
	inBubble(t, conn.Config{}, func(t *testing.T, r running, theirs *transport.Conn) {
		require.NoError(t, r.Send(&wire.Stfu{}))
		began := time.Now()
		r.Close(nil)
		require.Equal(t, conn.Closed, r.reason().Kind)
		require.Equal(t, conn.DefaultLimits().FlushTimeout, time.Since(began))
	})
}
