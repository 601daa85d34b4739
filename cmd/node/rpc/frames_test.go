package rpc

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"stormcell/messages/lnrpc"
)

// frames is an HTTP/2 connection of a client that keeps to no rule.
type frames struct {
	*http2.Framer
	conn   net.Conn
	stream uint32 // the last
	next   uint32
	block  bytes.Buffer
	coder  *hpack.Encoder
}

// framesTo connects to a server from an address of its own.
func framesTo(t *testing.T, to net.Addr) *frames {
	t.Helper()
	f := &frames{conn: visit(t, to, "127.0.0.3"), next: 1}
	f.Framer = begin(t, f.conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.coder = hpack.NewEncoder(&f.block)
	return f
}

// headers are a gRPC call's, with what the pairs say in place of the usual.
func (f *frames) headers(method string, pairs ...string) []byte {
	f.block.Reset()
	all := []string{
		":method", "POST", ":scheme", "https", ":path", method, ":authority", "node", "content-type", "application/grpc", "te", "trailers",
	}
	for pair := range slices.Chunk(pairs, 2) {
		if at := slices.Index(all, pair[0]); at >= 0 {
			all[at+1] = pair[1]
			continue
		}
		all = append(all, pair...)
	}
	for pair := range slices.Chunk(all, 2) {
		_ = f.coder.WriteField(hpack.HeaderField{Name: pair[0], Value: pair[1]})
	}
	return f.block.Bytes()
}

// open begins a stream.
func (f *frames) open(method string, pairs ...string) error {
	const most = 16 << 10
	f.stream, f.next = f.next, f.next+2
	block := f.headers(method, pairs...)
	err := f.WriteHeaders(http2.HeadersFrameParam{
		StreamID: f.stream, BlockFragment: block[:min(most, len(block))], EndHeaders: len(block) <= most,
	})
	for left := block[min(most, len(block)):]; err == nil && len(left) > 0; left = left[min(most, len(left)):] {
		err = f.WriteContinuation(f.stream, len(left) <= most, left[:min(most, len(left))])
	}
	return err
}

// send writes what follows the headers, and ends the stream.
func (f *frames) send(body []byte) error {
	for part := range slices.Chunk(body, 16<<10) {
		if err := f.WriteData(f.stream, false, part); err != nil {
			return err
		}
	}
	return f.WriteData(f.stream, true, nil)
}

// answer is what the last stream ends with: its headers, or how it or the connection was ended.
func (f *frames) answer(t *testing.T) string {
	t.Helper()
	var said strings.Builder
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			require.NotContains(t, err.Error(), "timeout")
			return said.String() + "closed"
		}
		switch frame := frame.(type) {
		case *http2.GoAwayFrame:
			return said.String() + fmt.Sprintf("goaway %v: %s", frame.ErrCode, frame.DebugData())
		case *http2.RSTStreamFrame:
			if frame.StreamID == f.stream {
				return said.String() + fmt.Sprintf("reset %v", frame.ErrCode)
			}
		case *http2.DataFrame:
			if frame.StreamID == f.stream {
				fmt.Fprintf(&said, "%s\n", frame.Data())
			}
		case *http2.MetaHeadersFrame:
			if frame.StreamID != f.stream {
				continue
			}
			for _, h := range frame.Fields {
				fmt.Fprintf(&said, "%s: %s\n", h.Name, h.Value)
			}
			if frame.StreamEnded() {
				return said.String()
			}
		}
	}
}

// message is a request as gRPC frames it.
func message(compressed byte, size uint32, content []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{compressed}, size), content...)
}

// gzipped are zeros, compressed.
func gzipped(t *testing.T, size int64) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := io.CopyN(w, zeros{}, size)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestMalformedCalls: whatever is wrong with a call, it is answered, by an error that says what, and others go on.
func TestMalformedCalls(t *testing.T) {
	t.Parallel()
	l := newLightning(t, Node{Channels: &fakeChannels{}})
	serve(t, l.server)
	call := grpcCaller(t, l.server, new(atomic.Int64))
	admin := []string{"macaroon", hex.EncodeToString(l.server.macaroons.admin)}
	const method = lnrpc.Lightning_AddInvoice_FullMethodName
	bomb := gzipped(t, 10<<20)
	for name, c := range map[string]struct {
		headers []string
		body    []byte
		want    []string // one of them
	}{
		"another content type":   {[]string{"content-type", "application/json"}, nil, []string{":status: 415"}},
		"no content type":        {[]string{"content-type", ""}, nil, []string{":status: 415"}},
		"another HTTP method":    {[]string{":method", "GET"}, nil, []string{":status: 405"}},
		"no path":                {[]string{":path", ""}, nil, []string{"grpc-status: 12", "malformed method name"}},
		"a path of no form":      {[]string{":path", "lnrpc"}, nil, []string{"malformed method name"}},
		"no message":             {nil, nil, []string{"grpc-status: 13"}},
		"a message cut short":    {nil, message(0, 100, []byte{1, 2, 3}), []string{"unexpected EOF"}},
		"no protobuf":            {nil, message(0, 4, []byte{0xff, 0xff, 0xff, 0xff}), []string{"failed to unmarshal the received message"}},
		"nested without end":     {nil, message(0, 60_000, bytes.Repeat([]byte{0x0b}, 60_000)), []string{"failed to unmarshal the received message"}},
		"a flag that is none":    {nil, message(9, 0, nil), []string{"unexpected payload format"}},
		"compressed by nothing":  {nil, message(1, 3, []byte{1, 2, 3}), []string{"compressed flag set with identity or empty encoding"}},
		"a compressed bomb":      {[]string{"grpc-encoding", "gzip"}, message(1, uint32(len(bomb)), bomb), []string{"grpc-status: 12"}},
		"another compression":    {[]string{"grpc-encoding", "cake"}, message(1, 1, []byte{1}), []string{"grpc-status: 12"}},
		"larger than it may be":  {nil, message(0, 10<<20, nil), []string{"grpc-status: 8\ngrpc-message: grpc: received message larger than max (10485760 vs. 262144)"}},
		"larger than there is":   {nil, message(0, 0xffffffff, nil), []string{"received message larger than max"}},
		"a timeout that is none": {[]string{"grpc-timeout", "soon"}, nil, []string{"malformed grpc-timeout"}},
		"a macaroon of no text":  {[]string{"macaroon", "\x00\xff"}, nil, []string{"PROTOCOL_ERROR", "not in hexadecimal digits"}},
		"headers too large":      {[]string{"macaroon", strings.Repeat("00", 50_000)}, nil, []string{"closed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := framesTo(t, l.server.Addr())
			if f.open(method, append(slices.Clone(admin), c.headers...)...) == nil {
				_ = f.send(c.body) // it may be refused meanwhile
			}
			said := f.answer(t)
			require.True(t, slices.ContainsFunc(c.want, func(want string) bool { return strings.Contains(said, want) }), said)
			require.NoError(t, call())
		})
	}
}

// heap is how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	return now.HeapAlloc
}

// TestAbuseOfConnections: a connection on which somebody does much that leads nowhere is ended, or nothing stays of it, and others
// go on meanwhile. It runs alone, as the heap is everybody's.
func TestAbuseOfConnections(t *testing.T) {
	for _, door := range []string{"gRPC", "REST"} {
		l := newLightning(t, Node{Channels: &fakeChannels{}})
		serve(t, l.server)
		at, path, client := l.server.Addr(), lnrpc.State_GetState_FullMethodName, grpcCaller
		request := []string{}
		if door == "REST" {
			at, path, client = l.server.RESTAddr(), "/v1/state", restCaller
			request = []string{":method", "GET", "content-type", "application/json"}
		}
		call := client(t, l.server, new(atomic.Int64))
		require.NoError(t, call())
		for name, abuse := range map[string]func(*frames) error{
			"streams that are reset": func(f *frames) error {
				if err := f.open(path, request...); err != nil {
					return err
				}
				return f.WriteRSTStream(f.stream, http2.ErrCodeCancel)
			},
			"answers that nobody reads": func(f *frames) error {
				if err := f.open(path, request...); err != nil {
					return err
				}
				if f.stream%1000 != 999 {
					return f.WriteData(f.stream, true, message(0, 0, nil))
				}
				for id := f.stream - 998; id <= f.stream; id += 2 {
					if err := f.WriteRSTStream(id, http2.ErrCodeCancel); err != nil {
						return err
					}
				}
				return nil
			},
			"headers without end": func(f *frames) error {
				if f.stream == 0 {
					f.stream = 1
					return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.headers(path, request...)})
				}
				f.block.Reset()
				for range 100 {
					_ = f.coder.WriteField(hpack.HeaderField{Name: "x", Value: "the same again"}) // a byte each
				}
				return f.WriteContinuation(1, false, f.block.Bytes())
			},
			"pings": func(f *frames) error { return f.WritePing(false, [8]byte{}) },
			"settings": func(f *frames) error {
				return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
			},
			"windows": func(f *frames) error { return f.WriteWindowUpdate(0, 1) },
			"priorities": func(f *frames) error {
				f.stream += 2
				return f.WritePriority(f.stream|1, http2.PriorityParam{StreamDep: 1})
			},
		} {
			t.Run(door+", "+name, func(t *testing.T) {
				before, goroutines, most := heap(), runtime.NumGoroutine(), 0
				var abused sync.WaitGroup
				for range 2 {
					f := framesTo(t, at)
					abused.Go(func() {
						for range 6_000 {
							if abuse(f) != nil { // it was ended, or its answers are not read
								return
							}
						}
					})
				}
				require.NoError(t, call(), "meanwhile")
				over := make(chan struct{})
				go func() {
					defer close(over)
					abused.Wait()
				}()
				for tick, going := time.Tick(time.Millisecond), true; going; {
					select {
					case <-over:
						going = false
					case <-tick:
						most = max(most, runtime.NumGoroutine()-goroutines)
					}
				}
				require.Less(t, most, 1_000, "calls under way of two connections")
				require.NoError(t, call())
				require.Eventually(t, func() bool { return heap() < before+(3<<20) }, patience, 10*time.Millisecond)
			})
		}
	}
}
